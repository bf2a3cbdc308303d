"""What the engine asks of the org besides writing: the directory, whom addresses are, what is so.

Imports the engine's inquiries, the ledger and the transforms; the scheduler, jobs and commands
import it.
"""

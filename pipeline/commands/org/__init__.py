"""Commands that ask Outreach about the org; one module a command, no logic of its own.

Imports the jobs, the destination and the console; the command line imports it by name.
"""

"""The sender against the sandbox over HTTP: what each answer leads to, and who waits for what."""

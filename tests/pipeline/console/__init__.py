"""What is shown at the terminal: progress, tables and logs."""

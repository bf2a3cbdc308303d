"""What the pages and the door share: a server thread, static files, word of each change."""

"""The commands: their flags, what they print, and their exit statuses."""

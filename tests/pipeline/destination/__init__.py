"""The destination file: what it may say, and how it is refused with file and line."""

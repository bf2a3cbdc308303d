"""The stages; they know nothing of flags, files or topics."""

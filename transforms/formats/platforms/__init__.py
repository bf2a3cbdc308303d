"""The formats of audience platforms that post over HTTP; one module each, as of `Format`."""

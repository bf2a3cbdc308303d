"""The operator's page in a browser: views, buttons, and that all can use it."""

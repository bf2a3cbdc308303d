"""Headless Chromium, and what is looked for in its pages."""

"""The measurements: that they measure what their tables say."""

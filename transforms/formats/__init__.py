"""The formats of input records, one module each, told by their shape.

A new format is one more module that offers what `context.Format` says, and its name in
`registry.FORMATS`.
"""

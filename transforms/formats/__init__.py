"""The formats of input records, one module each, told by their shape.

A new format is one more module that offers what `reading.Format` says, and its name in
`arrivals.FORMATS`.
"""

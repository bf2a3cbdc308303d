"""The formats of audience platforms that post over HTTP, one module each.

Each is named in `transforms.formats.registry.FORMATS` and offers what
`transforms.formats.context.Format` says.
"""

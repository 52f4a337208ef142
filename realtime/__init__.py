"""The live program: a webcam goes in, an avatar comes out of a virtual camera.

The list of modules is the frame's path: capture, tracking, alignment, encoding, smoothing, editing, generating,
compositing, outputs. ``pipeline`` alone names them all. Importing this package loads no heavy library.
"""

__version__ = "0.1.0"

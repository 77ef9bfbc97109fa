"""Folder edges: a drop folder in, atomically written files out."""

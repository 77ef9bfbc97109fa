"""Benchmarks: what one message costs, beside what it costs others, in one run on one machine.

``python -m bench`` (``make bench``) prints parsing, mapping and end to end; each is a module of its own with
``--help``. Absolute figures wander with the machine and its hour: quote the ratios.
"""

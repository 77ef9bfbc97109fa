"""The commands, one module a group: read the arguments, ask for a view, print it, pick the exit code."""

"""How views look on a terminal. Pure functions from a view to something rich can print."""

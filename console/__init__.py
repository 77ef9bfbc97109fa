"""The people's side: what an analyst and a support person see and may do, on a command line."""

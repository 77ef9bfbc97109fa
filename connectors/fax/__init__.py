"""Documents: readings of pages that others made, pictures that we read ourselves, and how both come in."""

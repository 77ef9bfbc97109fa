"""ASC X12: the interchange codec, guides kept as data, the loop walker, TA1 and 999."""

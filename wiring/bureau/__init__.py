"""Translation in processes of its own: mapping is pure, so it may run on another core."""

"""From a red history the smallest part that is still red: shrink.py."""

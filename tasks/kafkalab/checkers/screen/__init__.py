"""One pass over all rows of a history: which partitions are in order? See onepass.py."""

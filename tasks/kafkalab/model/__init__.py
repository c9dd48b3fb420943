"""Frozen data that every part of the lab shares. Standard library only: no I/O, no clock."""

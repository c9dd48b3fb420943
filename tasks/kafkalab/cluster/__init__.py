"""Clusters: what they look like (topology), what runs them (engines), when they are ready.

Imports `runtime` and `model` only; the Docker SDK is imported nowhere else.
"""

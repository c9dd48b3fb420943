"""Nightly and per-merge evidence that a Kafka client or broker still keeps its promises."""

__version__ = "0.1.0"

"""Clients under test: the driver contract, driver processes, and how a subject becomes one.

It imports `runtime` and `model` only, and never a Kafka client: a client lives in its own driver.
"""

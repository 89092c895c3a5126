"""Implementations of the ports: the real ones, and beside them the in-memory ones that tests and laws run on.

Each adapter alone knows its library; it translates what the library raises into `Retryable` or `Stalled`, once.
"""

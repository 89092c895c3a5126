"""PURE. What to do about an observation: no I/O, no clock, no randomness, no logging; time is an argument."""

from psm_operator.decide.decision import decide

__all__ = ["decide"]

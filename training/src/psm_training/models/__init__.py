"""Estimators of every family: fitting, answers on held-out baskets, tuning, comparison."""

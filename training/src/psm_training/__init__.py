"""Turns till transactions into a registered model package."""

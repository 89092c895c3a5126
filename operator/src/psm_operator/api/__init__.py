"""The public vocabulary: what a PriceSensitivityModel says, as pydantic types from which the CRD is generated."""

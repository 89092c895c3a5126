"""What the custom resource is called in the Kubernetes API."""

from typing import Final

GROUP: Final = "retail.mlops"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "PriceSensitivityModel"
PLURAL: Final = "pricesensitivitymodels"
SINGULAR: Final = "pricesensitivitymodel"
SHORT_NAME: Final = "psm"
CATEGORIES: Final = ("models", "mlops")

NAME_LIMIT: Final = 53
"""Children are called after the model, the longest with `-candidate` behind it, and a label value holds 63 characters."""
NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A Service's name, which is the narrowest of the children's."""

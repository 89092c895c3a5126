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
"""Children are called after the model, the longest with `.candidate` behind it, and a label value holds 63 characters."""
NAME_PATTERN: Final = "^[a-z]([-a-z0-9]*[a-z0-9])?$"
"""A Service's name, which is the narrowest of the children's."""

SUBDOMAIN_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""Name of most objects: a Secret, an IngressClass."""
LABEL_KEY_PATTERN: Final = (
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
)
"""Key of a label or annotation, and a taint's: an optional DNS prefix and a name of at most 63 characters."""
LABEL_VALUE_PATTERN: Final = r"^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$"
IMAGE_PATTERN: Final = (
    r"^([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?(:[0-9]{1,5})?/)?"
    r"[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*(/[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha(256|384|512):[0-9a-f]{64,128})?$"
)
"""A container image as the kubelet takes it: registry, repository, tag, digest; the kubelet alone would tell otherwise."""

STAMP: Final = f"{GROUP}/applied"
"""Annotation of every child with the digest of the manifest that was last applied."""

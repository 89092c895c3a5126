"""How operator and predictor speak across the process boundary: environment variables in, one exit code out.

The operator writes them on the pod, the predictor's settings read them; neither spells a name itself.
Standard AWS variables (AWS_REGION, AWS_ENDPOINT_URL, ...) keep their own names and are not listed.
"""

from typing import Final

MODEL_DATA_URL: Final = "PSM_MODEL_DATA_URL"
"""Where model.tar.gz lies: s3://bucket/key or file:///path."""

MODEL_SHA256: Final = "PSM_MODEL_SHA256"
"""The digest the archive must have, 64 hex digits."""

MODEL_PACKAGE_ARN: Final = "PSM_MODEL_PACKAGE_ARN"
"""The model package that the archive belongs to; shown by GET /model."""

MODEL_PACKAGE_VERSION: Final = "PSM_MODEL_PACKAGE_VERSION"
"""The package's version number, a positive integer; part of every answer."""

MODEL_NAME: Final = "PSM_MODEL_NAME"
"""Which resource the pod belongs to, as `<prefix>/<namespace>/<name>`: the dimension of its metrics in CloudWatch."""

EMF: Final = "PSM_EMF"
"""`1`: log a line of CloudWatch's embedded metric format each minute."""

EXIT_UNSERVABLE: Final = 65
"""Exit code (EX_DATAERR of sysexits.h) of a predictor whose archive can never be served: starting it again cannot help.

The operator rejects a version whose candidate pod ends with it at once; every other exit code may be a fault around the archive.
"""

EXIT_UNREACHABLE: Final = 75
"""Exit code (EX_TEMPFAIL) of a predictor that could not get its archive: missing, forbidden, or a store that does not answer."""

EXIT_SETTINGS: Final = 2
"""Exit code of a predictor whose environment is wrong.

Neither of these two says anything about the version: the operator waits, however often a pod ends so.
"""

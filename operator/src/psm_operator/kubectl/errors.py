"""What the plugin tells people instead of a stack trace.

PluginError                one line: what, which value, what to do; exit code 1
└── ApiError(status)       the API server's answer, for whoever can make something of it
    └── Gone               410: the resourceVersion is too old, list again
"""


class PluginError(Exception):
    """Ends the command with `error: …`."""

    exit_code = 1


class ApiError(PluginError):
    """The API server refused.

    Attributes:
        status: HTTP status.
        reason: metav1.Status.reason, such as NotFound, Conflict, Forbidden, Invalid.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Gone(ApiError):  # noqa: N818  # HTTP's word
    """What was asked for is too old; list again."""

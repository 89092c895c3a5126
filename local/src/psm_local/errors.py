"""What can go wrong with the embedded cluster, as a user reads it.

LocalError
├── Unsupported   this machine lacks something (root, Linux, a tool); says what and what to do
├── BuildFailed   a program or an image could not be built; carries the end of the log
└── StartFailed   a process of the cluster did not become ready; carries the end of its log
"""


class LocalError(Exception):
    """Base of every expected error; the command line prints it without a traceback."""


class Unsupported(LocalError):  # noqa: N818  # reads as the state of the machine
    """This machine cannot run what was asked for."""


class BuildFailed(LocalError):  # noqa: N818  # as above
    """A build ended with an error."""


class StartFailed(LocalError):  # noqa: N818  # as above
    """A process did not become ready."""

"""What can go wrong in the pipeline and is not our bug."""


class PipelineError(Exception):
    """A step cannot go on; the message says what, which value, what to do."""

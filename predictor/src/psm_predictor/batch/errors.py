"""What ends a run. Rows at fault do not: they go to the file of refused rows."""

from psm_predictor.errors import PredictorError


class InputError(PredictorError):
    """The input cannot be read, or is neither of the two forms; the message says what to do."""

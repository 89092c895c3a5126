"""Where the process is in its life; the routes ask, `server` and `loading` tell."""

from enum import StrEnum

from psm_predictor.model import Model


class Phase(StrEnum):
    """The phases, in order; a process never goes back."""

    LOADING = "loading"
    """Alive, not ready: the model is being fetched, verified and tested."""
    READY = "ready"
    """Answers predictions."""
    DRAINING = "draining"
    """Not ready any more, but answers what still arrives, and closes each connection after its answer."""


class Lifecycle:
    """The phase, what it waits for, and the model once there is one."""

    def __init__(self) -> None:
        self.phase = Phase.LOADING
        self.waiting_for = "the model is being fetched"
        self.unreachable = ""
        self.model: Model | None = None

    @property
    def draining(self) -> bool:
        """Whether this process is about to go."""
        return self.phase is Phase.DRAINING

    def loaded(self, model: Model) -> None:
        """The model passed its self-test."""
        self.model = model
        if self.phase is Phase.LOADING:
            self.phase = Phase.READY
            self.waiting_for = ""

    def drain(self) -> None:
        """The end has begun."""
        self.phase = Phase.DRAINING
        self.waiting_for = "this process is shutting down"

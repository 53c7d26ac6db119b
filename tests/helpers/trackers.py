"""A tracker that keeps what it is told."""

from typing import Any

from accelerate.tracking import GeneralTracker


class Recording(GeneralTracker):
    """Keeps what it is told; may fail at a step."""

    name = "recording"
    requires_logging_directory = False
    main_process_only = False

    def __init__(self, fails_at: int | None = None) -> None:
        super().__init__()
        self.fails_at = fails_at
        self.logged: list[tuple[int, dict[str, float]]] = []

    @property
    def tracker(self) -> Any:
        return self.logged

    def log(self, values: dict[str, float], step: int | None = None, **kwargs: Any) -> None:
        if step == self.fails_at:
            raise OSError("the disk is full")
        self.logged.append((step or 0, values))

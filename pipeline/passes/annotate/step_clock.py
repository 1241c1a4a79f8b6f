"""CPU seconds by step, for logs and benchmarks; no manifest has them."""

import time


class StepClock:
    """CPU seconds by step, which add up to all that this process and its child used since the clock was made.

    They stand in no manifest, because the same inputs give the same bytes; `make bench` prints them.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.process_time()

    def lap(self, step: str) -> None:
        """Book what passed since the last call to a step."""
        now = time.process_time()
        self.add(step, now - self._last)
        self._last = now

    def add(self, step: str, seconds: float) -> None:
        """Book what another process has used."""
        self.seconds[step] = self.seconds.get(step, 0.0) + seconds

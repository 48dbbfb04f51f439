"""Seconds and number of XLA compilations, as JAX reports them: compile time is told apart."""

from dataclasses import dataclass

import jax

_PREFIX = "/jax/core/compile/"


@dataclass
class Compilations:
    """What has been compiled in this process since JAX was imported."""

    seconds: float = 0.0
    count: int = 0


compilations = Compilations()


def _listen(event: str, duration_secs: float, **_: str | int) -> None:
    if event.startswith(_PREFIX):
        compilations.seconds += duration_secs
        if event == _PREFIX + "backend_compile_duration":
            compilations.count += 1


jax.monitoring.register_event_duration_secs_listener(_listen)

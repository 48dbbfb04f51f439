"""What was found, what it is worth, and how it was found."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from infsup.core.certificate import Certificate
from infsup.core.ledger import DeltaLedger
from infsup.core.method import Method
from infsup.core.precision import guard
from infsup.core.problem import Problem
from infsup.core.split import SeenRows


@dataclass(frozen=True)
class Stage:
    """How one stage of a method went.

    Args:
        method: name of the method.
        steps: steps made.
        why: why it stopped: "steps", "done", "plateau", "seconds", "reached", "interrupted",
            "terminated", "not finite", "error", "direct", or a callback's word.
        seconds: of stepping, compile time apart.
        compile_seconds: of tracing and compiling.
        history: metrics at the looks, name -> array; "step" is among them.
    """

    method: str
    steps: int
    why: str
    seconds: float
    compile_seconds: float
    history: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Solution:
    """What `solve` returns. Plain data; `save` writes it as a folder, `infsup.load` reads it.

    Args:
        problem: what was asked.
        method: how it was answered.
        answer: the function, sampler or point.
        certificates: what is known of it, the headline first.
        bounds: what made the certificates, in their order.
        comparators: name -> certificate of a simple answer, by the headline's bound; each holds
            at its own level, they are not part of the ledger.
        evidence: what the method learned that a bound can use.
        stages: how each stage of the method went.
        key: the key of the run (typed).
        ledger: who spent which part of delta.
        seen: the rows that the answer has seen; None where that is not known.
        why: why this method and these bounds were chosen; "" where the user named them.
        resumed: "" or what the run was resumed from, and whether bit-identically.
        error: the exception of a step, where one ended the run.
        seconds: name of a phase -> seconds ("certify", "total").
    """

    problem: Problem
    method: Method
    answer: Any
    certificates: tuple[Certificate, ...]
    bounds: tuple[Any, ...] = ()
    comparators: Mapping[str, Certificate] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    key: Any = None
    ledger: DeltaLedger | None = None
    seen: SeenRows | None = field(default_factory=SeenRows)
    why: str = ""
    resumed: str = ""
    error: Exception | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def certificate(self) -> Certificate:
        """The headline."""
        return self.certificates[0]

    @property
    def stopped_by(self) -> str:
        """Why the last stage stopped."""
        return self.stages[-1].why if self.stages else ""

    @property
    def steps(self) -> int:
        """Steps made, over all stages."""
        return sum(s.steps for s in self.stages)

    @property
    def history(self) -> Mapping[str, np.ndarray]:
        """Metrics at the looks of the last stage that has any."""
        return next((s.history for s in reversed(self.stages) if s.history), {})

    @property
    def cost(self) -> dict[str, float]:
        """Steps, seconds of stepping, of compiling, of certifying, in total."""
        return {
            "steps": float(self.steps),
            "seconds": math.fsum(s.seconds for s in self.stages),
            "compile_seconds": math.fsum(s.compile_seconds for s in self.stages),
            **self.seconds,
        }

    def __call__(self, *args: Any) -> Any:
        """The answer at one sample.

        Raises:
            PrecisionError: a float64 answer while the 64-bit flag is off.
        """
        guard(self.answer, "this solution")
        return self.answer(*args)

    def save(self, path: Any, *, copy_data: bool = False) -> None:
        """Writes the solution as a folder: whole or not at all.

        Args:
            path: the folder; an older solution there is exchanged in one step.
            copy_data: whether the rows of the data are copied into it; else their hash, shape,
                dtype and source stand there.
        """
        from infsup.core.files import save

        save(self, path, copy_data=copy_data)

    def __str__(self) -> str:
        lines = [str(self.certificate)]
        for name, c in self.comparators.items():
            lines.append(f"▸ {name}: {c!r}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"<Solution of {self.problem.name} by {type(self.method).__name__}, "
            f"{self.steps} steps, stopped by {self.stopped_by!r}: {self.certificate!r}>"
        )

    def _repr_html_(self) -> str:
        from infsup.core.bracket import card

        return card(self.certificate, truth=self.problem.truth, comparators=self.comparators)

    def replace(self, **fields: Any) -> "Solution":
        """The solution with some fields exchanged."""
        return dataclasses.replace(self, **fields)

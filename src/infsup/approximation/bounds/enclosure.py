"""The bound that fits the answer."""

import dataclasses
from typing import ClassVar

from infsup.approximation.bounds.piecewise_enclosure import PiecewiseEnclosure
from infsup.approximation.bounds.smooth_enclosure import SmoothEnclosure
from infsup.approximation.bounds.structural_enclosure import StructuralEnclosure
from infsup.approximation.problem import Approximate
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate
from infsup.core.registry import name_of


class Enclosure(Bound):
    """A proved bracket of sup |f - N|, by the first bound that applies to the network.

    `StructuralEnclosure` for networks of our constructions, `PiecewiseEnclosure` for any ReLU
    network, `SmoothEnclosure` for smooth activations and attention heads.
    """

    problems: ClassVar = (Approximate,)
    needs: ClassVar = ("roles",)
    spends: ClassVar = False
    needs_64_bit: ClassVar = True

    def certify(self, problem, outcome, key, delta):
        reasons = []
        for bound in (StructuralEnclosure(), PiecewiseEnclosure(), SmoothEnclosure()):
            c = bound.certify(problem, outcome, key, delta)
            proof = {**c.proof, "by": c.bound}
            c = dataclasses.replace(c, bound=name_of(type(self)), proof=proof)
            if c.verdict != "inapplicable":
                return c
            reasons.append(f"{type(bound).__name__}: {c.reason}")
        return _nothing(c, reasons)


def _nothing(last: Certificate, reasons: list[str]) -> Certificate:
    hypotheses = tuple(h for h in last.hypotheses if h.state != "violated")
    return dataclasses.replace(
        last, verdict="inapplicable", reason="; ".join(reasons), hypotheses=hypotheses
    )

"""The sup-norm distance between a function and any ReLU network of one variable."""

import math
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from infsup.approximation.lower_bound import fewest_pieces, fewest_units
from infsup.approximation.problem import Approximate
from infsup.core.answers import Accepted
from infsup.core.bound import Bound
from infsup.core.certificate import Certificate, Hypothesis
from infsup.core.errors import UsageError
from infsup.core.program import Program
from infsup.core.registry import name_of
from infsup.networks.relu import ReLUNetwork, from_equinox
from infsup.numerics.enclosure import DomainFault, Enclosure
from infsup.numerics.piecewise_linear import TooMuchWork
from infsup.numerics.sup_distance import sup_distance

SOURCE = (
    "all breakpoints by propagation through the levels (theory row A12), Taylor balls of f against "
    "the affine pieces; rounding: Higham 2002, section 3.1"
)


class PiecewiseEnclosure(Bound):
    """Both ends of sup |f - N| for any ReLU network N in one variable: ours, trained, from ONNX.

    On [a, b] the network is affine between breakpoints. These are found in float64, and on each
    cell of their grid it is proved, rounding enclosed, how far the network is from a known
    straight line; cells where that decides something are done in rational arithmetic. f is
    enclosed by Taylor polynomials in balls, and what decides the supremum is bisected until the
    bracket is as narrow as asked. The lower end is |f - N| at one point, in rationals and balls.

    The weights stand for themselves: float32, float64 and bfloat16 numbers are exact rationals.
    With a problem of dtype "float64" or "float32" the statement is of the network as executed in
    that arithmetic (any order of summation, fused or not, subnormals flushed or not; products no
    coarser than the dtype, so not TF32), at the points that the dtype holds; weights are cast to
    it first.

    Args:
        rtol: relative width of the bracket that is aimed at, in (0, 1).

    Raises:
        UsageError: an `rtol` outside its range.
    """

    problems: ClassVar = (Approximate,)
    spends: ClassVar[bool] = False

    rtol: float = eqx.field(static=True, default=0.01)

    def __check_init__(self):
        if not (isinstance(self.rtol, (int, float)) and 0 < self.rtol < 1):
            raise UsageError(
                f"`rtol` of PiecewiseEnclosure is {self.rtol!r}", "It lies in (0, 1).", "rtol=0.01"
            )

    def certify(self, problem, outcome, key, delta):
        answer = outcome.answer.answer if isinstance(outcome.answer, Accepted) else outcome.answer
        real = problem.dtype == "real"
        a, b = problem.domain
        common: dict[str, Any] = {
            "sense": "min",
            "goal": problem.eps,
            "range": (0.0, math.inf),
            "dtype": "real arithmetic" if real else f"executed in {problem.dtype}",
            "source": SOURCE,
        }
        quantity = f"sup |f - N| on [{a:g}, {b:g}]"

        def without(verdict: str, reason: str, *hypotheses: Hypothesis) -> Certificate:
            return Certificate(
                quantity,
                f"{type(answer).__name__} for {problem.text}",
                -math.inf,
                math.inf,
                "proved",
                name_of(type(self)),
                verdict=verdict,
                reason=reason,
                hypotheses=hypotheses,
                **common,
            )

        if not isinstance(problem.f, Program):
            return without("inapplicable", "f is no program, so it cannot be enclosed")
        try:
            network = from_equinox(answer)
        except UsageError as e:
            return without("inapplicable", f"the answer is no ReLU network: {e.what}")
        if network.n_inputs != 1 or network.n_out != 1:
            ins, outs = network.n_inputs, network.n_out
            reason = f"the network has {ins} inputs and {outs} outputs; this bound is for one each"
            return without("inapplicable", reason)
        try:
            with np.errstate(over="ignore"):
                cast = network if real else network.astype(problem.dtype)
        except UsageError:
            return without("refused", f"a weight is beyond the range of {problem.dtype}")
        enclosure = Enclosure(problem.f)
        try:
            got = sup_distance(enclosure, cast.levels, cast.out, a, b, self.rtol, problem.dtype)
        except (TooMuchWork, DomainFault) as e:
            return without("refused", f"{e.what}. {e.why}".strip())
        pieces = fewest_pieces(enclosure, a, b, got.upper) if got.upper > 0 else 1
        fewest = fewest_units(pieces)
        units = network.counts.units
        of = f"{type(answer).__name__} ({units:,} units) for {problem.text}, {common['dtype']}"
        if not real and not _same(network, cast):
            of += f" with its weights rounded to {problem.dtype}"
        hypotheses = [
            *problem.hypotheses(),
            Hypothesis("N is a ReLU network of one variable", "checked", f"{got.cells:,} cells"),
            *(Hypothesis(note, "assumed") for note in network.notes),
        ]
        if fewest:
            words = f"no ReLU network with fewer than {fewest} units is as close, in any wiring"
            why = f"the curvature of f asks for {pieces:,} affine pieces; n units have at most 2^n"
            hypotheses.append(Hypothesis(words, "checked", why))
        return Certificate(
            quantity,
            of,
            got.lower,
            got.upper,
            "proved",
            name_of(type(self)),
            hypotheses=tuple(hypotheses),
            budget=got.budget,
            proof={**got.proof, "fewest_pieces": pieces, "fewest_units": fewest, "units": units},
            **common,
        )


def _same(f: ReLUNetwork, g: ReLUNetwork) -> bool:
    pairs = zip((*f.levels, f.out), (*g.levels, g.out), strict=True)
    return all(np.array_equal(p, q) for one, two in pairs for p, q in zip(one, two, strict=True))

"""How to know the worth of an answer, as data."""

import abc
from typing import Any, ClassVar

import equinox as eqx

from infsup.core.certificate import Certificate
from infsup.core.fields import look_at_fields
from infsup.core.method import Outcome
from infsup.core.problem import Problem
from infsup.core.registry import remember


class Bound(eqx.Module):
    """A bound is to a certificate what a method is to a solution.

    `<pillar>/check.py` holds a function of the bound's name that derives the bracket again from
    the certificate's proof, without JAX. Subclasses are final, or abstract with no fields.
    """

    problems: ClassVar[tuple[type, ...]] = (Problem,)
    """The problem classes it is for; `certify` may take `problem` to be one of them."""
    unseen: ClassVar[bool] = False
    """True: it needs rows that the answer has not seen; the verbs see to it."""
    spends: ClassVar[bool] = True
    """False: its statement is never one of chance, so it takes no share of delta."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Names of the evidence that it uses where a method gives it (duals, multipliers)."""
    needs_64_bit: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        remember(cls)
        look_at_fields(cls)

    def judges_held_out(self, problem: Any) -> bool:
        """Whether its statement about this problem needs rows that the answer has not seen.

        By default `unseen`; a bound that also judges against laws in closed form says no there.
        """
        del problem
        return self.unseen

    @abc.abstractmethod
    def certify(self, problem: Any, outcome: Outcome, key: Any, delta: float) -> Certificate:
        """What is known of the outcome's answer, wrong with probability at most `delta`.

        Args:
            problem: the whole problem, held-out rows included.
            outcome: an answer that came through `problem.accept`, with evidence.
            key: typed key, of the certifying branch: no method has drawn from it.
            delta: in (0, 1); bounds without randomness ignore it.
        """

"""Derives the claims of a saved solution again from their proofs, without JAX.

`<pillar>/check.py` has one function for each bound, of problem, answer (as records) and proof, as
NumPy arrays. A claim stands when its bracket contains the derived one.
"""

import importlib
import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import FunctionType
from typing import Any

import numpy as np

from infsup.core.certificate import KINDS, VERDICTS, Certificate
from infsup.core.encoding import Opaque, Record, check_header, core_record, decode
from infsup.core.errors import FileRejected, InfsupError, UsageError
from infsup.core.ledger import DeltaLedger
from infsup.core.registry import HOMES, name_of
from infsup.core.storage import number_to_text, read_folder

SLACK = 1e-12
"""Relative slack where the mathematics library may differ from machine to machine; none for
`proved`, whose ends are exact or widened by their own bound."""

ROUNDED = Fraction(1, 2**50)
"""A level is stored as the float nearest to 1 - delta."""

_outside: dict[str, Callable] = {}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Args:
        what: e.g. "files", "upper end".
        verdict: "agrees", "fails", or "not re-checked" (says why; never counted as agreeing).
        text: what was found, in words.
    """

    what: str
    verdict: str
    text: str


@dataclass(frozen=True)
class Checked:
    """The outcome of a check.

    Args:
        path: the folder.
        findings: what was looked at, in order.
        seconds: how long it took.
        replayed: whether the model was run again.
    """

    path: str
    findings: tuple[Finding, ...]
    seconds: float
    replayed: bool = False

    @property
    def failed(self) -> tuple[Finding, ...]:
        """What contradicts the claims."""
        return tuple(f for f in self.findings if f.verdict == "fails")

    @property
    def open(self) -> tuple[Finding, ...]:
        """What could not be re-checked."""
        return tuple(f for f in self.findings if f.verdict == "not re-checked")

    @property
    def stands(self) -> bool:
        """Whether every claim was derived again."""
        return not self.failed and not self.open


def checker(bound: type | str) -> Callable[[Callable], Callable]:
    """Registers the checker of a bound defined outside the package (a decorator).

    Args:
        bound: the bound's class, or its registry name.

    The function takes (problem: Record, answer: Record, proof: dict of NumPy arrays and floats)
    and returns (lower, upper), which the claimed bracket must contain. `promises` says what else
    the claim may be.
    """
    if not isinstance(bound, (str, type)):
        raise UsageError(f"`bound` is {type(bound).__name__}, not a bound's class or name")
    name = bound if isinstance(bound, str) else name_of(bound)

    def put(function: Callable) -> Callable:
        _outside[name] = function
        return function

    return put


def promises(
    kind: Any, verdict: Any = "certified", *, sense: str = "min", goal: Any = None, **says: Any
) -> Callable[[Callable], Callable]:
    """States what a checker's ends may be claimed to be (a decorator of checkers).

    Args:
        kind: the strongest kind that its theorem gives.
        verdict: the strongest verdict: "conditional" where the theorem always assumes something.
        sense: of the certificate.
        goal: of the certificate.
        says: other fields of a certificate, each as it must be: quantity, range, dtype; of `of`, a
            tuple of what must stand in it.

    Every value is the field's, or a function of (problem, answer, proof) that returns it; `...`
    leaves a field open.
    """
    fields = {"kind": kind, "verdict": verdict, "sense": sense, "goal": goal, **says}

    def put(function: Callable) -> Callable:
        function.promises = fields  # type: ignore[attr-defined]
        return function

    return put


def check(path: Any, *, replay: bool = False, problem: Any = None, like: Any = None) -> Checked:
    """Derives the claims of a saved solution again.

    Args:
        path: the folder.
        replay: also run the model on the data again and certify anew (this needs JAX).
        problem: as for `infsup.load`, for the replay.
        like: likewise.

    Raises:
        FileRejected: the folder is damaged or holds no solution.
    """
    begun = time.monotonic()
    document, arrays = read_folder(path)
    check_header(document, "solution", path)
    lacks = [k for k in _PARTS if k not in document]
    if lacks:
        raise FileRejected(f"{path}: solution.json lacks `{lacks[0]}`")
    parts = {k: decode(document[k], arrays) for k in _PARTS}
    claims, comparators = parts["certificates"], parts["comparators"]
    if not isinstance(claims, tuple) or not claims or not isinstance(comparators, dict):
        raise FileRejected(f"{path}: solution.json holds no certificates")
    for claim in (*claims, *comparators.values()):
        if not isinstance(claim, Record) or claim.name != "core.Certificate":
            raise FileRejected(f"{path}: solution.json holds no certificates")
    findings = [Finding("files", "agrees", "the checksums agree")]
    certificates = []
    for claim in claims:
        certificate = core_record(Certificate, claim.fields)
        if any(
            certificate_field != claim.fields[k]
            for k in ("verdict", "kind")
            if (certificate_field := getattr(certificate, k)) is not None
        ):
            findings.append(
                Finding(
                    certificate.bound,
                    "fails",
                    f"claims {claim.fields['verdict']}, {claim.fields['kind']}; its own hypotheses "
                    f"allow {certificate.verdict}, {certificate.kind}",
                )
            )
        certificates.append(certificate)
        findings += _derive(certificate, parts["problem"], parts["answer"])
        findings += _level(certificate)
    for claim in comparators.values():
        core_record(Certificate, claim.fields)
    findings += _made_by(parts["bounds"], certificates)
    findings += _levels(parts["ledger"], certificates)
    if replay:
        findings += _replay(path, problem, like)
    return Checked(str(path), tuple(findings), time.monotonic() - begun, replay)


_PARTS = ("problem", "answer", "bounds", "certificates", "comparators", "ledger")


def _made_by(bounds: Any, claims: list[Certificate]) -> list[Finding]:
    """Whether the certificates are those of the bounds that were asked, in their order."""
    if not isinstance(bounds, tuple) or not all(isinstance(b, (Record, Opaque)) for b in bounds):
        raise FileRejected("solution.json: the bounds are no bounds")
    asked, got = [b.name for b in bounds], [c.bound for c in claims]
    # a run that was interrupted twice has one certificate, and that is refused
    broken = len(claims) == 1 and claims[0].verdict == "refused"
    if got == (asked[:1] if broken else asked):
        return []
    text = f"asked were {', '.join(asked)}; the certificates are of {', '.join(map(str, got))}"
    return [Finding("bounds", "fails", text)]


def _level(claim: Certificate) -> list[Finding]:
    """Whether the level is that of the proof's delta."""
    delta = claim.proof.get("delta")
    if not isinstance(delta, float) or not 0 < delta < 1 or not claim.level < 1.0:
        return []
    if 1 - Fraction(claim.level) < Fraction(delta) - ROUNDED:
        text = f"claims level {claim.level:.9g}; the proof is one of delta {delta:.9g}"
        return [Finding(f"level of {claim.quantity} ({claim.bound})", "fails", text)]
    return []


def _derive(claim: Certificate, problem: Any, answer: Any) -> list[Finding]:
    """The two ends of one claim, derived again."""
    name = f"{claim.quantity} ({claim.bound})"
    if claim.verdict in ("refused", "inapplicable"):
        return [Finding(name, "agrees", f"{claim.verdict}: no number is claimed")]
    function = _function(claim.bound)
    if function is None:
        return [
            Finding(name, "not re-checked", f"no checker is known here for `{claim.bound[:60]}`")
        ]
    slack = 0.0 if claim.kind == "proved" else SLACK
    try:
        with np.errstate(all="ignore"):  # numbers of strangers; what is not finite fails below
            lower, upper = function(problem, answer, claim.proof)
        words = _words(name, claim, function, problem, answer, claim.proof)
        return _compare(name, claim, lower, upper, slack) + words
    except FileRejected as e:
        return [Finding(name, "not re-checked", str(e))]
    except Exception as e:  # a proof that its checker cannot read proves nothing
        return [Finding(name, "fails", f"the proof cannot be read: {type(e).__name__}: {e}")]


def _compare(name: str, claim: Certificate, lower: Any, upper: Any, slack: float) -> list[Finding]:
    found = []
    for end, claimed, derived, sign in (
        ("lower", claim.lower, lower, -1),
        ("upper", claim.upper, upper, +1),
    ):
        if _inside(derived, claimed, sign, slack):
            text = f"{_text(claimed)} follows from the proof"
            found.append(Finding(f"{end} end of {name}", "agrees", text))
        else:
            text = f"claimed {end} end {_text(claimed)}; the proof gives only {_text(derived)}"
            found.append(Finding(f"{end} end of {name}", "fails", text))
    return found


def _words(name: str, claim: Certificate, function: Callable, *given: Any) -> list[Finding]:
    """Whether a claim is no stronger than its theorem, and speaks of the same quantity."""
    found = []
    for field, value in getattr(function, "promises", {}).items():
        may: Any = value(*given) if callable(value) else value
        got = getattr(claim, field)
        if may is ...:
            fits = True
        elif order := {"kind": KINDS, "verdict": VERDICTS}.get(field):
            fits = order.index(got) >= order.index(may)
        else:
            fits = all(part in got for part in may) if field == "of" else got == may
        if not fits:
            text = f"claims {field} {got!r}; what was derived is {may!r}"
            found.append(Finding(f"{field} of {name}", "fails", text))
    if claim.verdict == "conditional" and all(h.state != "assumed" for h in claim.hypotheses):
        text = "it is conditional, and no assumption is named"
        found.append(Finding(f"hypotheses of {name}", "fails", text))
    return found


def _function(bound: str) -> Callable | None:
    if bound in _outside:
        return _outside[bound]
    home, _, name = bound.partition(".")
    # `core.check` is this module: its functions check no bound
    if home not in HOMES or home == "core" or importlib.util.find_spec(f"infsup.{home}") is None:
        return None
    if importlib.util.find_spec(f"infsup.{home}.check") is None:
        return None
    module = importlib.import_module(f"infsup.{home}.check")
    found = vars(module).get(name)
    # its own public functions, and nothing that it imports: the name comes from the file
    own = isinstance(found, FunctionType) and found.__module__ == module.__name__
    return found if own and not name.startswith("_") else None


def _inside(derived: Any, claimed: Any, sign: int, slack: float) -> bool:
    """Whether a derived end lies inside the claimed one; NaN never does."""
    d, c = np.ravel(np.asarray(derived, object)), np.ravel(np.asarray(claimed, object))
    if d.shape != c.shape:
        return False
    for a, b in zip(d, c, strict=True):
        # Python compares floats and fractions exactly; room only where neither end is infinite
        fits = sign * a <= sign * b
        if not fits and slack and math.isfinite(a) and math.isfinite(b):
            room = Fraction(slack) * max(abs(Fraction(a)), abs(Fraction(b)))
            fits = sign * (Fraction(a) - Fraction(b)) <= room
        if not fits:
            return False
    return True


def _text(end: Any) -> str:
    a = np.asarray(end, object)
    if a.ndim == 0:
        value = a.item()
        return number_to_text(value) if isinstance(value, Fraction) else f"{float(value):.9g}"
    return f"{len(a)} numbers"


def _levels(stored: Any, certificates: list[Certificate]) -> list[Finding]:
    """Whether the certificates' levels are covered by what the ledger granted."""
    if stored is None:
        if any(c.level < 1.0 for c in certificates):
            return [Finding("level", "not re-checked", "no ledger was stored")]
        return []
    if not isinstance(stored, Record) or stored.name != "core.DeltaLedger":
        raise FileRejected("solution.json: the ledger is no ledger")
    try:
        entries = tuple((float(d), str(w)) for d, w in stored["entries"])
        ledger = DeltaLedger(float(stored["granted"]), entries)
    except (TypeError, ValueError) as e:
        return [Finding("level", "fails", str(e).splitlines()[0])]
    used = sum((1 - Fraction(c.level) for c in certificates), Fraction(0))
    spent = float(ledger.spent)
    if used > ledger.spent + len(certificates) * ROUNDED:
        text = f"the certificates use delta {float(used):.3g}, the ledger spent {spent:.3g}"
        return [Finding("level", "fails", text)]
    text = f"delta {spent:.3g} of {ledger.granted:g} spent on {len(entries)} statements"
    return [Finding("level", "agrees", text)]


def _replay(path: Any, problem: Any, like: Any) -> list[Finding]:
    """Certifies the stored answer anew, with the stored key, and the simple answers beside it."""
    from infsup.core.files import load
    from infsup.core.keys import branch
    from infsup.core.method import Outcome, stages
    from infsup.core.split import SeenRows
    from infsup.core.verbs import bracket

    solution = load(path, problem=problem, like=like)
    if solution.key is None:
        return [Finding("replay", "not re-checked", "no key was stored")]
    granted = solution.ledger.granted if solution.ledger else 0.01
    spent = {w: d for d, w in solution.ledger.entries} if solution.ledger else {}
    evidence = dict(solution.evidence)
    found = []

    def again(name: str, claim: Certificate, *arguments: Any) -> None:
        try:
            made = bracket(*arguments)
        except InfsupError as e:
            found.append(Finding(name, "not re-checked", e.what))
        except Exception as e:  # the answer comes from a file: whatever it does when it runs
            text = f"the answer does not run: {type(e).__name__}: {e}"
            found.append(Finding(name, "fails", text))
        else:
            found.append(_same_claim(name, claim, made))

    for number, (bound, claim) in enumerate(
        zip(solution.bounds, solution.certificates, strict=False)
    ):
        # a statement of certainty does not look at delta
        delta = spent.get(claim.bound, 1.0 - claim.level if claim.level < 1.0 else granted)
        key = branch(solution.key, "certify", 0, number)
        if solution.stopped_by == "reached":
            # looks happen after every, 2 every, 4 every, ... steps of the last stage
            every = int(getattr(stages(solution.method)[-1], "every", 1))
            look = max(solution.stages[-1].steps // max(every, 1), 1).bit_length()
            delta = spent.get(f"look {look}", granted / 2 ** (look + 1))
            key = branch(solution.key, "certify", look)
        outcome = Outcome(solution.answer, evidence)
        arguments = (bound, solution.problem, outcome, solution.seen, key, delta)
        again(f"replay of {claim.bound}", claim, *arguments)
    head = solution.bounds[0]
    shared = {k: evidence[k] for k in head.needs if k in evidence}
    simple = solution.problem.trivial()
    for name, claim in solution.comparators.items():
        if name not in simple:
            text = "the problem has no simple answer of this name"
            found.append(Finding(f"replay of {name[:60]}", "fails", text))
            continue
        outcome = Outcome(simple[name], shared)
        key = branch(solution.key, "certify", 0, 0)
        arguments = (head, solution.problem, outcome, SeenRows(), key, granted)
        again(f"replay of {name[:60]}", claim, *arguments)
    return found


def _same_claim(name: str, claim: Certificate, made: Certificate) -> Finding:
    """Whether a claim says what was found again, and no more."""
    for field in ("quantity", "of", "sense", "range", "goal", "verdict", "dtype", "bound"):
        if getattr(made, field) != getattr(claim, field):
            text = f"`{field}` is {getattr(made, field)!r}; claimed {getattr(claim, field)!r}"
            return Finding(name, "fails", text)
    if KINDS.index(made.kind) > KINDS.index(claim.kind):
        return Finding(name, "fails", f"it is `{made.kind}`; claimed `{claim.kind}`")
    if Fraction(claim.level) > Fraction(made.level) + ROUNDED:
        return Finding(name, "fails", f"level {made.level:.9g}; claimed {claim.level:.9g}")
    known = {(h.text, h.state) for h in claim.hypotheses}
    for h in made.hypotheses:
        if (h.text, h.state) not in known:
            return Finding(name, "fails", f"the hypothesis {h.text[:60]!r} ({h.state}) is missing")
    text = f"the model on the data gives [{_text(made.lower)}, {_text(made.upper)}]"
    lower = _inside(made.lower, claim.lower, -1, 1e-9)
    if lower and _inside(made.upper, claim.upper, +1, 1e-9):
        return Finding(name, "agrees", text)
    text += f"; claimed [{_text(claim.lower)}, {_text(claim.upper)}]"
    return Finding(name, "fails", text)

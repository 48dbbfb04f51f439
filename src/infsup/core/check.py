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
from typing import Any

import numpy as np

from infsup.core.certificate import Certificate
from infsup.core.encoding import Record, core_record, decode
from infsup.core.errors import FileRejected
from infsup.core.ledger import DeltaLedger
from infsup.core.registry import HOMES, name_of
from infsup.core.storage import number_to_text, read_folder

SLACK = 1e-12
"""Relative slack where the mathematics library may differ from machine to machine; none for
`proved`, whose ends are exact or widened by their own bound."""

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
    and returns (lower, upper), which the claimed bracket must contain.
    """
    name = bound if isinstance(bound, str) else name_of(bound)

    def put(function: Callable) -> Callable:
        _outside[name] = function
        return function

    return put


def check(path: Any, *, replay: bool = False, problem: Any = None, like: Any = None) -> Checked:
    """Derives the claims of a saved solution again.

    Args:
        path: the folder.
        replay: also run the model on the data again and certify anew (this needs JAX).
        problem, like: as for `infsup.load`, for the replay.

    Raises:
        FileRejected: the folder is damaged or holds no solution.
    """
    begun = time.monotonic()
    document, arrays = read_folder(path)
    if document.get("kind") != "solution" or document.get("schema") != 1:
        raise FileRejected(f"{path} holds no solution of a schema that is known here")
    lacks = [k for k in ("problem", "answer", "certificates", "ledger") if k not in document]
    if lacks:
        raise FileRejected(f"{path}: solution.json lacks `{lacks[0]}`")
    parts = {k: decode(document[k], arrays) for k in ("problem", "answer", "ledger")}
    claims = decode(document["certificates"], arrays)
    if not isinstance(claims, tuple) or not claims:
        raise FileRejected(f"{path}: solution.json holds no certificates")
    findings = [Finding("files", "agrees", "the checksums agree")]
    certificates = []
    for claim in claims:
        if not isinstance(claim, Record) or claim.name != "core.Certificate":
            raise FileRejected(f"{path}: solution.json holds no certificates")
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
    findings += _levels(parts["ledger"], certificates)
    if replay:
        findings += _replay(path, certificates, problem, like)
    return Checked(str(path), tuple(findings), time.monotonic() - begun, replay)


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
    try:
        lower, upper = function(problem, answer, claim.proof)
    except FileRejected as e:
        return [Finding(name, "not re-checked", str(e))]
    except Exception as e:  # a proof that its checker cannot read proves nothing
        return [Finding(name, "fails", f"the proof cannot be read: {type(e).__name__}: {e}")]
    slack = 0.0 if claim.kind == "proved" else SLACK
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


def _function(bound: str) -> Callable | None:
    if bound in _outside:
        return _outside[bound]
    home, _, name = bound.partition(".")
    if home in HOMES and importlib.util.find_spec(f"infsup.{home}.check") is not None:
        module = importlib.import_module(f"infsup.{home}.check")
        return vars(module).get(name) if not name.startswith("_") else None
    return None


def _inside(derived: Any, claimed: Any, sign: int, slack: float) -> bool:
    """Whether a derived end lies inside the claimed one; NaN never does."""
    d, c = np.ravel(np.asarray(derived, object)), np.ravel(np.asarray(claimed, object))
    if d.shape != c.shape:
        return False
    for a, b in zip(d, c, strict=True):
        if isinstance(a, Fraction) and isinstance(b, Fraction):
            fits = sign * (a - b) <= 0
        else:
            room = slack * max(abs(float(a)), abs(float(b))) if math.isfinite(float(b)) else 0.0
            fits = sign * float(a) <= sign * float(b) + room
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
        return []
    if not isinstance(stored, Record) or stored.name != "core.DeltaLedger":
        raise FileRejected("solution.json: the ledger is no ledger")
    try:
        entries = tuple((float(d), str(w)) for d, w in stored["entries"])
        ledger = DeltaLedger(float(stored["granted"]), entries)
    except (TypeError, ValueError) as e:
        return [Finding("level", "fails", str(e).splitlines()[0])]
    used = sum((1 - Fraction(c.level) for c in certificates), Fraction(0))
    # a level is stored as the float nearest to 1 - delta
    if used > ledger.spent + Fraction(len(certificates), 2**50):
        text = f"the certificates use delta {float(used):.3g}, the ledger spent {float(ledger.spent):.3g}"
        return [Finding("level", "fails", text)]
    text = (
        f"delta {float(ledger.spent):.3g} of {ledger.granted:g} spent on {len(entries)} statements"
    )
    return [Finding("level", "agrees", text)]


def _replay(path: Any, claims: list[Certificate], problem: Any, like: Any) -> list[Finding]:
    """Certifies the stored answer anew, with the stored key."""
    from infsup.core.errors import InfsupError
    from infsup.core.files import load
    from infsup.core.keys import branch
    from infsup.core.method import Outcome
    from infsup.core.verbs import bracket

    solution = load(path, problem=problem, like=like)
    found = []
    for number, (bound, claim) in enumerate(zip(solution.bounds, claims, strict=False)):
        name = f"replay of {claim.bound}"
        outcome = Outcome(solution.answer, dict(solution.evidence))
        # a single statement of certainty has level 1; its bound does not look at delta
        delta = 1.0 - claim.level if claim.level < 1.0 else float(solution.ledger.granted)
        spent = {w: d for d, w in solution.ledger.entries} if solution.ledger else {}
        delta = spent.get(claim.bound, delta)
        key = branch(solution.key, "certify", 0, number)
        if solution.stopped_by == "reached":
            look, count = None, 0
            for d, w in solution.ledger.entries:
                if w.startswith("look "):
                    look, count = d, int(w.removeprefix("look "))
            if look is None:
                found.append(Finding(name, "not re-checked", "the look's number is not stored"))
                continue
            delta, key = look, branch(solution.key, "certify", count)
        try:
            again = bracket(bound, solution.problem, outcome, solution.seen, key, delta)
        except InfsupError as e:
            found.append(Finding(name, "not re-checked", e.what))
            continue
        same = again.verdict == claim.verdict and (
            not claim.holds()
            or (
                _inside(again.lower, claim.lower, -1, 1e-9)
                and _inside(again.upper, claim.upper, +1, 1e-9)
            )
        )
        text = f"the model on the data gives [{_text(again.lower)}, {_text(again.upper)}]"
        if not same:
            text += f", {again.verdict}; claimed [{_text(claim.lower)}, {_text(claim.upper)}]"
        found.append(Finding(name, "agrees" if same else "fails", text))
    return found

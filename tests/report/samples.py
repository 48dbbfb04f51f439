"""A record of `infsup verify` in its schema, with invented theorems of every verdict."""

import json
from fractions import Fraction

import numpy as np

from infsup.core.storage import number_to_text

CODE = '''@theorem("A03", "The square")
def square(size, key, broken=False):
    """Why the constant is 4^-(m+1)."""
    # the interpolant of x^2 at 2^m + 1 points
    for m in range(1, 9):
        yield m, "<b>not bold</b>"
'''


def curve(x, y, label="", ink="ink", stroke="solid", top=None):
    return {"x": x, "y": y, "label": label, "ink": ink, "stroke": stroke, "top": top}


def figure(curves, x="", y="", caption="", log_y=False):
    words = {"x": x, "y": y, "caption": caption, "log_x": False, "log_y": log_y}
    return {"curves": curves, **words, "images": None}


def compared(quantity, measured, relation, bound, tolerance=0, text="", holds=True):
    numbers = {"measured": measured, "bound": bound, "tolerance": tolerance}
    said = {k: number_to_text(v) for k, v in numbers.items()}
    return {"quantity": quantity, "relation": relation, "text": text, "holds": holds, **said}


def _fall():
    m = np.arange(1, 9)
    error = 4.0 ** -(m + 1)
    return figure(
        [
            curve(m.tolist(), (2 * error).tolist(), "bound", stroke="dashed"),
            curve(m.tolist(), error.tolist(), "measured", "accent", "points"),
        ],
        "depth m",
        "largest error",
        "The error falls by a factor of four with each layer.",
        log_y=True,
    )


def entry(id, verdict="certified", found=None, *, figure=None, **more):
    fields = {
        "id": id,
        "title": "The square, to the last digit",
        "statement": r"\sup_{x\in[0,1]} \lvert x^2-f_m(x)\rvert = 4^{-(m+1)}",
        "hypotheses": ["$x$ in [0, 1]", "weights are dyadic"],
        "source": "Yarotsky 2017, Prop. 2 [yarotsky2017]",
        "pillar": "approximation",
        "kind": "proved",
        "file": "infsup/theorems/approximation.py",
        "line": 41,
        "code": CODE,
        "verdict": verdict,
        "compared": list(SQUARE if found is None else found),
        "figure": figure,
        "notes": "",
        "error": "",
        "seconds": 0.31,
    }
    return {**fields, **more}


SQUARE = tuple(
    compared(f"largest error, m = {m}", Fraction(1, 4 ** (m + 1)), "==", Fraction(1, 4 ** (m + 1)))
    for m in (1, 2, 4, 8)
)
BELOW = (
    compared("population risk", 0.031, "<=", 0.075, 0.002, "three standard errors of 10,000 draws"),
    compared("with 100 rows", 0.2, "<=", 0.25, 0.002),
)
WRONG = (compared("largest error", 0.01877, "<=", 0.01062, holds=False),)
GROWS = (compared("units", 1200, ">=", Fraction(2401, 7)),)
SMALL = (compared("residual", 3.1e-13, "<=", 1e-9), compared("never", float("inf"), ">=", 2.0))


def document():
    return {
        "kind": "verify",
        "schema": 1,
        "size": "quick",
        "broken": False,
        "seconds": 41.2,
        "versions": {"infsup": "0.1.0", "python": "3.11.7"},
        "key": 0,
        "theorems": [
            entry("A03", figure=_fall()),
            entry("A09", found=GROWS, title="Not with fewer units", seconds=12.0),
            entry(
                "B08",
                found=SMALL,
                title="A rate",
                pillar="optimization",
                kind="proved_real",
                figure=_fall(),
            ),
            entry(
                "C13",
                found=BELOW,
                pillar="generalization",
                kind="confidence",
                title="A hold-out set beside PAC-Bayes",
                statement=r"With probability at least $1-\delta$ over $n$ rows, "
                r"$$\operatorname{kl}(\hat R_Q\,\|\,R_Q)\le "
                r"\frac{\KL(Q\,\|\,P)+\ln\frac{2\sqrt n}{\delta}}{n}.$$",
            ),
            entry("D04", "consistent", BELOW, kind="estimate", pillar="control", title="A slope"),
            entry("D05", "refuted", WRONG, pillar="control", title="A wrong constant, planted"),
            entry(
                "D07",
                "refused",
                (),
                pillar="control",
                title="A value by reweighted paths",
                notes="the effective sample is 2 of 20,000 paths.",
            ),
            entry(
                "F07",
                "refused",
                (),
                pillar="generative",
                title="A check that crashed",
                error="ValueError: <script>",
            ),
        ],
    }


def broken():
    theorems = [
        {**t, "verdict": "refuted" if t["id"] != "A09" else "certified"}
        for t in document()["theorems"][:5]
    ]
    return {**document(), "broken": True, "theorems": theorems}


def write(folder, found=None, failing=None):
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document() if found is None else found)
    (folder / "verify.json").write_text(text, "utf-8")
    if failing is not None:
        (folder / "broken.json").write_text(json.dumps(failing), "utf-8")
    return folder

"""Units that a proved error takes: our networks against the constructions as printed in the papers.

The papers' counts are those of `infsup.approximation.papers`: their construction with its best
parameters for the same function and error, counted in their favour. Ours are networks whose error
is proved; the proof is part of the time.
"""

import time

import jax
from harness import Claim, Row, main, versions

jax.config.update("jax_enable_x64", True)

import infsup as isp  # noqa: E402  (after the flag)

FUNCTIONS = {"exp": "exp(x)", "sin 4x": "sin(4*x)", "1/(1+25x^2)": "1/(1 + 25*x**2)"}
EPS = (1e-2, 1e-4, 1e-6, 1e-8, 1e-10)
COLUMN = {
    ("exp", 1e-2): 11,
    ("exp", 1e-4): 29,
    ("exp", 1e-6): 57,
    ("exp", 1e-8): 79,
    ("exp", 1e-10): 123,
    ("sin 4x", 1e-4): 53,
    ("sin 4x", 1e-8): 127,
    ("1/(1+25x^2)", 1e-4): 53,
    ("1/(1+25x^2)", 1e-6): 87,
    ("1/(1+25x^2)", 1e-8): 147,
}
"""Units of the prototype; the bar is 5 % or 4 units above."""
PAPERS = ("Yarotsky", "Chebyshev tree", "Paterson-Stockmeyer", "shallow")


def claim() -> Claim:
    """Every function at every error, on [-1, 1]."""
    rows, raw = [], {}
    for name, text in FUNCTIONS.items():
        for eps in EPS:
            problem = isp.approximation.Approximate(text, (-1.0, 1.0), eps)
            t = time.perf_counter()
            s = isp.solve(problem, progress=False)
            seconds = time.perf_counter() - t
            c, ours = s.certificate, s.answer.counts.units
            counts = isp.approximation.papers_counts(problem)
            units = {p: counts[p].units for p in PAPERS}
            best = min(units["Yarotsky"], units["Chebyshev tree"])
            values = {
                "ours": f"{ours:,}",
                **{p: f"{n:,}" for p, n in units.items()},
                "papers/ours": f"{best / ours:.1f}",
                "proved error": f"[{c.lower:.3g}, {c.upper:.3g}]",
                "verdict": c.verdict,
                "s": f"{seconds:.2f}",
            }
            proved = c.verdict == "certified" and c.kind == "proved" and c.met == "yes"
            bar = "proved: " + ("reached" if proved else "MISSED")
            if (name, eps) in COLUMN:
                most = COLUMN[name, eps] + max(4, int(0.05 * COLUMN[name, eps]))
                bar = f"proved, <= {most}: {'reached' if proved and ours <= most else 'MISSED'}"
            rows.append(Row(f"{name}, {eps:g}", values, bar))
            raw[f"{name} {eps:g}"] = {
                "ours": ours,
                "counts": vars(s.answer.counts) if hasattr(s.answer.counts, "__dict__") else {},
                "papers": units,
                "lower": str(c.lower),
                "upper": str(c.upper),
                "seconds": seconds,
            }
    return Claim(
        "ReLU units for a proved sup-norm error on [-1, 1], against the papers' constructions",
        rows,
        raw,
        versions("infsup", "python-flint"),
        "papers/ours: the smaller of Yarotsky and Chebyshev tree over ours. shallow is the best "
        "one-hidden-layer network. Skip connections are allowed (Yarotsky's convention) for all.",
    )


if __name__ == "__main__":
    main(claim, "certified_size")

"""Units of our networks against the table of sizes: within 5 % or 4 units, and below the papers."""

import pytest

import infsup as isp
from infsup.approximation import Approximate, papers_counts

pytestmark = pytest.mark.usefixtures("x64")

RUNGE = "1/(1 + 25*x**2)"
TABLE = {
    ("exp(x)", 1e-2): 11,
    ("exp(x)", 1e-4): 29,
    ("exp(x)", 1e-6): 57,
    ("exp(x)", 1e-8): 79,
    ("sin(4*x)", 1e-4): 53,
    ("sin(4*x)", 1e-8): 127,
    (RUNGE, 1e-4): 53,
    (RUNGE, 1e-8): 147,
    ("abs(x)**1.5", 1e-6): 77,
    ("abs(x)**1.5", 1e-8): 133,
    ("abs(x)**1.5", 1e-10): 255,
}
QUICK = [("exp(x)", 1e-4), ("exp(x)", 1e-6), ("sin(4*x)", 1e-4)]
LONG = [key for key in TABLE if key not in QUICK]


def check(f, eps):
    problem = Approximate(f, (-1.0, 1.0), eps)
    s = isp.solve(problem, progress=False)
    c, units = s.certificate, s.answer.counts.units
    assert (c.verdict, c.kind, c.met) == ("certified", "proved", "yes")
    assert units <= TABLE[f, eps] + max(4, 0.05 * TABLE[f, eps])
    counts = papers_counts(problem)
    assert all(units < counts[n].units for n in ("Yarotsky", "Chebyshev tree") if n in counts)


@pytest.mark.parametrize(("f", "eps"), QUICK)
def test_the_table(f, eps):
    check(f, eps)


@pytest.mark.slow
@pytest.mark.parametrize(("f", "eps"), LONG)
def test_the_rest_of_the_table(f, eps):
    check(f, eps)

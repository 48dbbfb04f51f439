"""Draws the pictures of README and guides from solutions: python tools/make_picture.py."""

import pathlib

import jax
import numpy as np

import infsup
from infsup.core.bracket import svg
from infsup.core.figure import Figure
from infsup.report.figures import draw
from infsup.report.pictures import picture

DOCS = pathlib.Path(__file__).parent.parent / "docs"


def bracket(solution) -> str:
    """The certificate of the README, with what is known and what is trivial beside it."""
    return svg(
        solution.certificate,
        truth=solution.problem.truth,
        comparators={"do nothing": float(solution.comparators["do nothing"].upper)},
        width=640,
    )


def drawn(solution) -> str:
    """What a report shows of the answer; tiles as one sheet."""
    shown = picture(solution)
    figure = shown.figure or Figure(
        images=np.stack([tile.image for tile in shown.tiles])[None], caption=shown.caption
    )
    return draw(figure, solution.certificate.verdict)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    hjb, softmax, digits = (
        infsup.solve(infsup.problem(name), progress=False)
        for name in ("hjb-lq-100", "digits-softmax", "digits")
    )
    asked = infsup.approximation.Approximate("exp(-x)*sin(3*x)", (0.0, 6.0), eps=1e-8)
    network = infsup.solve(asked, progress=False)
    for name, text in (
        ("error", drawn(network)),
        ("hjb-lq-100", bracket(hjb)),
        ("costs", drawn(hjb)),
        ("newton", drawn(softmax)),
        ("misread", drawn(digits)),
    ):
        # a picture by itself follows the reader's light or dark only if it says that it can
        text = text.replace("<style>", "<style>svg{color-scheme:light dark}", 1)
        (DOCS / f"{name}.svg").write_text(text + "\n", encoding="utf-8")
        print(f"docs/{name}.svg: {len(text):,} characters")


if __name__ == "__main__":
    main()

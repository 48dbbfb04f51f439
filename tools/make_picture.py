"""Draws docs/hjb-lq-100.svg, the picture of the README: python tools/make_picture.py."""

import pathlib

import jax

import infsup


def picture() -> str:
    """The bracket of the default solution, with what is known and what is trivial beside it."""
    jax.config.update("jax_enable_x64", True)
    solution = infsup.solve(infsup.problem("hjb-lq-100"), progress=False)
    from infsup.core.bracket import svg

    drawn = svg(
        solution.certificate,
        truth=solution.problem.truth,
        comparators={"do nothing": float(solution.comparators["do nothing"].upper)},
        width=640,
    )
    # a picture by itself follows the reader's light or dark only if it says that it can
    return drawn.replace("<style>", "<style>svg{color-scheme:light dark}", 1) + "\n"


if __name__ == "__main__":
    pathlib.Path("docs/hjb-lq-100.svg").write_text(picture(), encoding="utf-8")

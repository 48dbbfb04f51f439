"""What people look at: figures as SVG, formulas as MathML, and the report as one page."""

from infsup.core.lazy import lazy

PUBLIC = {"draw": "figures", "to_mathml": "math"}

__getattr__, __dir__ = lazy(__name__, PUBLIC)

"""Learning problems of the gallery."""

from infsup.data import digits as read_digits
from infsup.generalization.problem import EmpiricalRisk
from infsup.networks import Linear


def digits(key: int = 0, share: float = 0.8) -> EmpiricalRisk:
    """Classification of the packaged digits.

    Args:
        key: of the split.
        share: of the rows to fit.
    """
    return EmpiricalRisk(read_digits(), key=key, share=share)


def digits_softmax(ridge: float = 1e-3, key: int = 0, share: float = 0.8) -> EmpiricalRisk:
    """Regularised softmax regression on the packaged digits: convex.

    Args:
        ridge: weight of |W|^2 / 2, > 0.
        key: of the split.
        share: of the rows to fit.
    """
    return EmpiricalRisk(read_digits(), model=Linear(), ridge=ridge, key=key, share=share)

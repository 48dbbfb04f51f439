"""One-variable networks with smooth activations as plain numbers, and their Taylor coefficients.

No JAX here: weights are float64 arrays, taken as the real numbers that they are, and every
coefficient is a ball of python-flint that contains the true one.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from flint import arb, arb_mat

Series = list[arb]
"""Taylor coefficients: entry k contains g^(k)(s)/k! for every s of the ball they were made for."""


class Layer(NamedTuple):
    """y = activation(W x + b), entry by entry.

    Args:
        W: float64 [out, in].
        b: float64 [out].
        activation: a name of `ACTIVATIONS`.
    """

    W: np.ndarray
    b: np.ndarray
    activation: str


class Head(NamedTuple):
    """sum_j v_j softmax(slopes x + offsets)_j: one attention head with a scalar query.

    Args:
        slopes, offsets, values: float64 [keys].
    """

    slopes: np.ndarray
    offsets: np.ndarray
    values: np.ndarray


Network = tuple[Layer, ...] | Head


# -- functions of a series ------------------------------------------------------------------------


def product(y: Series, z: Series) -> Series:
    """Coefficients of y z."""
    return [sum((y[i] * z[k - i] for i in range(k + 1)), arb(0)) for k in range(len(y))]


def chain(outer: Callable[[Series], Series], first: arb, z: Series) -> Series:
    """Coefficients of y with y' = outer(y) z' and y = `first`, for `outer` causal in y."""
    y = [first]
    slopes = [k * c for k, c in enumerate(z)][1:]
    for k in range(1, len(z)):
        rate = outer(y)
        y.append(sum((rate[i] * slopes[k - 1 - i] for i in range(k)), arb(0)) / k)
    return y


def primitive(rate: Series, first: arb, z: Series) -> Series:
    """Coefficients of y with y' = rate z' and y = `first`."""
    return chain(lambda y: rate[: len(y)], first, z)


def slope_of_tanh(y: Series) -> Series:
    """Coefficients of 1 - y^2."""
    square = product(y, y)
    return [1 - square[0], *(-c for c in square[1:])]


def tanh(z: Series) -> Series:
    """Coefficients of tanh: t' = 1 - t^2."""
    return chain(slope_of_tanh, z[0].tanh(), z)


def sigmoid(z: Series) -> Series:
    """Coefficients of 1/(1 + e^-z), by tanh(z/2)."""
    return [(c + (k == 0)) / 2 for k, c in enumerate(tanh([c / 2 for c in z]))]


def softplus(z: Series) -> Series:
    """Coefficients of log(1 + e^z), whose derivative is the sigmoid."""
    # log(1 + e^z) = z + log(1 + e^-z): the form whose exponential is small
    first = z[0].exp().log1p() if z[0].mid() < 0 else z[0] + (-z[0]).exp().log1p()
    return primitive(sigmoid(z), first, z)


def silu(z: Series) -> Series:
    """Coefficients of z sigmoid(z)."""
    return product(z, sigmoid(z))


def exponential(z: Series) -> Series:
    """Coefficients of e^z."""
    return chain(lambda y: y, z[0].exp(), z)


def gelu(z: Series) -> Series:
    """Coefficients of z Phi(z): Phi' is the normal density."""
    root = arb(2).sqrt()
    density = exponential([-c / 2 for c in product(z, z)])
    scale = (2 * arb.pi()).rsqrt()
    distribution = primitive([scale * c for c in density], (-z[0] / root).erfc() / 2, z)
    return product(z, distribution)


def gelu_by_tanh(z: Series) -> Series:
    """Coefficients of z/2 (1 + tanh(sqrt(2/pi) (z + 0.044715 z^3)))."""
    cube = product(product(z, z), z)
    scale = (2 / arb.pi()).sqrt()
    inner = [scale * (c + arb(44715) / 10**6 * d) for c, d in zip(z, cube, strict=True)]
    return product(z, [(c + (k == 0)) / 2 for k, c in enumerate(tanh(inner))])


def sine(z: Series, quarter: int = 0) -> Series:
    """sin(z + quarter pi/2)."""
    turned = z[0] + quarter * arb.pi() / 2
    derivatives = [turned.sin(), turned.cos()]
    powers, y = [arb(1)] + [arb(0)] * (len(z) - 1), [arb(0)] * len(z)
    h = [arb(0), *z[1:]]
    for k in range(len(z)):
        c = derivatives[k % 2] * (-1 if k % 4 > 1 else 1) / math.factorial(k)
        y = [a + c * p for a, p in zip(y, powers, strict=True)]
        powers = product(powers, h)
    return y


ACTIVATIONS: dict[str, Callable[[Series], Series]] = {
    "identity": lambda z: z,
    "tanh": tanh,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "silu": silu,
    "gelu": gelu,
    "gelu_by_tanh": gelu_by_tanh,
    "sin": sine,
    "cos": lambda z: sine(z, 1),
    "exp": exponential,
    "square": lambda z: product(z, z),
}
"""The activations whose Taylor coefficients are known here; `gelu` is x Phi(x), and `gelu_by_tanh`
is x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), both with real constants."""


# -- a network on a box ---------------------------------------------------------------------------


def tighten(box: Series, middle: Series, radius: arb) -> Series:
    """Smaller coefficients over a box, from those at its middle.

    With c_k(s) = g^(k)(s)/k! one has c_k' = (k + 1) c_{k+1}, so by the mean value theorem
    c_k(s) lies in c_k(m) + (k + 1) c_{k+1}(box) [-r, r]: one order in r better than evaluating
    each layer on the box, which loses the dependence between units.
    """
    out = list(box)
    for k in range(len(box) - 2, -1, -1):
        other = middle[k] + (k + 1) * out[k + 1] * radius * arb(0, 1)
        if other.is_finite() and not out[k].rad() <= other.rad():
            out[k] = other
    return out


class Taylor:
    """Taylor coefficients of a network, at points and over boxes.

    Args:
        network: its numbers.
        order: highest coefficient, at least 2.
    """

    def __init__(self, network: Network, order: int):
        self.network, self.order = network, order
        if not isinstance(network, Head):
            self.weights = [
                (arb_mat([[arb(w) for w in row] for row in layer.W.tolist()]), layer.b.tolist())
                for layer in network
            ]

    def at(self, middle: arb, radius: arb) -> tuple[Series, Series]:
        """Coefficients at the middle of a box, and over the box.

        Args:
            middle: an exact ball.
            radius: an exact ball, >= 0.
        """
        if isinstance(self.network, Head):
            point, over = self._head(middle, arb(0)), self._head(middle, radius)
            return point, tighten(over, point, radius)
        rest = [arb(1)] + [arb(0)] * (self.order - 1)
        points, boxes = [[middle, *rest]], [[middle + radius * arb(0, 1), *rest]]
        for (matrix, shift), layer in zip(self.weights, self.network, strict=True):
            act = ACTIVATIONS[layer.activation]
            points, boxes = _affine(matrix, shift, points), _affine(matrix, shift, boxes)
            boxes = [tighten(b, p, radius) for b, p in zip(boxes, points, strict=True)]
            if layer.activation != "identity":
                points, boxes = [act(p) for p in points], [act(b) for b in boxes]
                boxes = [tighten(b, p, radius) for b, p in zip(boxes, points, strict=True)]
        return points[0], boxes[0]

    def _head(self, middle: arb, radius: arb) -> Series:
        assert isinstance(self.network, Head)
        slopes, offsets, values = self.network
        # all scores are taken relative to the largest, so that the denominator is at least 1
        top = int(np.argmax(slopes * float(middle) + offsets))
        above = [arb(0)] * (self.order + 1)
        below = list(above)
        x = middle + radius * arb(0, 1)
        for s, o, v in zip(slopes.tolist(), offsets.tolist(), values.tolist(), strict=True):
            slope = arb(s) - arb(float(slopes[top]))
            term = (slope * x + (arb(o) - arb(float(offsets[top])))).exp()
            for k in range(self.order + 1):
                above[k] += arb(v) * term
                below[k] += term
                term = term * slope / (k + 1)
        return quotient(above, below)


def quotient(y: Series, z: Series) -> Series:
    """Coefficients of y/z."""
    out: Series = []
    for k in range(len(y)):
        rest = sum((out[i] * z[k - i] for i in range(k)), arb(0))
        out.append((y[k] - rest) / z[0])
    return out


def _affine(matrix: arb_mat, shift: Sequence[float], series: list[Series]) -> list[Series]:
    out = (matrix * arb_mat(series)).tolist()
    for row, b in zip(out, shift, strict=True):
        row[0] += arb(b)
    return out

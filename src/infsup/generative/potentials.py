r"""Smooth potentials with a known curvature, for lower bounds of W2 by duality.

    phi(y) = <a, y> + <y, B y>/2 + sum_j c_j cos(<w_j, y>) + s_j sin(<w_j, y>)

has Hessian at most 2 beta with beta = (lambda_max(B)^+ + sum_j |(c_j, s_j)| |w_j|^2)/2. Where
beta < 1, the function y -> |x - y|^2 - phi(y) is 2 (1 - beta)-strongly convex, so at any y^

    psi(x) = inf_y |x - y|^2 - phi(y) >= |x - y^|^2 - phi(y^) - |2 (y^ - x) - grad phi(y^)|^2
                                         / (4 (1 - beta)),

and W2^2(P, Q) >= E_P phi + E_Q psi for any such phi.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

STRONGEST = 0.9
"""Largest beta; steeper potentials are scaled down to it."""
ROUNDS = 40


@dataclass(frozen=True)
class Potential:
    """A potential; centre and waves fixed, the rest linear coefficients.

    Args:
        centre: [d], y is measured from it.
        waves: [m, d].
        linear: [d].
        square: [d, d], symmetric.
        cosine, sine: [m].
    """

    centre: np.ndarray
    waves: np.ndarray
    linear: np.ndarray
    square: np.ndarray
    cosine: np.ndarray
    sine: np.ndarray

    @property
    def beta(self) -> float:
        """Half a bound of the largest eigenvalue of the Hessian, over all of space."""
        top = max(float(np.linalg.eigvalsh(self.square)[-1]), 0.0)
        size = np.hypot(self.cosine, self.sine) * (self.waves**2).sum(1)
        return 0.5 * (top + float(size.sum()))

    def __call__(self, y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """Phi."""
        y = y - self.centre
        phase = y @ self.waves.T
        return (
            y @ self.linear
            + 0.5 * np.einsum("ni,ij,nj->n", y, self.square, y)
            + np.cos(phase) @ self.cosine
            + np.sin(phase) @ self.sine
        )

    def gradient(self, y: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Grad phi."""
        y = y - self.centre
        phase = y @ self.waves.T
        turn = np.cos(phase) * self.sine - np.sin(phase) * self.cosine
        return self.linear + y @ self.square + turn @ self.waves

    def conjugate_lower(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
        """A lower bound of psi, equal to it up to the residual of a fixed point."""
        y = x
        for _ in range(ROUNDS):
            y = x + 0.5 * self.gradient(y)
        left = 2 * (y - x) - self.gradient(y)
        slack = (left**2).sum(1) / (4 * (1 - self.beta))
        return ((x - y) ** 2).sum(1) - self(y) - slack

    def scaled(self, by: float) -> "Potential":
        """By * phi."""
        parts = (self.linear, self.square, self.cosine, self.sine)
        return Potential(self.centre, self.waves, *(by * p for p in parts))


def fitted(
    x: Float[np.ndarray, "n d"], y: Float[np.ndarray, "n d"], rng: np.random.Generator
) -> Potential:
    """A potential whose gradient is near 2 (y - x), from coupled pairs x of Q and y of P.

    For small displacements E phi(y) + E psi(x) = E|y - x|^2 - E|grad phi(y)/2 - (y - x)|^2, so the
    best one is a least-squares fit; the ridge is the one that does best on the other half.
    """
    n, d = y.shape
    centre, size = y.mean(0), float(np.sqrt(y.var(0).mean())) + 1e-12
    scales = size / np.array([0.5, 1.0, 2.0, 4.0])
    waves = rng.standard_normal((96, d)) / np.repeat(scales, 24)[:, None]
    pairs = [(i, j) for i in range(d) for j in range(i, d)]
    half = n // 2
    gradients = _gradients(y[:half] - centre, waves, pairs)
    wanted = 2 * (y[:half] - x[:half]).ravel()
    gram, right = gradients.T @ gradients / half, gradients.T @ wanted / half
    # a coefficient costs its curvature: only so much is to be had
    weight = np.diag(gram) + 1e-12
    best, found = -np.inf, None
    for ridge in (1e-3, 1e-2, 1e-1):
        solved = np.linalg.solve(gram + ridge * np.diag(weight), right)
        linear, rest = solved[:d], solved[d:]
        square = np.zeros((d, d))
        for (i, j), value in zip(pairs, rest[: len(pairs)], strict=True):
            square[i, j] = square[j, i] = value
        cosine, sine = np.split(rest[len(pairs) :], 2)
        phi = Potential(centre, waves, linear, square, cosine, sine)
        phi = phi.scaled(min(1.0, STRONGEST / max(phi.beta, 1e-12)))
        value = float((phi(y[half:]) + phi.conjugate_lower(x[half:])).mean())
        if value > best or found is None:
            best, found = value, phi
    assert found is not None
    return found


def _gradients(y: np.ndarray, waves: np.ndarray, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Gradients of all features at y, [n d, features], in the order of the coefficients."""
    n, d = y.shape
    phase = y @ waves.T
    parts = [np.broadcast_to(np.eye(d)[None], (n, d, d))]
    squares = np.zeros((n, d, len(pairs)))
    for k, (i, j) in enumerate(pairs):
        squares[:, i, k] += y[:, j]
        if i != j:
            squares[:, j, k] += y[:, i]
    parts.append(squares)
    parts.append(-np.sin(phase)[:, None, :] * waves.T)
    parts.append(np.cos(phase)[:, None, :] * waves.T)
    return np.concatenate(parts, 2).reshape(n * d, -1)

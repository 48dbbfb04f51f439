"""The gallery: named instances with their known truths and sources; the list imports no JAX."""

import importlib
import inspect
from dataclasses import dataclass
from typing import Any

from infsup.core.errors import UsageError, nearest


@dataclass(frozen=True)
class Entry:
    """One instance of the gallery.

    Args:
        title: one line: what is asked.
        pillar: the package whose problem it is.
        home: module below `infsup.problems` that makes it; the function has the name's words.
        source: where it comes from.
        statement: the quantity that is bracketed, words with formulas in dollars.
        truth: what is known of it otherwise, and how.
    """

    title: str
    pillar: str
    home: str
    source: str
    statement: str = ""
    truth: str = ""


GALLERY = {
    "digits": Entry(
        "How often does a trained network misread a handwritten digit?",
        "generalization",
        "learning",
        "Optical digits (Alpaydin & Kaynak 1998, UCI), 1,797 images, as shipped by scikit-learn",
        r"$$R(N)=\P\bigl\{\argmax_k N_k(X)\ne Y\bigr\}$$ over the law of $(X,Y)$ behind 1,797 "
        r"labelled images, $X\in[0,1]^{64}$, $Y\in\{0,\dots,9\}$. The network sees 1,438.",
        "Unknown. The errors on the 359 other rows are counted exactly; the law behind them is "
        "bracketed from the count.",
    ),
    "digits-softmax": Entry(
        "How far is softmax regression on the digits from its least regularised loss?",
        "generalization",
        "learning",
        "The same digits; convex, so the least value is bracketed",
        r"$$F(W,b)-\min F,\qquad F(W,b)=\frac1n\sum_{i=1}^n\Bigl(\ln\sum_k e^{z_{ik}}"
        r"-z_{iy_i}\Bigr)+\frac r2\bigl(|W|^2+|b|^2\bigr),\qquad z_i=Wx_i+b,\quad r=10^{-3}.$$",
        "The least value has no closed form. F is strongly convex with r, so the gradient at a "
        "point says how far above it the point is.",
    ),
    "hjb-lq-100": Entry(
        "What does the best control of this noisy 100-dimensional system cost?",
        "control",
        "controlled",
        "Han, Jentzen & E, PNAS 2018, section HJB; exact value by the Cole-Hopf transform",
        r"$$V(0,0)=\min_u\,\E\Bigl[\int_0^1|u_t|^2\,dt+g(X_1)\Bigr],\qquad "
        r"dX=2\sqrt\lambda\,u\,dt+\sqrt2\,dW,\qquad g(x)=\ln\frac{1+|x|^2}2,$$ "
        r"in dimension 100, $X_0=0$, $\lambda=1$.",
        r"By the Cole-Hopf transform $V(0,0)=-\frac1\lambda\ln\E\,e^{-\lambda g(\sqrt2\,\xi)}$ "
        r"with $\xi\sim N(0,I)$: an integral over $|\xi|^2$ alone, 4.590162.",
    ),
    "double-integrator": Entry(
        "What does the best control of a cart on a line cost, with quadratic cost?",
        "control",
        "controlled",
        "Textbook linear-quadratic regulator; exact value by its Riccati equation",
        r"$$J(u)-\min J,\qquad J(u)=\int_0^2\bigl(x^2+\dot x^2+u^2\bigr)\,dt+x(2)^2+\dot x(2)^2,"
        r"\qquad\ddot x=u,\quad x(0)=1,\ \dot x(0)=0.$$",
        r"The least cost is $x_0^{\mathsf T}P(0)\,x_0$ with $P$ of the Riccati equation.",
    ),
    "eight-gaussians": Entry(
        "How far is a learned sampler from eight Gaussians on a circle?",
        "generative",
        "transported",
        "The ring of eight Gaussians of the flow-matching literature; its velocity in closed form",
        r"$$W_2\Bigl(\text{law of the model},\ \frac18\sum_{k=1}^8N(m_k,I)\Bigr),\qquad "
        r"m_k=5\,\Bigl(\cos\frac{k\pi}4,\ \sin\frac{k\pi}4\Bigr).$$",
        "The target's density and the velocity that leads to it are known in closed form; the "
        "distance of a trained model is not.",
    ),
    "digits-flow": Entry(
        "How far are generated digits from real ones that were held out?",
        "generative",
        "transported",
        "The digits of the UCI repository, as draws of a law on [0, 1]^64",
        r"$$W_2\Bigl(\text{law of the model},\ \frac1{359}\sum_i\delta_{x_i}\Bigr)$$ over the 359 "
        r"images $x_i\in[0,1]^{64}$ that were held out.",
        "Unknown. A sample of the rows to fit, bracketed likewise, shows what the data themselves "
        "would score.",
    ),
}


def problem(name: str, **parameters: Any) -> Any:
    """A problem of the gallery.

    Args:
        name: e.g. "hjb-lq-100"; `infsup list problems` shows them.
        parameters: of the instance, e.g. `lam=20.0`.

    Raises:
        UsageError: an unknown name or parameter; says the nearest.
    """
    if not isinstance(name, str) or name not in GALLERY:
        raise UsageError(f"there is no problem `{name}`", remedy=nearest(str(name), GALLERY))
    make = maker(name)
    known = inspect.signature(make).parameters
    for p in parameters:
        if p not in known:
            raise UsageError(
                f"`{name}` has no parameter `{p}`",
                remedy=nearest(p, known) if known else "no parameters",
            )
    return make(**parameters)


def maker(name: str) -> Any:
    """The function that makes an instance."""
    module = importlib.import_module(f"infsup.problems.{GALLERY[name].home}")
    return getattr(module, name.replace("-", "_"))

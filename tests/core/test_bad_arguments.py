"""Hostile arguments: one error of ours that names the argument, whatever class takes it."""

import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toy

import infsup as isp
from infsup.core.errors import InfsupError, UsageError
from infsup.core.fields import look_at_fields
from infsup.core.registry import named, public

HOSTILE = {
    "None": None, "text": "zzz", "list": [], "dict": {3: 4}, "complex": 1 + 2j, "type": int,
    "array": np.ones((2, 3)), "object": np.array([None, "a"], object), "nan": float("nan"),
    "bytes": b"x", "negative": -1, "huge": 10**30, "lambda": lambda: 1,
}  # fmt: skip

CLASSES = [
    (name, table)
    for table in ("METHODS", "BOUNDS")
    for name in public(table)
    if all(
        p.default is not p.empty
        for p in inspect.signature(named(table, name)).parameters.values()
        if p.name != "self"
    )
]


@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")  # Equinox, before us
@pytest.mark.parametrize(("name", "table"), CLASSES)
def test_a_field_takes_it_or_names_itself(name, table, unchecked):
    cls = named(table, name)
    for p in inspect.signature(cls).parameters:
        for word, value in HOSTILE.items():
            said = p
            try:
                cls(**{p: value})
            except InfsupError as e:
                said = str(e)
            except Exception as e:
                raise AssertionError(f"{name}({p}=<{word}>): {type(e).__name__}: {e}") from e
            assert p in said, (p, word)


def solve(**kw):
    return isp.solve(**{"problem": toy.bowl(), "method": toy.Centre(), **kw})


CALLS = {
    "bounds": lambda x: solve(bounds=x),
    "callbacks": lambda x: solve(bounds=toy.Distance(), callbacks=x),
    "stop": lambda x: solve(bounds=toy.Distance(), stop=x),
    "evidence": lambda x: isp.certify(toy.bowl(), jnp.zeros(3), toy.Distance(), evidence=x),
    "problem": lambda x: isp.run(x, toy.Centre(), 0),
    "entries": lambda x: isp.DeltaLedger(0.01, x),
    "columns": isp.DataSet,
    "parts": lambda x: isp.compose(x, quantity="q", of="o", lower=0.0, upper=1.0, bound="b"),
    "hypotheses": lambda x: isp.Certificate("q", "o", 0.0, 1.0, "proved", "b", hypotheses=x),
    "bound": lambda x: isp.checker(x)(lambda *_: (0.0, 1.0)),
    "cls": isp.register,
    "looks": isp.Plateau,
    "limit": isp.Seconds,
    "target": isp.Reach,
    "path": lambda x: isp.Checkpoint(x),
    "f": lambda x: isp.evaluate(x, np.ones(3)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_verbs_name_what_they_cannot_use(name, unchecked):
    for word in ("complex", "lambda", "object", *(["type"] if name != "bound" else [])):
        with pytest.raises(InfsupError) as error:
            CALLS[name](HOSTILE[word])
        assert name in str(error.value), word


def test_only_plain_fields_are_looked_at():
    @dataclasses.dataclass
    class Own:
        rate: float | int | jax.Array = 1.0
        free: object = None
        text: str | None = None

        def __post_init__(self):
            getattr(self, "__check_init__", lambda: None)()

    look_at_fields(Own)  # of the user's
    assert Own(rate="x").rate == "x"
    Own.__module__ = "infsup.own"
    look_at_fields(Own)
    for good in ({}, {"rate": np.float32(1)}, {"rate": jnp.ones(())}, {"free": []}, {"text": "a"}):
        Own(**good)
    for bad in ({"rate": "x"}, {"rate": True}, {"rate": None}, {"text": 3}, {"rate": np.ones(2)}):
        with pytest.raises(UsageError, match=next(iter(bad))):
            Own(**bad)

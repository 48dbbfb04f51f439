"""`infsup doctor`: what is installed here, and whether it works."""

import importlib.metadata
import importlib.util
import os
import platform
import time
from typing import Annotated, Any

import typer

from infsup.cli.exits import DONE, FAILED
from infsup.cli.screen import screen

EXTRAS = {
    "onnx": ("onnx", "onnxruntime"),
    "ot": ("ott",),
    "pep": ("clarabel",),
    "gym": ("gymnasium",),
    "mujoco": ("gymnasium", "mujoco"),
    "data": ("sklearn",),
    "tensorboard": ("tensorboardX",),
    "orbax": ("orbax",),
}
"""Extra of pyproject.toml -> the modules that it brings."""


def doctor(
    test: Annotated[
        bool, typer.Option("--test", help="Also solve, save and check a small problem, with JAX.")
    ] = False,
) -> int:
    """Say what is installed here, and with --test whether it works."""
    import infsup

    tested: dict[str, Any] | None = _test() if test else None
    code = FAILED if tested is not None and not tested["agrees"] else DONE
    cores = os.cpu_count() or 1
    free = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    cache = os.environ.get("JAX_COMPILATION_CACHE_DIR", "")
    extras = {
        name: all(importlib.util.find_spec(m) is not None for m in modules)
        for name, modules in EXTRAS.items()
    }
    flag = os.environ.get("JAX_ENABLE_X64", "").lower() in ("1", "true", "yes", "on")
    document = {
        "status": {"verdict": "done" if code == DONE else "fails", "exit": code},
        "versions": {
            "python": platform.python_version(),
            "infsup": infsup.__version__,
            **{n: _version(n) for n in ("jax", "jaxlib", "equinox", "numpy", "scipy")},
        },
        "cores": free,
        "machine": platform.machine(),
        "64_bit": {"shell": True, "python": flag},
        "compile_cache": cache,
        "extras": extras,
        "test": tested,
    }
    screen.emit(document)
    if screen.quiet:
        screen.say("fails" if code else "ok")
        return code
    yes, no = ("+", "-") if screen.ascii else ("✓", "–")
    v = document["versions"]
    rows = [
        ("python", f"{v['python']}   jax {v['jax'] or 'is missing'}   infsup {v['infsup']}"),
        ("device", tested["device"] if tested else f"{free} cores; devices with --test"),
        (
            "64-bit",
            f"{yes} on for every shell command; in Python "
            + (
                "on by JAX_ENABLE_X64"
                if flag
                else 'off until jax.config.update("jax_enable_x64", True)'
            ),
        ),
        (
            "cache",
            f"{yes} compiled programs are kept in {cache}"
            if cache
            else "! compiled programs are not kept. Try JAX_COMPILATION_CACHE_DIR=DIR "
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0.1",
        ),
        ("extras", "   ".join(f"{n} {yes if has else no}" for n, has in extras.items())),
    ]
    missing = [n for n, has in extras.items() if not has]
    if missing:
        rows.append(("", f'in a clone: pip install ".[{",".join(missing)}]"'))
    if tested:
        sign = yes if tested["agrees"] else ("x" if screen.ascii else "✗")
        rows.append(("test", f"{sign} {tested['text']}   {tested['seconds']:.1f} s"))
    else:
        rows.append(("next", "infsup doctor --test"))
    screen.rows(rows, label=9)
    return code


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _test() -> dict[str, Any]:
    """Devices, 64-bit, and a small problem solved, saved and checked."""
    import pathlib
    import tempfile

    from infsup.cli.problem_file import use_64_bit

    begun = time.monotonic()
    try:
        use_64_bit()
        import jax
        import jax.numpy as jnp

        import infsup

        kinds = sorted({d.platform for d in jax.devices()})
        device = f"{', '.join(kinds)}, {jax.device_count()} device(s), {os.cpu_count()} cores"
        if float(jnp.asarray(1.0) + 1e-12) == 1.0:
            raise ArithmeticError("64-bit arithmetic is not on")
        solution = infsup.solve(infsup.problem("double-integrator"), progress=False)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "solution"
            solution.save(path)
            found = infsup.check(path)
        from infsup.core.bracket import ends_in_words

        text = f"double-integrator {ends_in_words(solution.certificate)}, derived again"
        if not found.stands:
            bad = (*found.failed, *found.open)[0]
            text = f"{bad.what}: {bad.text}"
        return {
            "agrees": found.stands,
            "text": text,
            "device": device,
            "seconds": time.monotonic() - begun,
        }
    except Exception as e:  # a self-test reports whatever it meets
        first = (str(e).splitlines() or [""])[0]
        return {
            "agrees": False,
            "text": f"{type(e).__name__}: {first}",
            "device": f"{os.cpu_count()} cores",
            "seconds": time.monotonic() - begun,
        }

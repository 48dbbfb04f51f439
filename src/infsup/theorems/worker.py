"""One process that runs checks: a request a line on stdin, an answer a line on stdout, no more."""

import importlib
import json
import os
import sys
import time
from typing import Any


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Runs one check; whatever it raises comes back in words.

    Args:
        request: "id", "size", "key", "broken", and "modules" whose theorems are to be known.
    """
    from infsup.theorems.registry import figure_as_dict, judge, theorems

    begun = time.monotonic()
    try:
        t = theorems(request["modules"])[request["id"]]
        finding = t.check(request["size"], request["key"], request["broken"])
        found = {
            "verdict": judge(t, finding),
            "compared": [c.as_dict() for c in finding.compared],
            "figure": figure_as_dict(finding.figure),
            "notes": finding.notes or finding.refused,
            "error": "",
        }
        json.dumps(found, allow_nan=False)
    except Exception as e:
        if os.environ.get("INFSUP_TRACEBACK") == "full":
            importlib.import_module("traceback").print_exc()
        first = (str(e).splitlines() or [""])[0]
        found = failure(f"{type(e).__name__}: {first}"[:300])
    return {**found, "seconds": round(time.monotonic() - begun, 3)}


def failure(why: str) -> dict[str, Any]:
    """The answer of a check that gave none."""
    return {"verdict": "refused", "compared": [], "figure": None, "notes": "", "error": why}


def serve() -> None:
    """Answers until stdin ends."""
    # what a check prints must not stand among the answers
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import jax

    jax.config.update("jax_enable_x64", True)
    importlib.import_module("infsup.theorems.registry")
    out.write("ready\n")
    out.flush()
    for line in sys.stdin:
        out.write(json.dumps(answer(json.loads(line)), allow_nan=False) + "\n")
        out.flush()


if __name__ == "__main__":
    import signal

    # Ctrl-C is the parent's business: it ends its workers
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve()

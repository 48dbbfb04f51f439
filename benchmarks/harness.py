"""What the claims share: alternating rounds, medians of ratios, a table, a JSON file.

Each claim is a short script with a function `claim() -> Claim`; `infsup bench NAME` runs it. A peer
that is not ours lives in an environment of its own, made from `requirements-PEER.txt`.
"""

import hashlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

HERE = pathlib.Path(__file__).parent
RESULTS = HERE / "results"


@dataclass
class Row:
    """One line of a table.

    Args:
        what: the case.
        values: column -> what was measured, as printed.
        bar: the bar and whether it was reached, or "".
    """

    what: str
    values: dict[str, str]
    bar: str = ""


@dataclass
class Claim:
    """What a benchmark found.

    Args:
        title: the claim in one sentence.
        rows: the table.
        raw: all single measurements, for the JSON file.
        versions: package -> version, ours and the peers'.
        note: what a reader must know to read the table.
    """

    title: str
    rows: list[Row]
    raw: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    note: str = ""


class Worker:
    """A peer in its own process: started once, timed round by round.

    Args:
        python: the peer's interpreter.
        script: reads one JSON line of settings, then answers each "go" with one JSON line
            `{"seconds": ..., ...}`.
        settings: sent first.
    """

    def __init__(self, python: str, script: pathlib.Path, settings: dict[str, Any]):
        self.process = subprocess.Popen(
            [python, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._send(json.dumps(settings))
        self.hello = self._receive()

    def _send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the peer died; its message stands above")
        return json.loads(line)

    def round(self) -> dict[str, Any]:
        """One timed round."""
        self._send("go")
        return self._receive()

    def close(self) -> None:
        """Ends the peer."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=30)


def environment(peer: str) -> str:
    """The interpreter of a peer's own environment, made when it is first asked for."""
    wanted = HERE / f"requirements-{peer}.txt"
    mark = hashlib.sha256(wanted.read_bytes()).hexdigest()[:12]
    folder = HERE / ".environments" / f"{peer}-{mark}"
    python = folder / "bin" / "python"
    ready = folder / "ready"
    if not ready.exists():
        print(f"making the environment of {peer} (once)", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", wanted],
            check=True,
        )
        ready.write_text("ok\n")
    return str(python)


def alternate(
    ours: Callable[[], float], peers: dict[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Seconds of each contender, in turn; the order is reversed each round."""
    contenders = {"ours": ours, **peers}
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        names = list(contenders)
        for name in names if number % 2 == 0 else reversed(names):
            seconds[name].append(contenders[name]())
    return seconds


def ratio(seconds: dict[str, list[float]], peer: str) -> tuple[float, float, float]:
    """Peer's time over ours, round by round: median, least, largest."""
    each = [p / o for p, o in zip(seconds[peer], seconds["ours"], strict=True)]
    return statistics.median(each), min(each), max(each)


def spread(values: list[float], unit: float, digits: int = 1) -> str:
    """Median with least and largest."""
    m, lo, hi = (f(values) / unit for f in (statistics.median, min, max))
    return f"{m:.{digits}f} ({lo:.{digits}f}-{hi:.{digits}f})"


def versions(*packages: str) -> dict[str, str]:
    """Installed versions in this environment."""
    return {p: metadata.version(p) for p in packages}


def publish(name: str, found: Claim) -> None:
    """Prints the table and writes `results/NAME.json`."""
    columns = list(dict.fromkeys(k for r in found.rows for k in r.values))
    table = [["", *columns, "bar"]]
    table += [[r.what, *(r.values.get(c, "") for c in columns), r.bar] for r in found.rows]
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    print(found.title + "\n")
    for line in table:
        print("  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip())
    machine = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **found.versions,
    }
    print("\n" + ", ".join(f"{k} {v}" for k, v in machine.items()))
    if found.note:
        print(found.note)
    RESULTS.mkdir(exist_ok=True)
    body = {
        "claim": found.title,
        "command": f"infsup bench {name}",
        "date": time.strftime("%Y-%m-%d"),
        "surroundings": machine,
        "rows": [vars(r) for r in found.rows],
        "raw": found.raw,
        "note": found.note,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(body, indent=1) + "\n")


def main(claim: Callable[[], Claim], name: str) -> None:
    """What each script runs when it is called: measure, print, write."""
    publish(name, claim())

"""Checks in processes of their own: a crash or a hang of one is that theorem's failure alone."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from infsup.theorems.registry import Theorem
from infsup.theorems.worker import failure

START_SECONDS = 120.0
"""What a process may take until JAX is there, on a busy machine."""


def run(
    theorems: Iterable[Theorem],
    *,
    size: str,
    key: int,
    broken: bool = False,
    jobs: int = 2,
    timeout: float = 60.0,
    modules: Iterable[str] = (),
    started: Callable[[str], None] = lambda _: None,
) -> Iterator[tuple[Theorem, dict[str, Any]]]:
    """Runs checks, and gives each answer when it is there; leaving the loop ends the processes.

    Args:
        theorems: whose checks.
        size: "quick", "default" or "full".
        key: int in [0, 2^32).
        broken: run the broken variants.
        jobs: processes, each imports JAX once; at least 1.
        timeout: seconds that one check may take.
        modules: further modules that register theorems.
        started: called with the id of each check that begins.

    Yields:
        A theorem and what `worker.answer` found, in the order in which they end.
    """
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    found: queue.SimpleQueue = queue.SimpleQueue()
    chosen = list(theorems)
    for t in chosen:
        waiting.put(t)
    fixed = {"size": size, "key": key, "broken": broken, "modules": list(modules)}
    workers = [Worker() for _ in range(min(jobs, len(chosen)))]

    def loop(worker: Worker) -> None:
        while True:
            try:
                t = waiting.get_nowait()
            except queue.Empty:
                return worker.kill()
            started(t.id)
            found.put((t, worker.ask({"id": t.id, **fixed}, timeout)))

    threads = [threading.Thread(target=loop, args=(w,), daemon=True) for w in workers]
    for thread in threads:
        thread.start()
    try:
        for _ in chosen:
            yield found.get()
    finally:
        with contextlib.suppress(queue.Empty):
            while True:
                waiting.get_nowait()
        for w in workers:
            w.end()
        for thread in threads:
            thread.join(5.0)


class Worker:
    """A process that answers, and is started again when it has died."""

    def __init__(self):
        self.process: subprocess.Popen | None = None
        self.errors: Any = None
        self.ended = False

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        """The answer to a request, or why there is none."""
        why = self._start()
        begun = time.monotonic()
        line = ""
        if not why:
            process = self.process
            assert process is not None
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                line, late = self._line(timeout)
                why = f"no answer after {timeout:g} s" if late else ""
        if line.endswith("\n"):
            return json.loads(line)
        seconds = round(time.monotonic() - begun, 3)
        why = why or self._last_words()
        self.kill()
        return {**failure(why), "seconds": seconds}

    def _start(self) -> str:
        if self.ended:
            return "interrupted"
        if self.process is not None and self.process.poll() is None:
            return ""
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infsup.theorems.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p or os.getcwd() for p in sys.path)},
        )
        line, late = self._line(START_SECONDS)
        if line == "ready\n":
            return ""
        why = "the process did not start" if late else self._last_words()
        self.kill()
        return why

    def _line(self, timeout: float) -> tuple[str, bool]:
        """The next line, "" where the process ended; and whether it was ended for being late."""
        process = self.process
        assert process is not None
        assert process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(timeout, end)
        timer.start()
        try:
            return process.stdout.readline(), late.is_set()
        finally:
            timer.cancel()

    def _last_words(self) -> str:
        assert self.process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        code = self.process.returncode
        self.errors.seek(max(self.errors.seek(0, 2) - 2000, 0))
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        how = f"signal {-code}" if code is not None and code < 0 else f"code {code}"
        return f"the process ended with {how}" + (f": {lines[-1][:200]}" if lines else "")

    def kill(self) -> None:
        """Ends the process, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            streams: tuple[Any, ...] = (self.process.stdin, self.process.stdout, self.errors)
            for stream in streams:
                with contextlib.suppress(OSError):
                    stream.close()
            self.process = None

    def end(self) -> None:
        """Ends the process for good; the thread that asks it sees the end and tidies up."""
        self.ended = True
        process = self.process
        if process is not None:
            process.kill()

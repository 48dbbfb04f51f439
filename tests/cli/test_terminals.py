"""Pipes, NO_COLOR, ASCII terminals, 40 columns."""

import contextlib
import io
import os
import pty
import subprocess
import sys

import pytest

from infsup.core.bracket import cells

QUICK = ["--help", "list", "list methods", "doctor", "solve --help", "certify mean --help"]
FAULTS = ["solve digts", "list zzz", "check runs/none", "solve digits -s shar=1", "bench"]


@pytest.mark.parametrize("typed", [*QUICK, *FAULTS])
def test_40_columns_hold(shell, monkeypatch, typed):
    monkeypatch.setenv("COLUMNS", "40")
    said = shell(*typed.split())
    for line in (said.out + said.err).splitlines():
        assert cells(line) <= 40, line
        assert "\x1b" not in line


@pytest.mark.parametrize("columns", [40, 60, 80, 120])
def test_solutions_and_checks_hold_the_width(shell, own, labels, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    name = own(
        more="hypotheses=(isp.Hypothesis('λ ≥ 0 in ℝ, by Gårding', 'assumed', 'word ' * 20),)"
    )
    for typed in (
        ["solve", name, "-o", "runs/a", "--gap", "1e-30"],
        ["check", "runs/a"],
        ["check", "-q", "runs/a"],
        ["certify", "predictions", labels],
    ):
        said = shell(*typed)
        assert said.out, said.err
        for line in (said.out + said.err).splitlines():
            if "-q" not in typed:
                assert cells(line) <= min(columns, 100), line
            assert "\x1b" not in line


def test_a_solution_stays_within_24_lines(shell, own):
    assert len(shell("solve", own(), "--no-save").out.splitlines()) <= 24


@pytest.fixture
def ascii_shell(tmp_path, monkeypatch, capfd):
    """The shell with a stdout and a stderr that know ASCII only, strictly."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")

    def run(*typed):
        from infsup.cli import main

        out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        err = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(t) for t in typed])
        out.flush()
        err.flush()
        texts = [s.buffer.getvalue().decode("ascii") for s in (out, err)]
        return code, *texts

    return run


@pytest.mark.parametrize("typed", [*QUICK, *FAULTS])
def test_ascii_terminals_get_ascii(ascii_shell, typed):
    ascii_shell(*typed.split())


def test_ascii_brackets(ascii_shell, own, labels):
    name = own(more="hypotheses=(isp.Hypothesis('λ ≥ 0 für 𝔖', 'assumed'),)")
    code, out, _ = ascii_shell("solve", name, "-o", "runs/a")
    assert code == 0
    assert "|---" in out
    assert "+ conditional" in out
    assert "lambda >= 0" in out
    code, out, _ = ascii_shell("check", "runs/a")
    assert code == 0
    assert out.startswith("+ files")
    code, out, err = ascii_shell("solve", "übung.py")
    assert code == 4
    assert err.startswith("x `")
    code, out, _ = ascii_shell("solve", name, "--json", "--no-save")
    assert code == 0
    assert ascii_shell("certify", "predictions", labels)[0] == 0


@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"LANG": "C"}])
def test_an_ascii_locale_raises_nothing(process, locale):
    for typed in ("list", "solve digts"):
        said = process(*typed.split(), **locale)
        assert said.code in (0, 2)
        assert "UnicodeEncodeError" not in said.err


def test_a_closed_pipe_is_silent(tmp_path):
    import pathlib

    source = pathlib.Path(__file__).parents[2] / "src"
    shell = f"{sys.executable} -c 'import sys; from infsup.cli import main; sys.exit(main())'"
    run = f'{shell} list | true; echo "${{PIPESTATUS[0]}}"'
    done = subprocess.run(
        ["bash", "-c", run],
        env={**os.environ, "PYTHONPATH": str(source)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.strip() in ("141", "0")  # 0 where all was written before the pipe closed


def _on_a_terminal(typed, cwd, **environment) -> str:
    import pathlib

    source = pathlib.Path(__file__).parents[2] / "src"
    ours, theirs = pty.openpty()
    run = subprocess.Popen(
        [sys.executable, "-c", "import sys; from infsup.cli import main; sys.exit(main())", *typed],
        env={"PYTHONPATH": str(source), "PATH": os.environ["PATH"], "JAX_PLATFORMS": "cpu"}
        | {"TERM": "xterm-256color", "COLUMNS": "80", "LANG": "C.UTF-8", **environment},
        cwd=cwd,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    got = b""
    with contextlib.suppress(OSError):  # the terminal closes with the process
        while part := os.read(ours, 4096):
            got += part
    run.wait(60)
    os.close(ours)
    return got.decode()


@pytest.mark.parametrize(
    ("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colour_only_on_a_terminal_that_wants_it(shell, own, tmp_path, environment, coloured):
    assert shell("solve", own(), "-o", "runs/a").code == 0
    text = _on_a_terminal(["check", "runs/a"], tmp_path, **environment)
    assert ("\x1b[" in text) == coloured
    assert "files" in text
    assert "\x1b[" not in _on_a_terminal(["check", "runs/a", "--no-color"], tmp_path)


def test_quiet_is_one_line(shell, own, labels):
    said = shell("solve", own(), "-q", "-o", "runs/a")
    assert len(said.out.splitlines()) == 1
    assert said.out.startswith("✓ certified")
    assert len(shell("check", "-q", "runs/a").out.splitlines()) == 1
    assert shell("list", "problems", "-q").out.split()[0] == "digits"


def test_escape_codes_of_a_file_never_reach_the_terminal(shell, own):
    name = own(more="hypotheses=(isp.Hypothesis('round \\x1b[31m red', 'assumed'),)")
    said = shell("solve", name, "-o", "runs/a")
    assert "\x1b" not in said.out + shell("check", "runs/a").out

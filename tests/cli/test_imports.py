"""What is quick stays quick, because it imports nothing heavy. No clock decides here."""

import pathlib
import subprocess
import sys

import pytest

SOURCE = pathlib.Path(__file__).parents[2] / "src"
HEAVY = ("jax", "scipy.stats", "matplotlib", "diffrax", "numpy", "equinox")


def modules_after(code: str, cwd) -> set[str]:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code + "\nimport sys; print('\\n'.join(sys.modules), file=sys.stderr)",
        ],
        env={"PYTHONPATH": str(SOURCE), "PATH": ""},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_import_infsup_imports_nothing_heavy(tmp_path):
    assert not modules_after("import infsup", tmp_path) & {*HEAVY, "pydantic", "typer", "rich"}


@pytest.mark.parametrize(
    "typed",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "methods", "--json"],
        ["doctor"],
        ["solve", "--help"],
        ["solve", "digts"],
        ["bench"],
    ],
)
def test_quick_commands_import_neither_jax_nor_numpy(typed, tmp_path):
    code = f"from infsup.cli import main; main({typed!r})"
    assert not modules_after(code, tmp_path) & set(HEAVY)


def test_completion_answers_names_without_jax(tmp_path):
    for words, wanted in (
        ("infsup solve dig", "digits-softmax"),
        ("infsup solve digits Ne", "Newton"),
        ("infsup list meth", "methods"),
        ("infsup ch", "check"),
    ):
        code = (
            "import os, sys, json\n"
            f"os.environ.update(_INFSUP_COMPLETE='complete_bash', COMP_WORDS={words!r}, "
            f"COMP_CWORD={str(len(words.split()) - 1)!r})\n"
            "from infsup.cli import main\n"
            "try: main([])\n"
            "except SystemExit: pass\n"
            "heavy = [m for m in ('jax', 'numpy') if m in sys.modules]\n"
            "print('heavy', heavy)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONPATH": str(SOURCE), "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert wanted in done.stdout, done.stderr
        assert "heavy []" in done.stdout


def test_check_needs_no_jax(shell, tmp_path):
    assert shell("solve", "double-integrator", "-o", "runs/a").code == 0
    code = "from infsup.cli import main; assert main(['check', 'runs/a']) == 0"
    assert not modules_after(code, tmp_path) & {"jax", "equinox", "scipy.stats", "matplotlib"}

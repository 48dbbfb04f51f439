"""Bad input: the reason on the first line, at most six lines, and what to type instead."""

import re

import numpy as np
import pytest

FILES = {
    "lq.py": "import infsup\nproblem = infsup.problem('double-integrator')\n",
    "no_problem.py": "x = 1\n",
    "named_otherwise.py": "import infsup\nbowl = infsup.problem('double-integrator')\n",
    "a_class.py": "import infsup\nproblem = infsup.Problem\n",
    "a_number.py": "problem = 3\n",
    "broken.py": "problem = (1,\n",
    "raising.py": "x = 1\nproblem = {}['hjb']\n",
    "wrong_use.py": "import infsup\nproblem = infsup.problem('digts')\n",
    "has-dash.py": "problem = 1\n",
    "json.py": "problem = 1\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "empty.csv": "",
    "header_only.csv": "label,mine\n",
    "one_row.csv": "label,mine\n1,1\n",
    "no_label.csv": "a,b\ncat,dog\n",
    "alone.csv": "label\n1\n2\n",
    "ragged.csv": "label,mine\n1,1\n2\n",
    "hole.csv": "label,mine\n1,1\n2,\n",
    "three.csv": "label,a,b,c\n1,1,1,1\n2,2,2,2\n",
    "good.csv": "label,mine\n1,1\n2,2\n3,3\n",
    "shorter.csv": "label,theirs\n1,1\n2,2\n",
    "other_rows.csv": "label,theirs\n1,1\n9,2\n3,3\n",
    "bare.csv": "1,1\n2,2\n",
    "text.txt": "0.5\n0.25\nhello\n",
    "nan.txt": "0.5\nnan\n0.25\n",
    "inf.txt": "0.5\n0.25\ninf\n",
    "one.txt": "0.5\n",
    "outside.txt": "0.5\n1.5\n0.25\n",
    "columns.csv": "a,b\n1,2\n3,4\n",
    "pickled.npy": None,
    "square.npy": np.zeros((3, 3)),
    "notes.npz": "this is no npz file",
    "latin.csv": b"label,mine\n\xe9,\xe8\n",
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / name
        if content is None:
            np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
        elif isinstance(content, np.ndarray):
            np.save(path, content)
        elif isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("irreplaceable")
    return tmp_path


# what is typed, the exit code, words of the first line, words of the remedy
BAD = [
    ("slove digits", 2, "no command `slove`", "infsup solve"),
    ("solve", 2, "missing argument", "infsup solve --help"),
    ("solve digts", 2, "no problem `digts`", "infsup solve digits"),
    ("solve hjb", 2, "no problem `hjb`", "infsup solve hjb-lq-100"),
    ("--verison", 2, "no such option: --verison", "infsup --version"),
    ("solve double-integrator -o /proc/none/x", 4, "`/proc/none` cannot be made", "-o DIR"),
    ("verify A12 -o /proc/none", 4, "`/proc/none` cannot be made", "-o DIR"),
    ("solve zzzzzz", 2, "no problem `zzzzzz`", "infsup list problems"),
    ("solve digits AdmW", 2, "no method `AdmW`", "infsup solve digits AdamW"),
    ("solve digits --stpes 5", 2, "no such option: --stpes", "--steps"),
    ("solve digits --steps many", 2, "many", "infsup solve --help"),
    ("solve digits --steps -5", 2, "-5", "infsup solve --help"),
    ("solve digits --bound HoldOt", 2, "no bound `HoldOt`", "--bound HoldOut"),
    ("solve digits --bound PairedHoldOut", 2, "PairedHoldOut", ""),
    ("solve hjb-lq-100 --bound HoldOut", 3, "`HoldOut` is not for", "GirsanovSandwich"),
    ("solve digits --level 99", 2, "`--level 99`", "--level .99"),
    ("solve digits --level 1", 2, "`--level 1`", "--level .99"),
    ("solve digits --gap -1", 2, "`--gap -1`", "--gap 0.01"),
    ("solve digits --seconds 0", 2, "`--seconds 0`", "--seconds 60"),
    ("solve digits -s lr", 2, "`-s lr` is not name=value", "-s lam=20"),
    ("solve digits -s key=1 -s key=2", 2, "given twice", "-s key=2"),
    ("solve digits -s shar=0.5", 2, "a setting `shar`", "-s share=0.5"),
    ("solve digits -s share=much", 2, "a number is expected", "-s share=0.8"),
    ("solve hjb-lq-100 -s lam=-1", 2, "lam", ""),
    ("solve hjb-lq-100 AdamW", 3, "`AdamW` is not for `ControlProblem`", "LQSandwich"),
    ("solve hjb-lq-100 Riccati --no-save", 3, "radial", ""),
    ("solve lq.py Ricati", 2, "no method `Ricati`", "infsup solve lq.py Riccati"),
    ("solve lq.py -s lamm=3", 2, "neither `lq` nor `Riccati`", ""),
    ("solve digits -o full", 2, "`full` holds something", "-o DIR"),
    ("solve digits -o good.csv", 4, "`good.csv` is a file", "-o DIR"),
    ("solve no_problm.py", 4, "`no_problm.py` does not exist", "no_problem.py"),
    ("solve no_problem.py", 2, "defines no `problem`", "problem ="),
    ("solve named_otherwise.py", 2, "defines no `problem`", "problem = bowl"),
    ("solve a_class.py", 2, "the class Problem", "problem ="),
    ("solve a_number.py", 2, "is a int", "problem ="),
    ("solve broken.py", 4, "`broken.py`, line 1", "py_compile broken.py"),
    ("solve raising.py", 4, "`raising.py`, line 2: KeyError", "python raising.py"),
    ("solve wrong_use.py", 2, "`wrong_use.py`, line 2: there is no problem", "digits"),
    ("solve has-dash.py", 2, "cannot be imported as `has-dash`", "my_has_dash.py"),
    ("solve json.py", 2, "cannot be imported as `json`", "my_json.py"),
    ("solve exits.py", 4, "`exits.py`, line 2: SystemExit", "python exits.py"),
    ("solve digits --resume nowhere", 4, "nowhere", ""),
    ("list problem", 2, "no list of `problem`", "infsup list problems"),
    ("list --pillar contol", 2, "no pillar `contol`", "--pillar control"),
    ("list Rccati", 5, "nothing matches `Rccati`", "infsup list Riccati"),
    ("list --for digts", 2, "no problem `digts`", "digits"),
    ("check", 2, "missing argument", "infsup check --help"),
    ("check runs/none", 4, "`runs/none` does not exist", "infsup solve"),
    ("check good.csv", 4, "no folder", ""),
    ("check full", 4, "`full` holds no saved solution", ""),
    ("certify", 2, "missing command", "infsup certify --help"),
    ("certify predictions god.csv", 4, "no file `god.csv`", "good.csv"),
    ("certify predictions empty.csv", 4, "empty", ""),
    ("certify predictions header_only.csv", 4, "no rows", ""),
    ("certify predictions one_row.csv", 2, "holds 1 row", "at least 2"),
    ("certify predictions no_label.csv", 2, "no column `label`", "--label a"),
    ("certify predictions alone.csv", 2, "no column of predictions", ""),
    ("certify predictions ragged.csv", 4, "row 2", ""),
    ("certify predictions hole.csv", 4, "no entry in row 2", "decide what it counts as"),
    ("certify predictions three.csv", 2, "3 columns of predictions", "--column a --column b"),
    ("certify predictions bare.csv", 2, "has no header", "--label 0"),
    ("certify predictions good.csv --label y", 2, "no column `y`", "--label"),
    ("certify predictions good.csv --column min", 2, "no column `min`", "--column mine"),
    ("certify predictions good.csv --against shorter.csv", 2, "2 rows", "same rows"),
    ("certify predictions good.csv --against other_rows.csv", 2, "label 9 in row 2", "same rows"),
    ("certify predictions notes.npz", 4, "notes.npz", ""),
    ("certify predictions latin.csv", 4, "UTF-8", ""),
    ("certify mean nan.txt", 2, "missing option", "certify mean --help"),
    ("certify mean nan.txt --range 0 1", 4, "row 2: 'nan'", "find out why"),
    ("certify mean inf.txt --range 0 1", 4, "row 3: 'inf'", "find out why"),
    ("certify mean text.txt --range 0 1", 4, "row 3: 'hello' is no number", "drop"),
    ("certify mean one.txt --range 0 1", 2, "holds 1 number", "at least 2"),
    ("certify mean outside.txt --range 0 1", 3, "1.5 in row 2, outside", "--range 0 1.5"),
    ("certify mean one.txt --range 1 0", 2, "`--range 1 0` is empty", "--range 0 1"),
    ("certify mean columns.csv --range 0 9", 2, "2 columns", "--column b"),
    ("certify mean columns.csv --range 0 9 --column c", 2, "no column `c`", "--column"),
    ("certify mean pickled.npy --range 0 1", 4, "pickled.npy", "np.save"),
    ("certify mean square.npy --range 0 1", 2, "float64[3, 3]", "ravel"),
    ("bench drivr", 5, "benchmarks", "CLONE"),
]


@pytest.mark.parametrize(("typed", "code", "first", "remedy"), BAD, ids=[b[0] for b in BAD])
def test_bad_input(shell, folder, typed, code, first, remedy):
    said = shell(*typed.split())
    assert said.code == code, said.err
    lines = said.err.splitlines()
    # six lines hold at 80 columns; a long reason may be wrapped
    assert len(lines) <= 6, said.err
    whole = " ".join(said.err.split())
    begin = whole.split(" Try ")[0]
    assert " ".join(first.split()) in begin, said.err
    assert lines[0][0] in "✗⊘"
    assert remedy in whole, said.err
    assert lines[-1].endswith(f"[exit {code}]")
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not re.search(r"\x1b", said.err)


def test_there_are_at_least_forty():
    assert len(BAD) >= 40


@pytest.mark.parametrize("typed", ["solve digts", "solve digits -s shar=0.5", "list problem"])
def test_the_remedy_works_when_typed(shell, typed):
    said = shell(*typed.split())
    remedy = " ".join(said.err.split("Try")[1].split("[exit")[0].split())
    words = remedy.split()
    words = ["solve", "digits", *words] if words[0] == "-s" else words[1:]
    if words[0] == "solve":
        words += ["--steps", "1", "--no-save", "--json"]
    assert shell(*words).code in (0, 3)


def test_nothing_of_a_folder_that_is_no_solution_is_touched(shell, folder):
    shell("solve", "double-integrator", "-o", "full")
    assert (folder / "full" / "thesis.tex").read_text() == "irreplaceable"

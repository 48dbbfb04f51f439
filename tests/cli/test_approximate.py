"""`infsup approximate`: a bracket, a folder that can be checked, pictures, and one error."""

import xml.etree.ElementTree as ElementTree

import pytest

pytestmark = pytest.mark.usefixtures("x64")


def test_it_prints_a_bracket_and_saves_what_can_be_checked(shell, tmp_path):
    said = shell("approximate", "exp(x)", "--on", -1, 1, "--eps", 1e-3, "-o", "runs/exp", "--json")
    assert said.code == 0, said.err
    c, network = said.json["certificate"], said.json["network"]
    assert 0 < float(c["lower"]) <= float(c["upper"]) <= 1e-3
    assert (c["kind"], c["verdict"]) == ("proved", "certified")
    assert network["fewest_units"] <= network["units"] <= 20
    assert said.json["papers"]["Yarotsky"] > 100 * network["units"]
    for picture in said.json["pictures"]:
        assert ElementTree.parse(tmp_path / picture).getroot().tag.endswith("svg")
    checked = shell("check", "runs/exp")
    assert checked.code == 0
    assert "The claim follows" in checked.out


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("1/x", "--on", -1, 1, "--eps", 1e-3), "1 / x"),
        (("exp(x)", "--on", 1, -1, "--eps", 1e-3), "empty"),
        (("exp(x)", "--on", 0, 1, "--eps", 0), "`eps`"),
        (("exp(x)", "--on", 0, 1, "--eps", 1e-9, "--budget", 3), "the budget is 3"),
        (("os.system(1)", "--on", 0, 1, "--eps", 1e-3), "not allowed"),
        (("exp(x)", "--on", 0, 1, "--eps", 1e-3, "--dtype", "float16"), "--dtype"),
    ],
)
def test_one_error_in_words(shell, typed, words):
    said = shell("approximate", *typed)
    # a pole is a hypothesis that fails, the rest is usage
    assert said.code == (3 if words == "1 / x" else 2)
    assert words in said.err
    assert "Traceback" not in said.err


def test_remedies_are_options_of_the_shell(shell):
    said = shell("approximate", "sin(9*x)", "--on", 0, 9, "--eps", 1e-6, "--budget", 20)
    assert "--budget " in said.err
    assert "budget=" not in said.err
    assert "--on 0 1" in shell("approximate", "x", "--on", 1, 0, "--eps", 1e-3).err


def test_below_the_floor_of_the_dtype_it_exits_with_3(shell):
    typed = ("sin(x)", "--on", 0, 1, "--eps", 1e-7, "--dtype", "float32", "--no-papers", "-q")
    said = shell("approximate", *typed)
    assert said.code == 3
    assert "refused" in said.out

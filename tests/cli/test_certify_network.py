"""`infsup certify network`: a bracket for the user's own network, and one error for bad input."""

import json

import numpy as np
import onnx
import pytest

from infsup.networks import ReLUNetwork, to_onnx

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture
def files(tmp_path):
    """|x| as a network, and one of two inputs."""
    levels = [(np.array([[1.0], [-1.0]]), np.zeros(2))]
    to_onnx(ReLUNetwork(1, levels, (np.array([[0.0, 1, 1]]), np.zeros(1))), tmp_path / "abs.onnx")
    to_onnx(ReLUNetwork(2, (), (np.ones((1, 2)), np.zeros(1))), tmp_path / "two.onnx")


def certify(shell, *typed):
    return shell("certify", "network", *typed)


@pytest.mark.usefixtures("files")
def test_the_bracket_of_a_known_error(shell):
    said = certify(shell, "abs.onnx", "--function", "x**2", "--on", -1, 1, "--json")
    assert said.code == 0
    c = said.json["certificate"]
    # max of |x| - x^2 is 1/4
    assert 0.99 * 0.25 <= float(c["lower"]) <= 0.25 <= float(c["upper"]) <= 1.01 * 0.25
    assert (c["kind"], c["verdict"]) == ("proved", "certified")
    assert said.json["network"]["units"] == 2
    assert {k["name"] for k in said.json["comparators"]} == {"constant", "straight line"}
    words = certify(shell, "abs.onnx", "--function", "x**2", "--on", -1, 1)
    assert "proved" in words.out
    assert "0.25" in words.out


@pytest.mark.usefixtures("files")
def test_eps_decides_the_exit_code(shell):
    typed = ("abs.onnx", "--function", "x**2", "--on", -1, 1, "-q")
    assert certify(shell, *typed, "--eps", 0.3).code == 0
    assert certify(shell, *typed, "--eps", 0.2).code == 3


@pytest.mark.usefixtures("files")
def test_as_executed_in_float32(shell):
    typed = ("abs.onnx", "--function", "x**2", "--on", -1, 1, "--dtype", "float32", "--json")
    c = certify(shell, *typed).json["certificate"]
    assert c["dtype"] == "executed in float32"
    assert float(c["lower"]) <= 0.25 <= float(c["upper"])
    assert c["budget"]["rounding"] > 0


@pytest.mark.usefixtures("files")
def test_what_is_saved_is_checked_without_jax_and_certified_again(shell):
    said = certify(shell, "abs.onnx", "--function", "sin(x)", "--on", 0, 1, "--output", "runs/abs")
    assert said.code == 0, said.err
    checked = shell("check", "runs/abs", "--json")
    assert checked.code == 0, checked.out
    again = certify(shell, "runs/abs", "--function", "sin(x)", "--on", 0, 1, "--json")
    assert again.code == 0
    # a network whose weights were changed is found
    from infsup.core.storage import read_folder, write_folder

    document, arrays = read_folder("runs/abs")
    name = next(k for k in arrays if k.startswith("answer.out") and arrays[k].size == 3)
    arrays[name] = arrays[name] * 1.25
    write_folder("runs/abs", document, arrays)
    assert shell("check", "runs/abs").code == 1


@pytest.mark.usefixtures("files")
def test_a_smooth_network_is_certified_too(shell, tmp_path):
    helper = onnx.helper
    rng = np.random.default_rng(0)
    store = {"a": rng.normal(size=(4, 1)), "b": rng.normal(size=(1, 4))}
    nodes = [
        helper.make_node("Gemm", ["x", "a"], ["h"], transB=1),
        helper.make_node("Tanh", ["h"], ["t"]),
        helper.make_node("Gemm", ["t", "b"], ["y"], transB=1),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, ["n", 1])],
        [helper.make_tensor_value_info("y", kind, ["n", 1])],
        [onnx.numpy_helper.from_array(v.astype(np.float32), k) for k, v in store.items()],
    )
    onnx.save(helper.make_model(graph), str(tmp_path / "t.onnx"))
    said = certify(shell, "t.onnx", "--function", "x", "--on", -1, 1, "--json")
    assert said.code == 0, said.err
    assert said.json["certificate"]["bound"].endswith("SmoothEnclosure")


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        (("abs.onnx", "--function", "x", "--on", 1, 0), 2, "--on 1 0"),
        (("abs.onnx", "--function", "x", "--on", 1, 1), 2, "--on 1 1"),
        (("abs.onnx", "--function", "x", "--on", 0, "inf"), 2, "--on 0 inf"),
        (("abs.onnx", "--function", "x", "--on", 0, "nan"), 2, "--on 0 nan"),
        (("abs.onnx", "--function", "sine(x)", "--on", 0, 1), 2, "sine"),
        (("abs.onnx", "--function", "x+y", "--on", 0, 1), 2, "y"),
        (("abs.onnx", "--function", "__import__('os')", "--on", 0, 1), 2, "character"),
        (("abs.onnx", "--function", "1/(x-0.5)", "--on", 0, 1), 3, "1 / (x - 0.5)"),
        (("abs.onnx", "--function", "log(x)", "--on", -1, 1), 3, "log(x)"),
        (("abs.onnx", "--function", "x", "--on", 0, 1, "--dtype", "half"), 2, "--dtype half"),
        (("abs.onnx", "--function", "x", "--on", 0, 1, "--rtol", 2), 2, "--rtol 2"),
        (("abs.onnx", "--function", "x", "--on", 0, 1, "--eps", 0), 2, "eps"),
        (("two.onnx", "--function", "x", "--on", 0, 1), 2, "2 inputs"),
        (("none.onnx", "--function", "x", "--on", 0, 1), 4, "does not exist"),
        (("empty.onnx", "--function", "x", "--on", 0, 1), 4, "is empty"),
        (("text.onnx", "--function", "x", "--on", 0, 1), 4, "no ONNX file"),
        (("abs.onnx", "--function", "x"), 2, "--on"),
    ],
)
def test_bad_input_gets_one_error(shell, tmp_path, typed, code, words):
    (tmp_path / "empty.onnx").write_bytes(b"")
    (tmp_path / "text.onnx").write_text("a,b\n1,2\n" * 100)
    said = certify(shell, *typed)
    assert said.code == code, said.err
    assert words in " ".join(said.err.split())
    assert said.err.count("[exit") == 1
    assert "Traceback" not in said.err
    assert said.out == ""


@pytest.mark.usefixtures("files")
def test_an_error_is_one_object_in_json(shell):
    said = certify(shell, "none.onnx", "--function", "x", "--on", 0, 1, "--json")
    assert json.loads(said.out)["status"]["exit"] == 4

"""Networks to ONNX and back, against ONNX Runtime; and files that nobody should trust."""

import itertools
import os
from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from infsup.core.errors import FileRejected, MissingExtra, UsageError
from infsup.networks import ReLUNetwork, from_equinox, from_onnx, to_onnx
from infsup.networks import onnx as ours
from infsup.networks.recipes import Standardised

RNG = np.random.default_rng(7)


def runtime(path, x):
    """What ONNX Runtime says, row by row of x."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    one = session.get_inputs()[0]
    kind = np.float64 if "double" in one.type else np.float32
    rows = [
        session.run(None, {one.name: row.astype(kind).reshape([1] * (len(one.shape) - 1) + [-1])})
        for row in x
    ]
    return np.array([np.ravel(r[0]) for r in rows])


def graph(path, nodes, weights=(), shape=("batch", 3), dtype=np.float32, out="y", opset=17):
    kind = TensorProto.DOUBLE if dtype == np.float64 else TensorProto.FLOAT
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in dict(weights).items()]
    made = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, list(shape))],
        [helper.make_tensor_value_info(out, kind, None)],
        stored,
    )
    sets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(made, opset_imports=sets)
    model.ir_version = 8
    onnx.save(model, str(path))
    return path


def w(*shape, dtype=np.float32):
    return RNG.normal(size=shape).astype(dtype)


def agrees(path, d=3, tolerance=2e-5):
    """The network that was read, after it was compared with ONNX Runtime."""
    net = from_onnx(path)
    x = RNG.normal(size=(20, d)).astype(np.float32)
    said = runtime(path, x)
    for row, y in zip(x, said, strict=True):
        if isinstance(net, ReLUNetwork):
            mine = [float(v) for v in net.exact([Fraction(float(v)) for v in row])]
        else:
            mine = np.ravel(net(jnp.asarray(row if d > 1 else row[0])))
        np.testing.assert_allclose(mine, y, rtol=tolerance, atol=tolerance)
    return net


def torch_style(path, widths=(3, 8, 8, 2), dtype=np.float32):
    nodes, weights, at = [], {}, "x"
    for i, (n, m) in enumerate(itertools.pairwise(widths)):
        weights[f"{i}.weight"], weights[f"{i}.bias"] = w(m, n, dtype=dtype), w(m, dtype=dtype)
        last = i == len(widths) - 2
        to = "y" if last else f"/{i}/Gemm_output_0"
        nodes.append(helper.make_node("Gemm", [at, f"{i}.weight", f"{i}.bias"], [to], transB=1))
        if not last:
            nodes.append(helper.make_node("Relu", [to], [f"/{i}/Relu_output_0"]))
            at = f"/{i}/Relu_output_0"
    return graph(path, nodes, weights, ("batch", widths[0]), dtype)


# -- graphs of other libraries --------------------------------------------------------------------


def test_as_torch_writes_it(tmp_path):
    net = agrees(torch_style(tmp_path / "t.onnx"))
    assert net.widths == (8, 8)
    assert net.is_strict
    assert net.notes == ()
    assert agrees(torch_style(tmp_path / "d.onnx", dtype=np.float64), tolerance=1e-12).n_out == 2


def test_as_keras_writes_it(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "k1"], ["a"]),
        helper.make_node("Add", ["a", "b1"], ["b"]),
        helper.make_node("Relu", ["b"], ["c"]),
        helper.make_node("MatMul", ["c", "k2"], ["d"]),
        helper.make_node("Add", ["b2", "d"], ["y"]),
    ]
    weights = {"k1": w(3, 6), "b1": w(6), "k2": w(6, 1), "b2": w(1)}
    net = agrees(graph(tmp_path / "k.onnx", nodes, weights))
    assert net.widths == (6,)
    assert net.scalar


def test_as_scikit_learn_writes_it(tmp_path):
    scaler = helper.make_node(
        "Scaler", ["x"], ["s"], domain="ai.onnx.ml", offset=[0.1, 0.2, 0.3], scale=[2.1, 0.3, 1.7]
    )
    nodes = [
        scaler,
        helper.make_node("Cast", ["s"], ["c"], to=1),
        helper.make_node("MatMul", ["c", "k1"], ["a"]),
        helper.make_node("Add", ["a", "b1"], ["b"]),
        helper.make_node("Relu", ["b"], ["h"]),
        helper.make_node("MatMul", ["h", "k2"], ["d"]),
        helper.make_node("Add", ["d", "b2"], ["e"]),
        helper.make_node("Reshape", ["e", "shape"], ["y"]),
    ]
    weights = {"k1": w(3, 6), "b1": w(1, 6), "k2": w(6, 1), "b2": w(1, 1)}
    weights["shape"] = np.array([-1, 1])
    net = agrees(graph(tmp_path / "s.onnx", nodes, weights))
    assert net.notes == ()  # the scaled inputs are carried: nothing is rounded


def test_standardisation_inside_the_graph(tmp_path):
    nodes = [
        helper.make_node("Sub", ["x", "m"], ["a"]),
        helper.make_node("Div", ["a", "s"], ["b"]),
        helper.make_node("Gemm", ["b", "w1", "b1"], ["c"], transB=1),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Gemm", ["d", "w2"], ["e"], alpha=0.5, transB=1),
        helper.make_node("Mul", ["e", "t"], ["f"]),
        helper.make_node("Add", ["f", "u"], ["y"]),
    ]
    weights = {"m": w(3), "s": np.float32([3, 0.7, 2]), "w1": w(5, 3), "b1": w(5), "w2": w(2, 5)}
    weights |= {"t": np.float32(1.3), "u": w(2)}
    net = agrees(graph(tmp_path / "n.onnx", nodes, weights))
    assert "reciprocal" in net.notes[0]
    weights["s"] = np.float32([4, 0.5, 2])
    assert from_onnx(graph(tmp_path / "n.onnx", nodes, weights)).notes == ()


def test_skips_concats_and_shared_weights(tmp_path):
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], transB=1),
        helper.make_node("Relu", ["a"], ["h1"]),
        helper.make_node("Gemm", ["h1", "w2", "b1"], ["b"], transB=1),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Add", ["r", "h1"], ["h2"]),
        helper.make_node("Gemm", ["h2", "w2", "b1"], ["c"], transB=1),
        helper.make_node("Relu", ["c"], ["h3"]),
        helper.make_node("Concat", ["x", "h3", "h1"], ["all"], axis=1),
        helper.make_node("Gemm", ["all", "w3"], ["y"], transB=1),
    ]
    weights = {"w1": w(4, 3), "b1": w(4), "w2": w(4, 4), "w3": w(2, 11)}
    net = agrees(graph(tmp_path / "r.onnx", nodes, weights))
    assert net.widths == (4, 4, 4)
    assert not net.is_strict


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("LeakyRelu", ["a"], ["h"], alpha=0.3),
        helper.make_node("PRelu", ["a", "slope"], ["h"]),
        helper.make_node("Abs", ["a"], ["h"]),
        helper.make_node("Clip", ["a", "zero", "six"], ["h"]),
        helper.make_node("Max", ["a", "row"], ["h"]),
        helper.make_node("Min", ["row", "a"], ["h"]),
        helper.make_node("Max", ["a", "b"], ["h"]),
        helper.make_node("Neg", ["a"], ["h"]),
        helper.make_node("Sub", ["row", "a"], ["h"]),
        helper.make_node("Sum", ["a", "b", "row"], ["h"]),
        helper.make_node("Dropout", ["a"], ["h"]),
        helper.make_node("BatchNormalization", ["a", "p", "row", "row", "p"], ["h"]),
        helper.make_node("Gather", ["a", "which"], ["h"], axis=1),
        helper.make_node("Slice", ["a", "lo", "hi", "axis"], ["h"]),
        helper.make_node("Flatten", ["a"], ["h"]),
    ],
    ids=lambda n: n.op_type,
)
def test_piecewise_linear_operations(tmp_path, node):
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "row"], ["a"], transB=1),
        helper.make_node("Gemm", ["x", "w2"], ["b"], transB=1),
        node,
    ]
    weights = {"w1": w(4, 3), "w2": w(4, 3), "row": w(4), "slope": np.abs(w(4)), "p": np.abs(w(4))}
    weights |= {"zero": np.float32(0), "six": np.float32(0.75), "which": np.array([2, 0])}
    weights |= {"lo": np.array([1]), "hi": np.array([3]), "axis": np.array([1])}
    agrees(graph(tmp_path / "o.onnx", nodes, weights, out="h"))


def test_the_shape_games_of_exporters(tmp_path):
    nodes = [
        helper.make_node("Constant", [], ["one"], value_ints=[1]),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"], axis=0),
        helper.make_node("Concat", ["n", "minus"], ["to"], axis=0),
        helper.make_node("Reshape", ["x", "to"], ["flat"]),
        helper.make_node("Transpose", ["w1"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["flat", "wt"], ["a"]),
        helper.make_node("Identity", ["a"], ["i"]),
        helper.make_node("Relu", ["i"], ["h"]),
        helper.make_node("MatMul", ["h", "w2"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "one"], ["u"]),
        helper.make_node("Squeeze", ["u", "one"], ["y"]),
    ]
    weights = {"w1": w(5, 6), "w2": w(5, 1), "zero": np.array([0]), "minus": np.array([-1])}
    path = graph(tmp_path / "g.onnx", nodes, weights, ("batch", 2, 3))
    x = RNG.normal(size=(5, 6)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    said = session.run(None, {"x": x.reshape(5, 2, 3)})[0]
    np.testing.assert_allclose(from_onnx(path).values(x), said[:, 0], rtol=1e-5)


@pytest.mark.parametrize("kind", ["Tanh", "Sigmoid", "Softplus", "Elu", "Selu", "Sin"])
def test_smooth_activations_become_an_equinox_chain(tmp_path, kind):
    nodes = [
        helper.make_node("Sub", ["x", "m"], ["c"]),
        helper.make_node("Gemm", ["c", "w1", "b1"], ["a"], transB=1),
        helper.make_node(kind, ["a"], ["h"]),
        helper.make_node("Gemm", ["h", "w2"], ["b"], transB=1),
        helper.make_node("Relu", ["b"], ["g"]),
        helper.make_node("Gemm", ["g", "w3"], ["y"], transB=1),
    ]
    weights = {"m": w(1), "w1": w(6, 1), "b1": w(6), "w2": w(4, 6), "w3": w(1, 4)}
    net = agrees(graph(tmp_path / "c.onnx", nodes, weights, ("batch", 1)), d=1)
    assert isinstance(net, eqx.nn.Sequential)
    assert np.shape(net(0.3)) == ()


def put_together(kind):
    """An activation as torch writes it for older operator sets."""
    if kind == "silu":
        return [
            helper.make_node("Sigmoid", ["a"], ["s"]),
            helper.make_node("Mul", ["a", "s"], ["h"]),
        ]
    half = [
        helper.make_node("Mul", ["a", "half"], ["m"]),
        helper.make_node("Mul", ["m", "p"], ["h"]),
    ]
    whole = [
        helper.make_node("Mul", ["a", "p"], ["m"]),
        helper.make_node("Mul", ["m", "half"], ["h"]),
    ]
    return [
        helper.make_node(
            "Constant", [], ["root"], value=numpy_helper.from_array(np.float32(2**0.5))
        ),
        helper.make_node("Div", ["a", "root"], ["d"]),
        helper.make_node("Erf", ["d"], ["e"]),
        helper.make_node("Add", ["e", "one"], ["p"]),
        *(half if kind == "gelu by halves" else whole),
    ]


@pytest.mark.parametrize("kind", ["silu", "gelu", "gelu by halves"])
def test_activations_in_several_operations_are_recognised(tmp_path, kind):
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], transB=1),
        *put_together(kind),
        helper.make_node("Gemm", ["h", "w2"], ["y"], transB=1),
    ]
    weights = {"w1": w(5, 3), "b1": w(5), "w2": w(1, 5)}
    weights |= {"one": np.float32(1), "half": np.float32(0.5)}
    net = agrees(graph(tmp_path / "a.onnx", nodes, weights))
    assert len(net.layers) == 3
    # another constant is another function
    weights["one"] = weights["half"] = np.float32(0.75)
    if kind != "silu":
        with pytest.raises(UsageError):
            from_onnx(graph(tmp_path / "a.onnx", nodes, weights))


# -- our own --------------------------------------------------------------------------------------


def random_network(rng, ins, widths, outs):
    levels, nodes = [], ins
    for n in widths:
        levels.append((rng.normal(size=(n, nodes)), rng.normal(size=n)))
        nodes += n
    return ReLUNetwork(ins, levels, (rng.normal(size=(outs, nodes)), rng.normal(size=outs)), False)


@pytest.mark.parametrize(("ins", "widths", "outs"), [(1, (), 1), (1, (7,), 1), (3, (4, 5, 2), 2)])
def test_there_and_back_is_the_same_function(tmp_path, ins, widths, outs):
    net = random_network(RNG, ins, widths, outs)
    path = to_onnx(net, tmp_path / "n.onnx")
    again = from_onnx(path)
    assert again.counts.units == net.counts.units
    x = RNG.normal(size=(10, ins))
    for row in x:
        assert again.exact(row.tolist()) == net.exact(row.tolist())
    # ONNX Runtime in float64 rounds in its own order
    np.testing.assert_allclose(runtime(path, x), net.values(x).reshape(10, outs), rtol=1e-11)
    single = to_onnx(net, tmp_path / "s.onnx", "float32")
    np.testing.assert_allclose(
        runtime(single, x), net.values(x).reshape(10, outs), rtol=1e-4, atol=1e-4
    )


def test_an_equinox_network_is_written_in_its_own_dtype(tmp_path):
    mlp = eqx.nn.MLP(2, 1, 8, 2, key=jax.random.key(0), dtype=jnp.float32)
    wrapped = Standardised(np.float32([0.3, 0.1]), np.float32([1.7, 0.9]), mlp)
    for net in (mlp, wrapped):
        path = to_onnx(net, tmp_path / "m.onnx")
        x = RNG.normal(size=(8, 2)).astype(np.float32)
        mine = np.array([net(jnp.asarray(row)) for row in x])
        np.testing.assert_allclose(runtime(path, x), mine, rtol=1e-5, atol=1e-6)
        assert onnx.load(str(path)).graph.input[0].type.tensor_type.elem_type == TensorProto.FLOAT
        row = [Fraction(1, 3), Fraction(2, 7)]
        assert from_onnx(path).exact(row) == from_equinox(net).exact(row)


def test_weights_beyond_the_dtype_are_an_error(tmp_path):
    net = ReLUNetwork(1, (), (np.array([[1e300]]), np.zeros(1)))
    with pytest.raises(UsageError, match="beyond the range of float32"):
        to_onnx(net, tmp_path / "n.onnx", "float32")
    assert os.listdir(tmp_path) == []
    with pytest.raises(UsageError, match="float16"):
        to_onnx(net, tmp_path / "n.onnx", np.float16)


# -- what is not read -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("nodes", "words"),
    [
        ([helper.make_node("LSTM", ["x", "q", "q"], ["y"], "cell")], "operation `LSTM` .node cell"),
        ([helper.make_node("Mul", ["x", "x"], ["y"], "square")], "`Mul` .node square"),
        ([helper.make_node("MyOp", ["x"], ["y"], domain="my.own")], "`my.own.MyOp`"),
        ([helper.make_node("Relu", ["x"], ["y"], domain="my.own")], "`my.own.Relu`"),
        ([helper.make_node("Cast", ["x"], ["y"], to=7)], "rounds to integers"),
        ([helper.make_node("Div", ["x", "zero"], ["y"])], "divides by 0"),
        ([helper.make_node("Gemm", ["x", "q"], ["y"])], "multiplies shapes"),
        (
            [helper.make_node("Gelu", ["x"], ["a"]), helper.make_node("Add", ["a", "x"], ["y"])],
            "Skip",
        ),
    ],
)
def test_an_operation_that_is_not_read_is_named(tmp_path, nodes, words):
    weights = {"q": w(4, 4), "zero": np.float32(0)}
    with pytest.raises(UsageError, match=words):
        from_onnx(graph(tmp_path / "u.onnx", nodes, weights))


def test_files_that_are_no_networks(tmp_path):
    path = tmp_path / "n.onnx"
    good = torch_style(tmp_path / "good.onnx").read_bytes()
    cases = {
        b"": "is empty",
        b"<html>not found</html>" * 50: "no ONNX file|holds no network|damaged",
        good[: len(good) // 2]: "cut short|damaged|holds no network",
        b"\x00" * 1000: "no ONNX file|holds no network|damaged",
        os.urandom(4000): "no ONNX file|holds no network|damaged",
    }
    for data, words in cases.items():
        path.write_bytes(data)
        with pytest.raises(FileRejected, match=words):
            from_onnx(path)
    for wrong in (tmp_path / "missing.onnx", tmp_path):
        with pytest.raises(FileRejected):
            from_onnx(wrong)
    os.mkfifo(tmp_path / "pipe.onnx")
    with pytest.raises(FileRejected, match="regular"):
        from_onnx(tmp_path / "pipe.onnx")


def test_every_cut_and_every_flipped_byte_ends_in_one_error_of_ours(tmp_path):
    from infsup.core.errors import InfsupError

    path = tmp_path / "n.onnx"
    good = bytearray(torch_style(tmp_path / "good.onnx", (1, 2, 1)).read_bytes())
    rng = np.random.default_rng(1)
    read = 0
    for k in range(len(good)):
        flipped = bytearray(good)
        flipped[k] ^= 1 << int(rng.integers(8))
        for data in (good[:k], flipped):
            path.write_bytes(bytes(data))
            try:
                from_onnx(path)
                read += 1  # a name or a weight: still a network
            except InfsupError:
                pass
    assert 0 < read < 2 * len(good)


def test_files_beside_it_are_not_opened(tmp_path):
    path = torch_style(tmp_path / "n.onnx")
    model = onnx.load(str(path))
    (tmp_path / "secret").write_bytes(b"\x00" * 10_000)
    onnx.external_data_helper.convert_model_to_external_data(
        model, location="secret", size_threshold=0, convert_attribute=False
    )
    for t in model.graph.initializer:
        t.data_location = TensorProto.EXTERNAL
        t.ClearField("raw_data")
        if not t.external_data:
            t.external_data.add(key="location", value="secret")
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileRejected, match="another file"):
        from_onnx(path)


def test_a_tensor_that_claims_to_be_huge(tmp_path):
    path = torch_style(tmp_path / "n.onnx")
    model = onnx.load(str(path))
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend([2**40, 2**20])
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileRejected, match="claims the shape"):
        from_onnx(path)


def test_a_graph_that_doubles_itself_is_stopped(tmp_path):
    names = ["x", *(f"a{i}" for i in range(41))]
    nodes = [helper.make_node("Concat", [a, a], [b], axis=1) for a, b in itertools.pairwise(names)]
    with pytest.raises(UsageError, match="more than is read"):
        from_onnx(graph(tmp_path / "c.onnx", nodes, out="a40"))
    nodes = [helper.make_node("Mul", ["row", "column"], ["y"], "\x1b[31mred")]
    weights = {"row": np.ones((1, 10_000)), "column": np.ones((10_000, 1))}
    with pytest.raises(UsageError, match="more than is read"):
        from_onnx(graph(tmp_path / "d.onnx", nodes, weights))
    nodes = [helper.make_node("LSTM", ["x"], ["y"], "\x1b[31mred")]
    with pytest.raises(UsageError) as said:
        from_onnx(graph(tmp_path / "e.onnx", nodes))
    assert "\x1b" not in str(said.value)


def test_a_large_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(ours, "MAX_BYTES", 100)
    with pytest.raises(FileRejected, match="At most 100"):
        from_onnx(torch_style(tmp_path / "n.onnx"))


def test_two_inputs_and_no_input(tmp_path):
    path = torch_style(tmp_path / "n.onnx")
    model = onnx.load(str(path))
    model.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, [1]))
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UsageError, match="2 inputs"):
        from_onnx(path)
    nodes = [helper.make_node("Relu", ["q"], ["y"])]
    with pytest.raises(UsageError, match=r"Relu|depend"):
        from_onnx(graph(tmp_path / "c.onnx", nodes, {"q": w(2)}))


def test_without_the_package_the_error_names_the_extra(tmp_path, monkeypatch):
    path = torch_style(tmp_path / "n.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"pip install onnx"):
        from_onnx(path)


# -- as executed ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("case", ["two maps", "there and back", "skip", "clip", "scaled"])
def test_what_rounds_inside_the_graph_is_inside_the_bracket(tmp_path, case):
    """Exact merges of maps would hide roundings that the executed graph makes."""
    import infsup as isp

    k = {name: np.float32(v) for name, v in (("far", [1e4]), ("big", [8192]), ("cap", 2e4))}
    k |= {"a": np.float32([[4097], [4096]]), "b": np.float32([1000, 1001]), "three": np.float32(3)}
    k |= {"c": np.float32([[4096, -4097]]), "low": np.float32(1e4)}
    node = helper.make_node
    nodes, text = {
        "two maps": (
            [node("Gemm", ["x", "a", "b"], ["h"], transB=1), node("Gemm", ["h", "c"], ["y"])],
            "-5097",
        ),
        "there and back": (
            [node("Add", ["x", "far"], ["h"]), node("Sub", ["h", "far"], ["y"])],
            "x",
        ),
        "skip": (
            [
                *(node("Relu", ["x"], ["r"]), node("Mul", ["x", "big"], ["h"])),
                *(node("Add", ["h", "r"], ["s"]), node("Sub", ["s", "h"], ["y"])),
            ],
            "relu(x)",
        ),
        "clip": (
            [
                *(node("Add", ["x", "far"], ["h"]), node("Clip", ["h", "low", "cap"], ["c1"])),
                node("Sub", ["c1", "low"], ["y"]),
            ],
            "relu(x)",
        ),
        "scaled": (
            [
                *(node("Mul", ["x", "three"], ["h"]), node("Add", ["h", "far"], ["s"])),
                *(node("Sub", ["s", "far"], ["t"]), node("Relu", ["t"], ["y"])),
            ],
            "relu(3*x)",
        ),
    }[case]
    if case == "two maps":
        nodes[1].attribute.append(helper.make_attribute("transB", 1))
    path = graph(tmp_path / "g.onnx", nodes, k, ("batch", 1))
    net = from_onnx(path)
    problem = isp.approximation.Approximate(f"{text} + 0*x", (-1.0, 1.0), dtype="float32")
    c = isp.certify(problem, net, isp.approximation.PiecewiseEnclosure())
    x = np.linspace(-1, 1, 257).astype(np.float32)[:, None]
    off = np.abs(runtime(path, x)[:, 0].astype(float) - problem.values(x[:, 0].astype(float))).max()
    assert off <= c.upper
    real = dict.fromkeys(("there and back", "skip", "clip", "scaled"), 0.0).get(case)
    if real is not None:  # in real arithmetic these graphs are what the function says
        assert all(net.exact(Fraction(float(v)))[0] == problem.f(float(v)) for v in x[::16, 0])

"""Networks to ONNX files and back.

A file of another library comes in as an exact object: its weights are dyadic rationals, so that
what is proved of the `ReLUNetwork` holds of the file. Where a graph asks for numbers that no float
holds (a division by 3), the network says so in its `notes`, and certificates repeat it.
"""

import os
import pathlib
import stat
from typing import Any

import numpy as np

from infsup.core.errors import FileRejected, InfsupError, MissingExtra, UsageError
from infsup.networks.onnx_graph import read_graph
from infsup.networks.relu import ReLUNetwork, from_equinox

MAX_BYTES = 256 * 2**20
OPSET = 17
INSTALL = "pip install onnx onnxruntime"


def _onnx() -> Any:
    try:
        import onnx
    except ImportError:
        raise MissingExtra(
            "ONNX files need the package `onnx`, which is not installed", remedy=INSTALL
        ) from None
    return onnx


def from_onnx(path: Any) -> Any:
    """The network in an ONNX file.

    Read are graphs of one input [batch, d] and one output, of Gemm, MatMul, Add, Sub, Mul, Div, Neg
    by constants, Relu, LeakyRelu, PRelu, Abs, Clip, Max, Min, Concat and skip connections, shape
    operations, Cast, Dropout, BatchNormalization, and scikit-learn's Scaler. Weights may be stored
    as initialisers or constants, and shared.

    Args:
        path: a file; weights in files beside it are not loaded.

    Returns:
        A `ReLUNetwork` where the graph is piecewise linear. Chains with Tanh, Sigmoid, Gelu,
        Softplus, Swish, Elu, Selu, Softsign, Sin, Cos or Exp come as `eqx.nn.Sequential`, which can
        be evaluated. GELU and SiLU that were exported in several operations are put together (the
        exporter's rounded sqrt 2 is read as sqrt 2). Either network takes one row.

    Raises:
        FileRejected: the file is missing, damaged, too large, or names weights in another file.
        UsageError: an operation that is not read: names it and its node.
        MissingExtra: the package onnx is not installed.
    """
    path = pathlib.Path(path)
    data = _bytes(path)
    onnx = _onnx()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as e:  # protobuf's own errors, of several classes
        raise FileRejected(
            f"`{path}` is no ONNX file, or is cut short", _first(e), "export the network again"
        ) from None
    try:
        return read_graph(onnx, model, str(path))
    except InfsupError:
        raise
    except (
        # what a damaged message can do to the code that reads it
        *(ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError),
        *(MemoryError, RecursionError, NotImplementedError),
    ) as e:
        raise FileRejected(f"`{path}` is damaged: {_first(e)}") from e


def to_onnx(network: Any, path: Any, dtype: Any = None) -> pathlib.Path:
    """Writes a network as an ONNX file: Gemm, Relu, and Concat for skip connections.

    Args:
        network: a `ReLUNetwork`, or what `from_equinox` takes.
        path: the file; its folder exists.
        dtype: "float32" or "float64" of the weights; by default float32 where it holds all of
            them exactly, else float64. Another network is written where the dtype rounds; a
            certificate of it is made anew.

    Returns:
        The path. The file has an input `x` [batch, n_inputs] and an output `y` [batch, n_out].

    Raises:
        UsageError: another dtype, no ReLU network, or weights beyond the dtype's range.
        MissingExtra: the package onnx is not installed.
    """
    onnx = _onnx()
    f = from_equinox(network)
    chosen = _chosen(f, dtype)
    kind = {"float32": onnx.TensorProto.FLOAT, "float64": onnx.TensorProto.DOUBLE}[chosen]
    helper, made, stored = onnx.helper, [], []

    def constant(name: str, value: np.ndarray) -> str:
        stored.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def gemm(w: Any, b: Any, name: str, result: str) -> None:
        with np.errstate(over="ignore"):
            w, b = np.asarray(w).astype(chosen), np.asarray(b).astype(chosen)
        if not (np.isfinite(w).all() and np.isfinite(b).all()):
            raise UsageError(f"a weight is beyond the range of {chosen}", remedy='dtype="float64"')
        read, columns, start = [], [], 0
        for source, width in sources:
            if np.any(w[:, start : start + width]):
                read.append(source)
                columns.append(w[:, start : start + width])
            start += width
        if not read:
            read, columns = [sources[0][0]], [w[:, : sources[0][1]]]
        from_ = read[0]
        if len(read) > 1:
            from_ = f"{name}_reads"
            made.append(helper.make_node("Concat", read, [from_], f"{name}_concat", axis=1))
        ins = [from_, constant(f"{name}_W", np.concatenate(columns, 1)), constant(f"{name}_b", b)]
        made.append(helper.make_node("Gemm", ins, [result], name, transB=1))

    sources = [("x", f.n_inputs)]
    for i, (w, b) in enumerate(f.levels):
        if not len(b):
            continue
        gemm(w, b, f"level{i + 1}", f"z{i + 1}")
        made.append(helper.make_node("Relu", [f"z{i + 1}"], [f"h{i + 1}"], f"relu{i + 1}"))
        sources.append((f"h{i + 1}", len(b)))
    gemm(*f.out, "out", "y")
    graph = helper.make_graph(
        made,
        "infsup",
        [helper.make_tensor_value_info("x", kind, ["batch", f.n_inputs])],
        [helper.make_tensor_value_info("y", kind, ["batch", f.n_out])],
        stored,
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, producer_name="infsup")
    model.ir_version = 8
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_bytes(model.SerializeToString())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def _chosen(f: ReLUNetwork, dtype: Any) -> str:
    if dtype is not None:
        name = str(np.dtype(dtype))
        if name not in ("float32", "float64"):
            raise UsageError(f"`dtype` of to_onnx is {name}", remedy='"float32" or "float64"')
        return name
    with np.errstate(over="ignore"):
        whole = all(
            np.array_equal(np.asarray(v).astype(np.float32), np.asarray(v, np.float64))
            for pair in (*f.levels, f.out)
            for v in pair
        )
    return "float32" if whole else "float64"


def _bytes(path: pathlib.Path) -> bytes:
    """The file, where it is a regular one of a possible size."""
    try:
        with open(path, "rb", opener=lambda p, flags: os.open(p, flags | os.O_NONBLOCK)) as file:
            known = os.fstat(file.fileno())
            if not stat.S_ISREG(known.st_mode):
                raise FileRejected(f"`{path}` is no regular file")
            if known.st_size > MAX_BYTES:
                raise FileRejected(
                    f"`{path}` has {known.st_size:,} bytes", f"At most {MAX_BYTES:,} are read."
                )
            if known.st_size == 0:
                raise FileRejected(f"`{path}` is empty")
            return file.read(known.st_size)
    except OSError as e:
        raise FileRejected(f"`{path}`: {e.strerror or type(e).__name__}") from None


def _first(e: BaseException) -> str:
    return (str(e).strip().splitlines() or [type(e).__name__])[0][:200]

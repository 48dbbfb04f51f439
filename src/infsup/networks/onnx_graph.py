"""An ONNX graph, read as affine maps of units, in exact arithmetic on its weights."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from infsup.core.errors import FileRejected, UsageError
from infsup.core.precision import enabled
from infsup.networks.relu import ReLUNetwork, exact_product

MAX_NUMBERS = 1 << 25
"""In one tensor or map."""

SMOOTH = {
    "Tanh": "jax.nn.tanh",
    "Sigmoid": "jax.nn.sigmoid",
    "Gelu": "jax.nn.gelu",
    "Softplus": "jax.nn.softplus",
    "Elu": "jax.nn.elu",
    "Selu": "jax.nn.selu",
    "Softsign": "jax.nn.soft_sign",
    "Sin": "jax.numpy.sin",
    "Cos": "jax.numpy.cos",
    "Exp": "jax.numpy.exp",
    "Swish": "jax.nn.silu",
}
"""Operation -> function of the closed registry."""


class Affine:
    """A tensor that depends on the input: one affine form of the nodes for each entry.

    Args:
        w: [entries, nodes].
        b: [entries].
        shape: of the tensor, for one row of the batch.
        base: which nodes; after a smooth activation they are new ones.
    """

    def __init__(self, w: np.ndarray, b: np.ndarray, shape: Sequence[int], base: int = 0):
        self.w, self.b, self.shape, self.base = w, b, tuple(int(n) for n in shape), base

    def taken(self, index: np.ndarray) -> "Affine":
        """The entries whose numbers stand in an array, in its shape."""
        _fits(index.size, self.w.shape[1])
        flat = index.ravel()
        return Affine(self.w[flat], self.b[flat], index.shape, self.base)

    @property
    def index(self) -> np.ndarray:
        """The numbers of the entries, in the tensor's shape."""
        return np.arange(len(self.b)).reshape(self.shape)


def _fits(rows: int, columns: int) -> None:
    if rows * max(columns, 1) > MAX_NUMBERS:
        raise UsageError(
            f"the file holds a map of {rows:,} x {columns:,} weights, more than is read"
        )


def _printable(name: str) -> str:
    """A name from a file, as it may be printed."""
    return "".join(c if c.isprintable() else "?" for c in name[:60])


class Node:
    """One operation: its inputs, attributes, and how errors name it."""

    def __init__(self, onnx: Any, proto: Any, number: int, values: dict[str, Any], path: str):
        self.op, self.path = _printable(proto.op_type), path
        domain = _printable(proto.domain) or "ai.onnx"
        self.kind = self.op if domain == "ai.onnx" else f"{domain}.{self.op}"
        self.name = _printable(proto.name) or f"number {number + 1}"
        self.attributes = {}
        for a in proto.attribute:
            if a.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                raise self.refused("It holds a graph of its own.")
            value = a.t if a.type == onnx.AttributeProto.TENSOR else None
            self.attributes[a.name] = (
                tensor(onnx, value, path)
                if value is not None
                else onnx.helper.get_attribute_value(a)
            )
        self.ins: list[Any] = []
        for name in proto.input:
            if name and name not in values:
                raise FileRejected(
                    f"`{path}`: node {self.name} reads `{_printable(name)}`, not there yet"
                )
            self.ins.append(values[name] if name else None)

    def refused(self, why: str = "") -> UsageError:
        known = "Relu, Gemm, MatMul, Add, Sub, Mul, Div by constants, Concat, shapes, Cast, ..."
        return UsageError(
            f"`{self.path}`: operation `{self.kind}` (node {self.name}) is not read",
            why or f"Read are {known}",
            "export a network of Linear and ReLU layers",
        )

    def input(self, i: int) -> Any:
        """An input, or None where it is left out."""
        return self.ins[i] if i < len(self.ins) else None

    def constant(self, i: int, attribute: str = "") -> Any:
        """An input (or attribute) that does not depend on the network's input, or None."""
        value = self.attributes.get(attribute) if attribute else None
        if value is None:
            value = self.input(i)
        if isinstance(value, Affine):
            raise self.refused(f"Its input {i + 1} depends on the network's input.")
        return None if value is None else np.asarray(value)

    def affine(self, i: int = 0) -> Affine:
        value = self.input(i)
        if not isinstance(value, Affine):
            raise self.refused(f"Its input {i + 1} does not depend on the network's input.")
        return value

    def get(self, name: str, default: Any) -> Any:
        return self.attributes.get(name, default)


def tensor(onnx: Any, proto: Any, path: str) -> np.ndarray:
    """A stored tensor.

    Raises:
        FileRejected: its numbers are in another file, or it is larger than is read.
    """
    outside = proto.data_location == onnx.TensorProto.EXTERNAL or len(proto.external_data)
    if outside:
        raise FileRejected(
            f"`{path}`: the tensor `{_printable(proto.name)}` has its numbers in another file",
            "Files that a file names are not opened.",
            "onnx.save(model, path, save_as_external_data=False)",
        )
    size = 1
    for n in proto.dims:
        size *= int(n)
        if n < 0 or size > MAX_NUMBERS:
            shape = list(proto.dims)[:8]
            raise FileRejected(
                f"`{path}`: the tensor `{_printable(proto.name)}` claims the shape {shape}"
            )
    return np.array(onnx.numpy_helper.to_array(proto))


@np.errstate(all="ignore")  # what is not finite in the end is refused in words
def read_graph(onnx: Any, model: Any, path: str) -> Any:
    """The network of a parsed model; see `from_onnx`."""
    graph = model.graph
    if not graph.node or not graph.output:
        raise FileRejected(f"`{path}` holds no network")
    if len(graph.node) > 10_000:
        raise FileRejected(f"`{path}` has {len(graph.node):,} operations; at most 10,000 are read")
    if len(graph.sparse_initializer):
        raise UsageError(f"`{path}`: sparse weights are not read")
    values: dict[str, Any] = {t.name: tensor(onnx, t, path) for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in values]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise UsageError(
            f"`{path}` has {len(inputs)} inputs and {len(graph.output)} outputs",
            "A network of one input tensor and one output tensor is read.",
        )
    shape, d = _input_shape(onnx, inputs[0], path)
    nodes = recognised(onnx, graph, values)
    smooth = any(n.op_type in SMOOTH and n.domain in ("", "ai.onnx") for n in nodes)
    reader: Any = _Chain(d) if smooth else _Units(d)
    values[inputs[0].name] = Affine(np.eye(d), np.zeros(d), shape)
    for number, proto in enumerate(nodes):
        node = Node(onnx, proto, number, values, path)
        act = getattr(reader, f"op_{node.op}", None)
        if act is None and smooth and node.op in SMOOTH:
            act = reader.smooth
        own = proto.domain in ("", "ai.onnx") or (node.op, proto.domain) == ("Scaler", "ai.onnx.ml")
        if act is None or not own:
            raise node.refused()
        result = act(node) if not _known(node) else reader.folded(node)
        results = result if isinstance(result, list) else [result]
        for name, value in zip(proto.output, results, strict=False):
            if name in values:
                raise FileRejected(f"`{path}`: `{_printable(name)}` is made twice")
            if name:
                values[name] = value
    y = values.get(graph.output[0].name)
    if not isinstance(y, Affine):
        raise UsageError(f"`{path}`: the output does not depend on the input")
    return reader.done(y)


def recognised(onnx: Any, graph: Any, values: dict[str, Any]) -> list[Any]:
    """The operations, with activations put together that exporters write in several.

    x Sigmoid(x) becomes Swish, and 0.5 x (1 + Erf(x/sqrt 2)) becomes Gelu, where nothing else reads
    the parts.
    """
    made = {name: n for n in graph.node for name in n.output}
    reads: dict[str, int] = {graph.output[0].name: 1}
    for n in graph.node:
        for name in n.input:
            reads[name] = reads.get(name, 0) + 1
    gone: set[str] = set()

    def part(name: str, op: str) -> Any:
        """The operation that made a tensor which is read once, or None."""
        n = made.get(name)
        return n if n is not None and n.op_type == op and reads.get(name) == 1 else None

    def number(name: str) -> float | None:
        value = values.get(name)
        n = made.get(name)
        if value is None and n is not None and n.op_type == "Constant":
            proto = next((a.t for a in n.attribute if a.name == "value"), None)
            value = (
                None if proto is None or len(proto.dims) > 1 else onnx.numpy_helper.to_array(proto)
            )
        return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 else None

    def pairs(n: Any) -> list[tuple[str, str]]:
        return [(n.input[0], n.input[1]), (n.input[1], n.input[0])] if len(n.input) == 2 else []

    def one_plus_erf(name: str) -> tuple[str, list[str]] | None:
        """The x of 1 + Erf(x/sqrt 2), and the tensors on the way."""
        add = part(name, "Add")
        for one, other in pairs(add) if add is not None else []:
            erf = part(other, "Erf")
            if erf is None or number(one) != 1.0 or reads.get(erf.input[0]) != 1:
                continue
            scaled = made.get(erf.input[0])
            if scaled is None:
                continue
            factor = number(scaled.input[1]) if len(scaled.input) == 2 else None
            wanted = {"Div": 2**0.5, "Mul": 0.5**0.5}.get(scaled.op_type)
            if factor is not None and wanted is not None and abs(factor - wanted) < 1e-6:
                return scaled.input[0], [name, other, erf.input[0]]
        return None

    def gelu(n: Any) -> tuple[str, list[str]] | None:
        for u, v in pairs(n):
            inner = part(u, "Mul")
            if inner is None:
                continue
            for x, y in pairs(inner):
                # (x times the sum) times 1/2, or (x times 1/2) times the sum
                found = one_plus_erf(y if number(v) == 0.5 else v)
                if found is not None and found[0] == x and 0.5 in (number(v), number(y)):
                    return x, [u, *found[1]]
        return None

    new = []
    for n in graph.node:
        kind, x, parts = "", "", []
        if n.op_type == "Mul" and len(n.output) == 1:
            for u, v in pairs(n):
                s = part(v, "Sigmoid")
                if s is not None and s.input[0] == u:
                    kind, x, parts = "Swish", u, [v]
            if not kind and (found := gelu(n)) is not None:
                kind, (x, parts) = "Gelu", found
        if kind:
            gone.update(parts)
            n = onnx.helper.make_node(kind, [x], list(n.output), n.name)
        new.append(n)
    return [n for n in new if not (len(n.output) == 1 and n.output[0] in gone)]


def _input_shape(onnx: Any, info: Any, path: str) -> tuple[tuple[int, ...], int]:
    """The shape of the input for a batch of one, and how many numbers that is."""
    kind = info.type.tensor_type
    if kind.elem_type not in (1, 10, 11, 16):
        raise UsageError(f"`{path}`: the input is no tensor of floats")
    dims = [d.dim_value if d.HasField("dim_value") else 0 for d in kind.shape.dim]
    if not dims:
        return (), 1
    if len(dims) == 1:
        return (max(dims[0], 1),), max(dims[0], 1)
    # the first axis is the batch
    rest = dims[1:]
    if any(n <= 0 for n in rest):
        raise UsageError(
            f"`{path}`: the input has the shape {['?' if n <= 0 else n for n in dims]}",
            "Only the batch may be of any length.",
        )
    d = int(np.prod(rest, dtype=object))
    if d > 100_000:
        raise UsageError(f"`{path}`: the input has {d:,} numbers; at most 100,000 are read")
    return (1, *rest), d


def _known(node: Node) -> bool:
    """Whether nothing that the node reads depends on the network's input."""
    shapes = ("Shape", "Size")
    return not any(isinstance(v, Affine) for v in node.ins) and node.op not in shapes


class _Reader:
    """What all graphs share: affine operations and those on shapes."""

    def __init__(self, d: int):
        self.d = d
        self.notes: list[str] = []

    def carry(self, x: Affine) -> Affine:
        """The same tensor in new nodes, so that its forms are single weights."""
        raise NotImplementedError

    def note(self, words: str) -> None:
        if words not in self.notes:
            self.notes.append(words)

    # -- exact affine arithmetic -------------------------------------------------------------

    def mapped(self, m: np.ndarray, x: Affine, c: Any, shape: Sequence[int]) -> Affine:
        """The tensor m x + c, exactly; in new nodes where that rounds, here or when executed."""
        m = np.asarray(m, np.float64)
        c = np.broadcast_to(np.asarray(c, np.float64), (len(m),))
        if not (np.isfinite(m).all() and np.isfinite(c).all()):
            raise UsageError("the file's weights hold NaN or inf")
        _fits(len(m), x.w.shape[1])
        _fits(*m.shape)
        for form in (x, None):
            form = self.carry(x) if form is None else form
            w, b = _composed(m, form, c)
            if w is not None and b is not None:
                return Affine(w, b, shape, form.base)
        raise AssertionError("carried forms compose exactly")

    def scaled(self, x: Affine, factor: Any, node: Node) -> Affine:
        factor, x = self.together(factor, x, node)
        return self.mapped(_diagonal(factor.ravel(), node), x, 0.0, x.shape)

    def shifted(self, x: Affine, c: Any, node: Node) -> Affine:
        c, x = self.together(c, x, node)
        return self.mapped(np.eye(len(x.b)), x, c.ravel(), x.shape)

    def together(self, c: Any, x: Affine, node: Node) -> tuple[np.ndarray, Affine]:
        """A constant and a tensor, broadcast to one shape."""
        c = np.asarray(c, np.float64)
        shape = np.broadcast_shapes(c.shape, x.shape)
        if np.prod(shape, dtype=object) > 1_000_000:
            raise node.refused("It makes a very large tensor.")
        x = x.taken(np.broadcast_to(x.index, shape))
        return np.broadcast_to(c, shape), x

    def sum(self, x: Affine, y: Affine, sign: float, node: Node) -> Affine:
        if x.base != y.base:
            raise node.refused("Skip connections are read where all activations are Relu.")
        shape = np.broadcast_shapes(x.shape, y.shape)
        x, y = (v.taken(np.broadcast_to(v.index, shape)) for v in (x, y))
        x, y = self.same(x), self.same(y)
        # what cancels in a merge may round where the graph is executed
        shared = np.any((x.w != 0) & (y.w != 0)) or np.any(x.b * (sign * y.b) < 0)
        both = (
            None if shared else exact_product(np.eye(len(x.b)), sign * y.b[:, None], x.b[:, None])
        )
        if both is None:
            x, y = self.carry(x), self.carry(y)
            x, y = self.same(x), self.same(y)
            both = (x.b + sign * y.b)[:, None]
        return Affine(x.w + sign * y.w, both[:, 0], shape, x.base)

    def same(self, x: Affine) -> Affine:
        """The tensor over all nodes there are by now."""
        return x

    # -- operations ---------------------------------------------------------------------------

    def folded(self, node: Node) -> Any:
        """An operation on constants."""
        ins = [None if v is None else np.asarray(v) for v in node.ins]
        # what doubling or broadcasting can make of small tensors
        shapes = [v.shape for v in ins if v is not None]
        if node.op in ("Add", "Sub", "Mul", "Div"):
            _fits(int(np.prod(np.broadcast_shapes(*shapes), dtype=object)), 1)
        elif node.op in ("Concat", "Gather"):
            sizes = [int(np.prod(v, dtype=object)) for v in shapes]
            # a Gather repeats rows of its first input
            rows = max(shapes[0][0] if shapes[0] else 1, 1)
            _fits(sum(sizes) if node.op == "Concat" else sizes[0] * sizes[-1] // rows, 1)
        simple: dict[str, Callable] = {
            "Add": lambda x, y: x + y,
            "Sub": lambda x, y: x - y,
            "Mul": lambda x, y: x * y,
            "Div": lambda x, y: x / y if x.dtype.kind == "f" else x // y,
            "Neg": lambda x: -x,
            "Identity": lambda x: x,
            "Transpose": lambda x: np.transpose(x, node.get("perm", None)),
            "Concat": lambda *v: np.concatenate([np.atleast_1d(a) for a in v], node.get("axis", 0)),
            "Gather": lambda x, i: np.take(x, i, axis=node.get("axis", 0)),
            "Reshape": lambda x, s: x.reshape(_target(x.shape, s, node.get("allowzero", 0))),
            "Squeeze": lambda x, *a: np.squeeze(x, _axes(node, a, x.ndim)),
            "Unsqueeze": lambda x, *a: np.expand_dims(x, _axes(node, a, x.ndim + 8) or (0,)),
        }
        if node.op == "Constant":
            for key in ("value", "value_float", "value_int", "value_floats", "value_ints"):
                if key in node.attributes:
                    value = np.asarray(node.attributes[key])
                    return value.astype(np.float32) if key.startswith("value_float") else value
        if node.op == "Cast":
            return np.asarray(ins[0]).astype(_dtype(node))
        if node.op in simple:
            return simple[node.op](*[v for v in ins if v is not None])
        raise node.refused("It acts on constants.")

    def op_Constant(self, node: Node) -> Any:
        raise node.refused()

    def op_Identity(self, node: Node) -> Any:
        return node.affine()

    op_Dropout = op_Identity

    def op_Cast(self, node: Node) -> Any:
        if np.dtype(_dtype(node)).kind != "f":
            raise node.refused("It rounds to integers.")
        return node.affine()

    def op_Gemm(self, node: Node) -> Any:
        a, b, c = node.input(0), node.input(1), node.input(2)
        a = _turned(a) if node.get("transA", 0) else a
        b = _turned(b) if node.get("transB", 0) else b
        y = self.product(a, b, node, float(np.float32(node.get("alpha", 1.0))))
        if c is None:
            return y
        beta = float(np.float32(node.get("beta", 1.0)))
        if beta != 1.0:
            c = (
                self.scaled(c, np.float64(beta), node)
                if isinstance(c, Affine)
                else self.times(beta, c)
            )
        return self.sum(y, c, 1.0, node) if isinstance(c, Affine) else self.shifted(y, c, node)

    def times(self, factor: float, w: Any) -> np.ndarray:
        """A product of constants, exact or noted."""
        w = np.asarray(w, np.float64)
        if factor == 1.0:
            return w
        got = exact_product(np.full((1, 1), factor), w.reshape(1, -1))
        if got is None:
            self.note(f"weights times {factor:g} are rounded to float64")
            return factor * w
        return got.reshape(w.shape)

    def op_MatMul(self, node: Node) -> Any:
        return self.product(node.input(0), node.input(1), node, 1.0)

    def product(self, a: Any, b: Any, node: Node, alpha: float) -> Any:
        """A matrix product of one tensor with one constant."""
        if isinstance(a, Affine) == isinstance(b, Affine):
            raise node.refused("A product of two tensors that depend on the input is not linear.")
        if isinstance(a, Affine):
            m = self.times(alpha, b)
            if m.ndim != 2 or not a.shape or a.shape[-1] != m.shape[0]:
                raise node.refused(f"It multiplies shapes {a.shape} and {m.shape}.")
            rows = len(a.b) // max(a.shape[-1], 1)
            whole = m.T if rows == 1 else _repeated(m.T, rows, node)
            return self.mapped(whole, a, 0.0, (*a.shape[:-1], m.shape[1]))
        m = self.times(alpha, a)
        if m.ndim != 2 or len(b.shape) not in (1, 2) or b.shape[0] != m.shape[1]:
            raise node.refused(f"It multiplies shapes {m.shape} and {b.shape}.")
        turned = _turned(b) if len(b.shape) == 2 else b
        rows = len(b.b) // max(b.shape[0], 1)
        whole = m if rows == 1 else _repeated(m, rows, node)
        y = self.mapped(whole, turned, 0.0, (rows, len(m)))
        return _turned(y) if len(b.shape) == 2 else Affine(y.w, y.b, (len(m),), y.base)

    def op_Add(self, node: Node, sign: float = 1.0) -> Any:
        x, y = node.input(0), node.input(1)
        if isinstance(x, Affine) and isinstance(y, Affine):
            return self.sum(x, y, sign, node)
        if isinstance(x, Affine):
            return self.shifted(x, sign * np.asarray(y, np.float64), node)
        y = y if sign > 0 else self.scaled(y, np.float64(-1.0), node)
        return self.shifted(y, x, node)

    def op_Sub(self, node: Node) -> Any:
        return self.op_Add(node, -1.0)

    def op_Sum(self, node: Node) -> Any:
        total = node.ins[0]
        for more in node.ins[1:]:
            pair = Node.__new__(Node)
            pair.__dict__.update(node.__dict__)
            pair.ins = [total, more]
            total = self.op_Add(pair) if not _known(pair) else total + more
        return total

    def op_Mul(self, node: Node) -> Any:
        x, y = node.input(0), node.input(1)
        if isinstance(x, Affine) and isinstance(y, Affine):
            raise node.refused("A product of two tensors that depend on the input is not linear.")
        x, y = (x, y) if isinstance(x, Affine) else (y, x)
        return self.scaled(x, y, node)

    def op_Div(self, node: Node) -> Any:
        x, y = node.affine(0), node.constant(1)
        y = np.asarray(y, np.float64)
        if not np.all(y):
            raise node.refused("It divides by 0.")
        if np.any(np.frexp(y)[0] % 0.5):
            self.note("divisions are done as products with the reciprocal, rounded to float64")
        return self.scaled(x, 1.0 / y, node)

    def op_Neg(self, node: Node) -> Any:
        return self.scaled(node.affine(), np.float64(-1.0), node)

    def op_Scaler(self, node: Node) -> Any:
        offset = np.asarray(node.get("offset", [0.0]), np.float32)
        scale = np.asarray(node.get("scale", [1.0]), np.float32)
        return self.scaled(self.shifted(node.affine(), -offset.astype(float), node), scale, node)

    def op_BatchNormalization(self, node: Node) -> Any:
        x = node.affine()
        scale, shift, mean, variance = (
            np.asarray(node.constant(i), np.float64) for i in (1, 2, 3, 4)
        )
        if len(x.shape) != 2:
            raise node.refused("It is read for tensors [batch, features].")
        self.note(
            "batch normalisation is one product and one sum, their numbers rounded to float64"
        )
        factor = scale / np.sqrt(variance + float(np.float32(node.get("epsilon", 1e-5))))
        return self.shifted(self.scaled(x, factor, node), shift - mean * factor, node)

    # -- shapes -------------------------------------------------------------------------------

    def op_Shape(self, node: Node) -> Any:
        x = node.input(0)
        return np.array(x.shape if isinstance(x, Affine) else np.shape(x), np.int64)

    def op_Flatten(self, node: Node) -> Any:
        x, axis = node.affine(), node.get("axis", 1)
        head = int(np.prod(x.shape[:axis], dtype=int))
        return x.taken(x.index.reshape(head, -1))

    def op_Reshape(self, node: Node) -> Any:
        x = node.affine()
        target = node.constant(1, "shape")
        return x.taken(x.index.reshape(_target(x.shape, target, node.get("allowzero", 0))))

    def op_Squeeze(self, node: Node) -> Any:
        x = node.affine()
        return x.taken(np.squeeze(x.index, _axes(node, [node.constant(1)], len(x.shape))))

    def op_Unsqueeze(self, node: Node) -> Any:
        x = node.affine()
        axes = _axes(node, [node.constant(1)], 0) or (0,)
        return x.taken(np.expand_dims(x.index, axes))

    def op_Transpose(self, node: Node) -> Any:
        x = node.affine()
        return x.taken(np.transpose(x.index, node.get("perm", None)))

    def op_Concat(self, node: Node) -> Any:
        parts, axis = node.ins, node.get("axis", 1)
        bases = {p.base for p in parts if isinstance(p, Affine)}
        if len(bases) > 1:
            raise node.refused("Skip connections are read where all activations are Relu.")
        base = bases.pop()
        parts = [p if isinstance(p, Affine) else self.fixed(p, base) for p in parts]
        parts = [self.same(p) for p in parts]
        _fits(sum(len(p.b) for p in parts), self.nodes())
        starts = np.cumsum([0] + [len(p.b) for p in parts])
        index = [p.index + s for p, s in zip(parts, starts, strict=False)]
        w, b = np.concatenate([p.w for p in parts]), np.concatenate([p.b for p in parts])
        joined = np.concatenate(index, axis)
        return Affine(w, b, (len(b),), base).taken(joined)

    def fixed(self, c: Any, base: int) -> Affine:
        c = np.asarray(c, np.float64)
        return Affine(np.zeros((c.size, self.nodes())), c.ravel(), c.shape, base)

    def nodes(self) -> int:
        """How many nodes there are."""
        raise NotImplementedError

    def op_Gather(self, node: Node) -> Any:
        x, which = node.affine(), node.constant(1)
        return x.taken(np.take(x.index, np.asarray(which, int), axis=node.get("axis", 0)))

    def op_Slice(self, node: Node) -> Any:
        x = node.affine()
        starts, ends = (np.atleast_1d(node.constant(i, k)) for i, k in ((1, "starts"), (2, "ends")))
        axes, steps = node.constant(3, "axes"), node.constant(4)
        axes = np.arange(len(starts)) if axes is None else np.atleast_1d(axes)
        steps = np.ones(len(starts), int) if steps is None else np.atleast_1d(steps)
        cut = [slice(None)] * len(x.shape)
        for axis, low, high, step in zip(axes, starts, ends, steps, strict=True):
            cut[int(axis)] = slice(int(low), int(high), int(step))
        return x.taken(x.index[tuple(cut)])


class _Units(_Reader):
    """A piecewise-linear graph: every activation makes ReLU units."""

    def __init__(self, d: int):
        super().__init__(d)
        self.levels: list[tuple[np.ndarray, np.ndarray]] = []

    def nodes(self) -> int:
        return self.d + sum(len(b) for _, b in self.levels)

    def same(self, x: Affine) -> Affine:
        more = self.nodes() - x.w.shape[1]
        w = np.concatenate([x.w, np.zeros((len(x.b), more))], axis=1)
        return Affine(w, x.b, x.shape, x.base)

    def units(self, x: Affine) -> Affine:
        """New units: relu of every entry."""
        x = self.same(x)
        if len(x.b) * (x.w.shape[1] + len(x.b)) > MAX_NUMBERS:
            raise UsageError(f"the file holds a layer of {len(x.b):,} units, more than is read")
        self.levels.append((x.w, x.b))
        w = np.concatenate([np.zeros_like(x.w), np.eye(len(x.b))], axis=1)
        return Affine(w, np.zeros(len(x.b)), x.shape)

    def carry(self, x: Affine) -> Affine:
        n = len(x.b)
        both = self.units(
            Affine(np.concatenate([x.w, -x.w]), np.concatenate([x.b, -x.b]), (2 * n,))
        )
        return Affine(both.w[:n] - both.w[n:], np.zeros(n), x.shape)

    def op_Relu(self, node: Node) -> Any:
        return self.units(node.affine())

    def op_LeakyRelu(self, node: Node) -> Any:
        return self.leaky(node.affine(), np.float64(np.float32(node.get("alpha", 0.01))), node)

    def op_PRelu(self, node: Node) -> Any:
        return self.leaky(node.affine(), node.constant(1), node)

    def leaky(self, x: Affine, slope: Any, node: Node) -> Affine:
        slope, x = self.together(slope, x, node)
        up, down = self.units(x), self.units(self.scaled(x, np.float64(-1.0), node))
        return self.sum(up, self.scaled(down, slope, node), -1.0, node)

    def op_Abs(self, node: Node) -> Any:
        return self.leaky(node.affine(), np.float64(-1.0), node)

    def op_Max(self, node: Node, sign: float = 1.0) -> Any:
        total = node.ins[0]
        for other in node.ins[1:]:
            x, y = (total, other) if isinstance(total, Affine) else (other, total)
            total = self.larger(x, y, sign, node)
        return total

    def op_Min(self, node: Node) -> Any:
        return self.op_Max(node, -1.0)

    def larger(self, x: Any, y: Any, sign: float, node: Node) -> Any:
        """max(x, y) = y + relu(x - y), min(x, y) = y - relu(y - x)."""
        if not isinstance(x, Affine):
            raise node.refused("It compares constants.")
        if isinstance(y, Affine):
            apart = self.sum(x, y, -1.0, node)
        else:
            apart = self.shifted(x, -np.asarray(y, np.float64), node)
        over = self.units(self.scaled(apart, np.float64(sign), node))
        over = self.scaled(over, np.float64(sign), node)
        return (
            self.sum(over, y, 1.0, node) if isinstance(y, Affine) else self.shifted(over, y, node)
        )

    def op_Clip(self, node: Node) -> Any:
        x, low, high = node.affine(), node.constant(1, "min"), node.constant(2, "max")
        if low is not None and np.all(np.isfinite(low)) and np.all(np.abs(low) < 3e38):
            x = self.larger(x, low, 1.0, node)
        if high is not None and np.all(np.isfinite(high)) and np.all(np.abs(high) < 3e38):
            x = self.larger(x, high, -1.0, node)
        return x

    def done(self, y: Affine) -> ReLUNetwork:
        y = self.same(y)
        return ReLUNetwork(self.d, self.levels, (y.w, y.b), notes=self.notes)


class _Chain(_Reader):
    """A chain of affine maps and activations, as layers of Equinox."""

    def __init__(self, d: int):
        super().__init__(d)
        self.size, self.at = d, 0
        self.stages: list[Any] = []

    def nodes(self) -> int:
        return self.size

    def put(self, x: Affine) -> None:
        if x.base != self.at:
            raise UsageError(
                "the file's network has skip connections and smooth activations",
                "Skip connections are read where all activations are Relu.",
            )
        if not (np.array_equal(x.w, np.eye(len(x.b), x.w.shape[1])) and not np.any(x.b)):
            self.stages.append((x.w, x.b))

    def carry(self, x: Affine) -> Affine:
        self.put(x)
        return self.fresh(x)

    def fresh(self, x: Affine) -> Affine:
        self.size, self.at = len(x.b), self.at + 1
        return Affine(np.eye(self.size), np.zeros(self.size), x.shape, self.at)

    def smooth(self, node: Node) -> Any:
        from infsup.core.registry import function

        x = node.affine()
        f: Any = function("jax.nn.relu" if node.op == "Relu" else SMOOTH[node.op])
        plain = {"Elu": 1.0, "Selu": 1.6732631921768188}.get(node.op, 1.0)
        if abs(float(node.get("alpha", plain)) - plain) > 1e-6:
            raise node.refused(f"Its alpha is {node.get('alpha', plain):g}, not {plain:g}.")
        if node.op == "Gelu" and node.get("approximate", b"none") != b"tanh":
            import functools

            f = functools.partial(f, approximate=False)
        self.put(x)
        self.stages.append(f)
        return self.fresh(x)

    op_Relu = smooth

    def done(self, y: Affine) -> Any:
        import equinox as eqx
        import jax
        import jax.numpy as jnp

        self.put(y)
        linear = [i for i, s in enumerate(self.stages) if isinstance(s, tuple)]
        single = all(
            np.array_equal(v.astype(np.float32), v) for i in linear for v in self.stages[i]
        )
        dtype, layers, size = np.dtype(np.float32 if single else np.float64), [], self.d
        for i, s in enumerate(self.stages):
            if not isinstance(s, tuple):
                layers.append(eqx.nn.Lambda(s))
                continue
            w, b = s
            ins: Any = "scalar" if i == 0 and size == 1 else size
            outs: Any = "scalar" if i == len(self.stages) - 1 and len(b) == 1 else len(b)
            made = eqx.nn.Linear(ins, outs, dtype=jnp.float32, key=jax.random.key(0))
            # with JAX's 64-bit flag off only NumPy holds float64
            keep = jnp.asarray if single or enabled() else np.asarray
            new = keep(w.astype(dtype)), keep(b.astype(dtype))
            layers.append(eqx.tree_at(_weights, made, new))
            size = len(b)
        return eqx.nn.Sequential(layers)


def _weights(layer: Any) -> tuple[Any, Any]:
    return layer.weight, layer.bias


def _composed(m: np.ndarray, x: Affine, c: np.ndarray) -> tuple[Any, Any]:
    """Weights and biases of m x + c, each None where float64 does not hold it."""
    rows, columns = np.nonzero(x.w)
    single = len(rows) == len(x.w) and len(set(rows)) == len(rows) == len(set(columns))
    if single and not np.any(x.b) and np.all(np.abs(x.w[rows, columns]) == 1):
        w = np.zeros((len(m), x.w.shape[1]))
        w[:, columns] = m[:, rows] * x.w[rows, columns]
        return w, np.array(c)
    units = np.all(np.abs(x.w[rows, columns]) == 1) and len(set(columns)) == len(columns)
    if units and not np.any(x.b):
        w = np.zeros((len(m), x.w.shape[1]))
        w[:, columns] = m[:, rows] * x.w[rows, columns]
        return w, np.array(c)
    # other merges would hide what rounds in between, where the graph is executed
    diagonal = m.shape[0] == m.shape[1] and np.count_nonzero(m) == np.count_nonzero(np.diag(m))
    if not diagonal or np.any(np.frexp(np.diag(m))[0] % 0.5):
        return None, None
    if np.any(c) and (np.any(np.diag(m) != 1) or np.any(x.b * c < 0)):
        return None, None
    b = exact_product(m, x.b[:, None], c[:, None])
    return exact_product(m, x.w), None if b is None else b[:, 0]


def _diagonal(v: np.ndarray, node: Node) -> np.ndarray:
    if len(v) > 8192:
        raise node.refused("It scales more than 8,192 numbers.")
    return np.diag(v)


def _repeated(m: np.ndarray, rows: int, node: Node) -> np.ndarray:
    if rows * rows * m.size > MAX_NUMBERS:
        raise node.refused("It makes a very large tensor.")
    return np.kron(np.eye(rows), m)


def _turned(x: Any) -> Any:
    return x.taken(x.index.T) if isinstance(x, Affine) else np.asarray(x).T


def _target(shape: Sequence[int], target: Any, allow_zero: int) -> list[int]:
    target = [int(n) for n in np.atleast_1d(target)]
    if any(n < -1 for n in target) or len(target) > 16:
        raise FileRejected(f"a Reshape asks for the shape {target[:8]}")
    return [shape[i] if n == 0 and not allow_zero else n for i, n in enumerate(target)]


def _axes(node: Node, given: Sequence[Any], rank: int) -> Any:
    axes = node.get("axes", None)
    if axes is None and given and given[0] is not None:
        axes = given[0]
    del rank
    return None if axes is None else tuple(int(n) for n in np.atleast_1d(axes))


def _dtype(node: Node) -> Any:
    kinds = {1: "float32", 10: "float16", 11: "float64", 6: "int32", 7: "int64", 9: "bool"}
    if node.get("to", 0) not in kinds:
        raise node.refused("It casts to a dtype that is not read.")
    return kinds[node.get("to", 0)]

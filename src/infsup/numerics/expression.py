"""Functions typed in the shell: an expression, parsed by a whitelist, never run as Python."""

import ast
import string
import warnings
from collections.abc import Sequence
from fractions import Fraction

from infsup.core.errors import UsageError, nearest
from infsup.core.program import Argument, Program, Writer

MAX_LENGTH = 1_000
MAX_NODES = 200
MAX_DEPTH = 30
MAX_EXPONENT = 64
MAX_INTEGER = 10**15

_ONE = (
    "sin cos tan tanh sinh cosh arcsin arccos arctan arcsinh arccosh arctanh exp expm1 log log1p "
    "sqrt cbrt abs sigmoid relu erf erfc"
)
FUNCTIONS = {**dict.fromkeys(_ONE.split(), 1), "minimum": 2, "maximum": 2}
"""Name -> number of arguments."""
_INVERSE = {f"arc{name}": f"a{name}" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")}
_OPS = {"sigmoid": "logistic", **_INVERSE}
_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div"}
_CHARACTERS = frozenset(string.ascii_letters + string.digits + "_+-*/(),. ")


def parse(text: str, names: Sequence[str] = ("x",)) -> Program:
    """The program of an expression.

    Decimals and the constants `pi` and `e` are exact. Nothing is evaluated or folded.

    Args:
        text: at most 1,000 characters: numbers, the arguments' names, pi, e, + - * /, `**` with a
            number of size at most 64 as exponent, and the functions of `FUNCTIONS`.
        names: of the arguments.

    Raises:
        UsageError: anything else; says what and where.
    """
    if not isinstance(text, str):
        raise UsageError(f"an expression is text, not a {type(text).__name__}")
    shown = text if len(text) <= 60 else f"{text[:57]}..."
    if len(text) > MAX_LENGTH:
        raise UsageError(
            f"the expression has {len(text):,} characters", f"At most {MAX_LENGTH:,} are read."
        )
    odd = next((c for c in text if c not in _CHARACTERS), None)
    if odd is not None:
        remedy = "x**2" if odd == "^" else ""
        raise UsageError(
            f"the expression holds the character {odd!a}",
            "Numbers, names, + - * / ** ( ) , and spaces are read.",
            remedy,
        )
    depth = deepest = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise UsageError(f"the expression nests {deepest} brackets; at most {MAX_DEPTH} are read")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        raise UsageError(
            f"`{shown}` is not an expression", remedy="for example exp(-x)*sin(3*x)"
        ) from None
    writer = _Writer(tuple(names))
    out = writer.visit(tree.body, 0)
    ins = tuple(Argument(n) for n in names)
    return Program(ins, tuple(writer.steps), out, {}, " ".join(text.split()))


class _Writer(Writer):
    """Writes the steps of a syntax tree."""

    def __init__(self, names: tuple[str, ...]):
        super().__init__(len(names))
        self.names = names
        self.nodes = 0

    def visit(self, node: ast.AST, depth: int) -> int:
        self.nodes += 1
        if self.nodes > MAX_NODES or depth > 2 * MAX_DEPTH:
            raise UsageError(f"the expression is too large: at most {MAX_NODES} parts are read")
        if isinstance(node, ast.Constant):
            return self.put("number", value=_number(node))
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
            inner = self.visit(node.operand, depth + 1)
            return self.put("neg", inner) if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            left, right = self.visit(node.left, depth + 1), self.visit(node.right, depth + 1)
            return self.put(_BINARY[type(node.op)], left, right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
            return self.power(node, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self.call(node, node.func.id, depth)
        raise UsageError(f"a {type(node).__name__} is not allowed in an expression")

    def name(self, name: str) -> int:
        if name in self.names:
            return self.names.index(name)
        if name in ("pi", "e"):
            return self.put(name)
        if name in FUNCTIONS:
            raise UsageError(f"`{name}` is a function", remedy=f"{name}({self.names[0]})")
        raise UsageError(
            f"`{name[:40]}` is not known in an expression",
            f"The argument is {', '.join(self.names)}; pi and e are constants.",
        )

    def power(self, node: ast.BinOp, depth: int) -> int:
        base, right, sign = self.visit(node.left, depth + 1), node.right, 1
        self.nodes += 1
        if isinstance(right, ast.UnaryOp) and isinstance(right.op, ast.USub):
            right, sign = right.operand, -1
        exponent = _number(right) if isinstance(right, ast.Constant) else None
        if exponent is None or exponent > MAX_EXPONENT:
            raise UsageError(
                f"an exponent must be a number of size at most {MAX_EXPONENT}",
                remedy="exp(b*log(a)) for a**b",
            )
        exponent *= sign
        return base if exponent == 1 else self.put("power_of", base, exponent=exponent)

    def call(self, node: ast.Call, name: str, depth: int) -> int:
        if name in _INVERSE.values():
            name = f"arc{name[1:]}"
        if name not in FUNCTIONS:
            raise UsageError(
                f"there is no function `{name[:40]}` in expressions",
                f"Known are {', '.join(FUNCTIONS)}.",
                nearest(name, FUNCTIONS) if len(name) < 40 else "",
            )
        plain = not node.keywords and not any(isinstance(a, ast.Starred) for a in node.args)
        if not plain or len(node.args) != FUNCTIONS[name]:
            raise UsageError(f"`{name}` takes {FUNCTIONS[name]} argument(s)")
        args = [self.visit(a, depth + 1) for a in node.args]
        if name == "relu":
            return self.put("maximum", args[0], self.put("number", value=Fraction(0)))
        return self.put(_OPS.get(name, name), *args)


def _number(node: ast.Constant) -> Fraction:
    """A number as it was typed: the parser has only its float, whose shortest decimal is taken."""
    value = node.value
    if type(value) is int and abs(value) <= MAX_INTEGER:
        return Fraction(value)
    if type(value) is float and abs(value) < float("inf"):
        return Fraction(repr(value))
    raise UsageError(
        f"{str(value)[:40]} is not a number that an expression may hold",
        f"Finite decimals and integers up to {MAX_INTEGER:.0e} are read.",
    )

"""A typed expression as the formula that it means: `exp(-x)*sin(3*x)` as e^{-x} sin 3x."""

import ast
from fractions import Fraction

from infsup.core.errors import UsageError

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
_COMMANDS = {
    name: f"\\{name}" for name in ("sin", "cos", "tan", "tanh", "sinh", "cosh", "arctan", "log")
}
_SHORT = 8
"""A longer exponent of e is written as exp of it."""


def latex_of(text: str) -> str | None:
    """LaTeX of an expression; None of what the shell's own parser does not read, or of a long one.

    Args:
        text: as typed, in one argument `x`.
    """
    from infsup.numerics.expression import parse

    try:
        parse(text)
    except UsageError:
        return None
    latex, _ = _written(ast.parse(text.strip(), mode="eval").body)
    return latex if len(latex) <= 160 else None


def _written(node: ast.AST) -> tuple[str, int]:
    """LaTeX, and how strongly it holds together."""
    match node:
        case ast.Constant(value=int() | float() as value):
            return _number(value), _ATOM
        case ast.Name(id=name):
            return (r"\pi" if name == "pi" else name), _ATOM
        case ast.UnaryOp(op=op, operand=operand):
            inner = _held(operand, _PRODUCT)
            return (f"-{inner}", _SIGN) if isinstance(op, ast.USub) else (inner, _PRODUCT)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return f"{_held(left, _SUM)}+{_held(right, _PRODUCT)}", _SUM
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return f"{_held(left, _SUM)}-{_held(right, _PRODUCT)}", _SUM
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            return rf"\frac{{{_written(left)[0]}}}{{{_written(right)[0]}}}", _ATOM
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            a, b = _held(left, _PRODUCT), _held(right, _POWER)
            if b[0].isdigit():
                return rf"{a}\cdot {b}", _PRODUCT
            near = isinstance(left, ast.Constant) and isinstance(right, (ast.Name, ast.BinOp))
            return (f"{a} {b}" if near else rf"{a}\,{b}"), _PRODUCT
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return f"{_held(left, _ATOM)}^{{{_written(right)[0]}}}", _POWER
        case ast.Call(func=ast.Name(id=name), args=args):
            return _call(name, args)
    raise AssertionError(node)


def _held(node: ast.AST, least: int) -> str:
    latex, strength = _written(node)
    return latex if strength >= least else _bracketed(latex)


def _bracketed(latex: str) -> str:
    """Brackets that grow only where they must: growing ones stand further apart."""
    return rf"\left({latex}\right)" if "frac" in latex or "^" in latex else f"({latex})"


def _call(name: str, args: list[ast.expr]) -> tuple[str, int]:
    inner = [_written(a)[0] for a in args]
    if name == "sqrt":
        return rf"\sqrt{{{inner[0]}}}", _ATOM
    if name == "abs":
        return rf"\left|{inner[0]}\right|", _ATOM
    if name == "exp" and (len(inner[0]) <= _SHORT or "frac" not in inner[0]):
        return f"e^{{{inner[0]}}}", _POWER
    if name in ("minimum", "maximum"):
        return rf"\{name[:3]}{_bracketed(', '.join(inner))}", _ATOM
    command = _COMMANDS.get(name, rf"\operatorname{{{name}}}")
    return f"{command}{_bracketed(inner[0])}", _ATOM


def _number(value: int | float) -> str:
    shortest = repr(value)
    if "e" not in shortest:
        return shortest
    head, power = shortest.split("e")
    times = "" if Fraction(head) == 1 else rf"{head}\cdot "
    return f"{times}10^{{{int(power)}}}"

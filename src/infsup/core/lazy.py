"""Public names that are imported when first used (PEP 562)."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

from infsup.core.errors import nearest


def lazy(package: str, table: Mapping[str, str]) -> tuple[Callable, Callable]:
    """`__getattr__` and `__dir__` for a package.

    Args:
        package: its `__name__`.
        table: public name -> module below the package that defines it; a name that equals its
            module is the module itself.
    """

    def get(name: str) -> Any:
        if name not in table:
            hint = f"; did you mean {nearest(name, table)}?" if not name.startswith("_") else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        module = importlib.import_module(f"{package}.{table[name]}")
        value = module if table[name] == name else getattr(module, name)
        import sys

        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted(table)

    return get, names

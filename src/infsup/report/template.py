"""The templates of the report: whatever is put into them is escaped, unless it is `Markup`."""

import functools
import pathlib
from typing import Any

HERE = pathlib.Path(__file__).parent


@functools.cache
def environment() -> Any:
    """Escapes everything that is no `Markup`; a missing name is an error."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )

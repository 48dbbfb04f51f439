"""The shell: `infsup list | solve | certify | check | doctor | bench`.

Nothing here imports JAX or NumPy before a command needs it, so help, lists and completion are quick.
"""

from infsup.core.lazy import lazy

PUBLIC = {"main": "app"}

__getattr__, __dir__ = lazy(__name__, PUBLIC)

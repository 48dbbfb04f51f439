"""The shell: `infsup list | solve | certify | check | doctor | bench`.

JAX and NumPy are imported when a command needs them, so help, lists and completion are quick.
"""

from infsup.core.lazy import lazy

PUBLIC = {"main": "app"}

__getattr__, __dir__ = lazy(__name__, PUBLIC)

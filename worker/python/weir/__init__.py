"""Weir's SQL in notebooks: `%load_ext weir`, then `%%sql` cells and `%sql` lines.

    magic (cell → request) ──► session (one `weir sql --stdio`) ──► events ──► show, table, plot

Only `magic` and `show` know IPython; pandas and matplotlib are used where they are installed.
"""

from .errors import SqlError
from .session import Session
from .table import Table

__all__ = ["Session", "SqlError", "Table", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(ipython):
    """`%load_ext weir`."""
    from . import magic

    magic.load(ipython)


def unload_ipython_extension(ipython):
    """`%unload_ext weir`: the session and everything that it declared is gone."""
    from . import magic

    magic.unload(ipython)

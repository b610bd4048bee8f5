"""Where the program `weir` is."""

import os
import shutil

from .errors import SqlError

BUILD = (
    "build it in a clone of Weir with `cargo build --release --bin weir`, "
    "and set WEIR_BIN to its target/release/weir or put that into PATH"
)


def find(environ=os.environ):
    """`$WEIR_BIN`, else `weir` of `$PATH`."""
    chosen = environ.get("WEIR_BIN")
    if chosen:
        if os.path.isfile(chosen) and os.access(chosen, os.X_OK):
            return os.path.abspath(chosen)
        raise SqlError(f"WEIR_BIN: {chosen} is not a program; {BUILD}")
    found = shutil.which("weir", path=environ.get("PATH", ""))
    if found is None:
        raise SqlError(f"the program weir is not in PATH, and WEIR_BIN is not set; {BUILD}")
    return os.path.abspath(found)

"""What a cell shows while a query runs: one table that is replaced in place, and a chart below it."""

import sys
import time

from IPython import get_ipython
from IPython.display import display

from . import plot
from .table import Table, to_html

# A chart takes so long to draw that more of them would hold rows up.
CHART_SECONDS = 1.0
# Rows of a look at a result: as many as a table shows, or a chart is worth drawing of.
TABLE_ROWS = 20
CHART_ROWS = 1_000


class Live:
    """Places in a cell's output; each is made when there is something to show."""

    def __init__(self, chart=None):
        # (x, y, kind)
        self._chart = chart
        # A terminal would show every change below the last one.
        self._is_replaced = getattr(get_ipython(), "kernel", None) is not None
        self._place = None
        self._chart_place = None
        self._drawn = 0.0
        self._table = None
        self._line = ""
        self._total = 0

    def look(self, table, total):
        """Rows as they are now."""
        if not self._is_replaced:
            if self._table is None:
                print("its rows are shown once it ends; Ctrl-C ends it", file=sys.stderr)
            self._table = table
            return
        self._table, self._total = table, total
        self._update()
        if self._chart and time.monotonic() - self._drawn > CHART_SECONDS:
            self.draw(table)

    def progress(self, line):
        """How far it is."""
        if not self._is_replaced:
            return
        self._line = line
        self._update()

    def end(self, text):
        """Nothing runs any more: what was shown gives way to the result, which follows."""
        if self._place is not None:
            self._place.update(_Shown("", text))
        elif text:
            print(text)
        self._place, self._table, self._line = None, None, ""

    def draw(self, table):
        """The chart, in the place of the last one."""
        picture = _Picture(plot.png(table, *self._chart))
        if self._chart_place is None:
            self._chart_place = display(picture, display_id=True)
        else:
            self._chart_place.update(picture)
        self._drawn = time.monotonic()

    def _update(self):
        if self._table is None:
            shown = _Shown("", self._line)
        else:
            rows = f"{self._total:,} rows" if self._total != 1 else "1 row"
            if self._total > len(self._table):
                rows += f", {min(len(self._table), TABLE_ROWS)} of them shown"
            line = "   ".join(filter(None, [rows, self._line]))
            top = Table(self._table.columns, self._table.types)
            top.rows = self._table.rows[:TABLE_ROWS]
            shown = _Shown(to_html(top, line), f"{top!r}\n{line}")
        if self._place is None:
            self._place = display(shown, display_id=True)
        else:
            self._place.update(shown)


class _Shown:
    """HTML, and the same as text. `html` is what `to_html` made."""

    def __init__(self, html, text):
        self._html = html
        self._text = text

    def _repr_mimebundle_(self, **_):
        html = {"text/html": self._html} if self._html else {}
        return {"text/plain": self._text, **html}


class _Picture:
    def __init__(self, png):
        self._png = png

    def _repr_png_(self):
        return self._png

    def __repr__(self):
        return "<chart>"

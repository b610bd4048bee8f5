"""`%%sql` and `%sql`: requests to the kernel's one session, and what becomes of their answers."""

import sys

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.magic import no_var_expand
from IPython.display import display

from . import plot, request
from .errors import SqlError
from .session import Session
from .show import CHART_ROWS, TABLE_ROWS, Live
from .table import Table

# Of a table that is looked at, and of a result without an end, as the program keeps them.
NEWEST = 10_000


class Magics:
    """The magics of one kernel."""

    def __init__(self, ipython):
        self._ipython = ipython
        self._session = None

    def close(self):
        if self._session is not None:
            self._session.close()
            self._session = None

    def run(self, asked):
        """Answers a request; its last result is returned."""
        if self._session is None:
            self._session = Session()
        cell = Cell(asked)
        try:
            code = self._session.run(
                asked.sql,
                cell.take,
                limit=asked.limit,
                seconds=asked.seconds,
                live=asked.live,
                shown=CHART_ROWS if asked.chart else TABLE_ROWS,
            )
        finally:
            if not self._session.is_alive:
                self.close()
        result = cell.finish(code)
        if asked.name:
            if result is None:
                raise SqlError(f"%%sql {asked.name}: no statement of the cell has rows to be kept")
            self._ipython.push({asked.name: result})
        return result

    def complete(self, context):
        """Completions of SQL inside of a cell or line of it."""
        before, after = around(context)
        if before is None:
            return {"completions": []}
        try:
            if self._session is None:
                self._session = Session()
            start, found = self._session.complete(before, after)
        except SqlError:
            # A key is pressed: there is no place to say why there is nothing.
            return {"completions": []}
        return {
            "completions": [SimpleCompletion(text, type=what) for text, what in found],
            "matched_fragment": before[start:],
            "suppress": True,
            "ordered": True,
        }


def around(context):
    """The SQL before and behind the cursor; nothing where it is not in SQL."""
    lines = context.full_text.split("\n")
    at = context.cursor_line
    line, rest = lines[at][: context.cursor_position], lines[at][context.cursor_position :]
    if lines[0].startswith("%%sql") and at > 0:
        before = "\n".join([*lines[1:at], line])
        return before, "\n".join([rest, *lines[at + 1 :]])
    if line.startswith("%sql "):
        return line[len("%sql ") :], rest
    return None, None


class Cell:
    """Answers of one request, as they come."""

    def __init__(self, asked):
        self._asked = asked
        self._live = None
        # The result that comes, and what is known of it.
        self._table = None
        self._columns = None
        # The last one, when it is whole.
        self._result = None
        self._failed = None
        self._interrupted = None

    def take(self, event):
        """Takes an event of the session."""
        getattr(self, f"_take_{event['event']}")(event)

    def finish(self, code):
        """The last result, or why there is none."""
        if self._live is not None:
            self._live.end("")
        if self._failed is not None:
            raise SqlError(self._failed)
        if self._interrupted is not None:
            raise SqlError(self._interrupted)
        return self._result

    @property
    def _shown(self):
        if self._live is None:
            self._live = Live(self._asked.chart)
        return self._live

    def _take_said(self, event):
        print(event["text"])

    def _take_text(self, event):
        print(event["text"])

    def _take_printed(self, event):
        print(event["text"], end="")

    def _take_warning(self, event):
        print(f"warning: {event['text']}", file=sys.stderr)

    def _take_error(self, event):
        self._failed = event["text"]

    def _take_columns(self, event):
        self._show_last()
        self._columns = event
        self._table = self._new_table()
        if self._asked.chart:
            plot.check(self._table.columns, self._table.types, *self._asked.chart[:2])

    def _new_table(self):
        columns = self._columns["columns"]
        return Table([each["name"] for each in columns], [each["type"] for each in columns])

    def _take_rows(self, event):
        self._table.extend(event["rows"])

    def _take_table(self, event):
        table = self._new_table()
        table.extend(event["rows"])
        self._shown.look(table, event["total"])

    def _take_progress(self, event):
        self._shown.progress(event["text"])

    def _take_done(self, event):
        table, columns, live = self._table, self._columns, self._live
        self._table = self._columns = None
        is_interrupted = event["ended"] == "interrupted"
        took = f"{event['seconds']:.2f} s"
        if table is None:
            # What was said of it stands there.
            if live is not None:
                live.end("")
                self._live = None
            return
        came = event["rows"]
        rows = f"{came:,} rows" if came != 1 else "1 row"
        if is_interrupted and columns["bounded"]:
            self._interrupted = (
                f"interrupted after {took}, before the query had all of its rows; run the cell again for "
                f"a result, or give it --limit or --for"
            )
            return
        how = {"finished": "in", "limit": "in", "interrupted": "until it was interrupted after"}
        note = f"{rows} {how[event['ended']]} {took}"
        if len(table) < came:
            which = "first" if columns["corrected"] else "newest"
            note += f"; the {which} {len(table):,} are kept"
        elif event["ended"] == "limit" and self._asked.limit is None and self._asked.seconds is None:
            note += "; there may be more: --limit says how many are wanted"
        elif event["ended"] == "limit" and self._asked.seconds is not None and self._asked.limit != came:
            note += f", when --for {self._asked.seconds:g} ended it"
        else:
            note = note if live is not None else ""
        if self._asked.chart:
            self._shown.draw(table)
        if live is not None:
            live.end(note)
            self._live = None
        elif note:
            print(note)
        self._result = table.frame()

    def _show_last(self):
        """A result that is not the last one of its cell."""
        if self._result is not None:
            display(self._result)


_magics = None


def load(ipython):
    """Registers the magics; a second time the first session goes on."""
    global _magics
    if _magics is not None:
        return
    magics = _magics = Magics(ipython)

    @no_var_expand
    def sql_cell(line, cell):
        """Answer statements of SQL: %%sql [NAME] [--live] [--plot X Y [line|bar]] [--limit N] [--for SECONDS]

        NAME         the variable that holds the last result
        --live       show rows while the query runs; one without an end always does
        --plot X Y   draw column Y over X
        --limit N    end a query once it has N rows
        --for S      end whatever has not ended after S seconds

        Interrupting the kernel ends what runs, and nothing else.
        """
        return magics.run(request.of_cell(line, cell))

    @no_var_expand
    def sql_line(line):
        """Answer a statement of SQL: %sql [--live] [--plot X Y] [--limit N] [--for SECONDS] STATEMENT"""
        return magics.run(request.of_line(line))

    ipython.register_magic_function(sql_cell, "cell", "sql")
    ipython.register_magic_function(sql_line, "line", "sql")

    @context_matcher()
    def weir_sql_matcher(context):
        return magics.complete(context)

    magics.matcher = weir_sql_matcher
    ipython.Completer.custom_matchers.append(weir_sql_matcher)


def unload(ipython):
    """Takes the magics away, and ends the session."""
    global _magics
    if _magics is None:
        return
    for kind in ("cell", "line"):
        ipython.magics_manager.magics[kind].pop("sql", None)
    ipython.Completer.custom_matchers.remove(_magics.matcher)
    _magics.close()
    _magics = None

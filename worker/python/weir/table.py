"""Results: rows under their columns, with or without pandas."""

import datetime
import html

from . import values

# Rows of a table, and characters of a cell, that are shown.
SHOWN = 20
WIDEST = 200


class Table:
    """Rows of a result. `columns` are names, `types` those of SQL, `rows` tuples."""

    def __init__(self, columns, types, rows=()):
        self.columns = list(columns)
        self.types = list(types)
        self._decoders = [values.decoder(of) for of in self.types]
        self.rows = []
        self.extend(rows)

    def extend(self, rows):
        """Takes rows as they were read."""
        for row in rows:
            self.rows.append(tuple(decode(v) for decode, v in zip(self._decoders, row)))

    def __len__(self):
        return len(self.rows)

    def __iter__(self):
        return iter(self.rows)

    def column(self, name):
        """The values of a column."""
        at = self.columns.index(name)
        return [row[at] for row in self.rows]

    def frame(self):
        """A DataFrame, or this table where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            return self
        series = [_series(pandas, at, self) for at in range(len(self.columns))]
        if not series:
            return pandas.DataFrame()
        frame = pandas.concat(series, axis=1)
        # Two columns may have one name.
        frame.columns = self.columns
        return frame

    def __repr__(self):
        cells = [[_text(value) for value in row] for row in self.rows[:SHOWN]]
        widths = [max(map(len, column)) for column in zip(self.columns, *cells)]
        lines = [
            "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
            for line in [self.columns, ["─" * width for width in widths], *cells]
        ]
        return "\n".join(lines + [_more(len(self.rows))] * (len(self.rows) > SHOWN))

    def _repr_html_(self):
        return to_html(self, _more(len(self.rows)) if len(self.rows) > SHOWN else "")


def to_html(table, below):
    """A table with a line below it. Nothing in it is HTML but what is made here."""
    head = "".join(
        f'<th title="{html.escape(of)}">{html.escape(name)}</th>'
        for name, of in zip(table.columns, table.types)
    )
    aligned = [
        "right" if values.base(of) in values.NUMBERS else "left" for of in table.types
    ]
    body = "".join(
        "<tr>" + "".join(_cell(value, side) for value, side in zip(row, aligned)) + "</tr>"
        for row in table.rows[:SHOWN]
    )
    below = f'<div style="opacity:.7">{html.escape(below)}</div>' if below else ""
    return (
        f'<table class="dataframe"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{below}'
    )


def _cell(value, side):
    if value is None:
        return f'<td style="text-align:{side};opacity:.5">NULL</td>'
    return f'<td style="text-align:{side}">{html.escape(_text(value))}</td>'


def _text(value):
    if value is None:
        return "NULL"
    if isinstance(value, datetime.datetime):
        value = value.isoformat(" ").replace("+00:00", "Z")
    text = str(value).replace("\n", " ")
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _more(rows):
    return f"{rows:,} rows, the first {SHOWN} of them shown"


def _series(pandas, at, table):
    column = [row[at] for row in table.rows]
    kind = values.base(table.types[at])
    has_null = None in column
    if kind in values.WHOLE:
        # As numbers with a point the large ones would become others.
        bits = {"TINYINT": 8, "SMALLINT": 16, "INT": 32}.get(kind, 64)
        return pandas.Series(column, dtype=f"Int{bits}" if has_null else f"int{bits}")
    if kind in values.REAL:
        return pandas.Series(column, dtype="float64")
    if kind == "BOOLEAN":
        return pandas.Series(column, dtype="boolean" if has_null else "bool")
    if kind in values.TIMES:
        # Texts have what Python's values cannot have, such as nanoseconds.
        texts = [v if v is None or isinstance(v, str) else v.isoformat() for v in column]
        try:
            times = pandas.to_datetime(texts, format="ISO8601", utc=kind == "TIMESTAMP_LTZ")
            return pandas.Series(times)
        except (ValueError, OverflowError):
            pass
    return pandas.Series(column, dtype="object")

"""Charts of a result, drawn with matplotlib."""

import difflib
import io
from decimal import Decimal

from . import values
from .errors import SqlError

# More bars cannot be told apart.
BARS = 60


def check(columns, types, x, y):
    """Refuses what cannot be drawn, before it is waited for."""
    for name in (x, y):
        if name not in columns:
            near = difflib.get_close_matches(name, columns, 1)
            hint = f'did you mean "{near[0]}"?' if near else f"they are {', '.join(columns)}"
            raise SqlError(f'--plot: the result has no column "{name}"; {hint}')
    of = types[columns.index(y)]
    if values.base(of) not in values.NUMBERS:
        numbers = [n for n, of in zip(columns, types) if values.base(of) in values.NUMBERS]
        hint = f"numbers are {', '.join(numbers)}" if numbers else "the result has no number"
        raise SqlError(f'--plot: "{y}" is {of}, and what is drawn must be a number; {hint}')
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise SqlError("--plot needs matplotlib: %pip install matplotlib") from None


def png(table, x, y, kind=None):
    """The picture of a chart: bars for names, a line for numbers and times."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    of = values.base(table.types[table.columns.index(x)])
    kind = kind or ("line" if of in (*values.NUMBERS, *values.TIMES) else "bar")
    pairs = zip(table.column(x), table.column(y))
    points = [(_number(a), _number(b)) for a, b in pairs if b is not None]
    title = ""
    # Not pyplot: it would keep every picture, and show it a second time.
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    axes = figure.add_subplot()
    if kind == "line":
        points = [point for point in points if point[0] is not None]
        points.sort(key=lambda point: (isinstance(point[0], str), point[0]))
        marker = "." if len(points) <= BARS else ""
        axes.plot([a for a, _ in points], [b for _, b in points], marker=marker)
        if of in values.TIMES:
            figure.autofmt_xdate()
    else:
        if len(points) > BARS:
            title = f"the first {BARS} of {len(points):,}"
        names = ["NULL" if a is None else str(a) for a, _ in points[:BARS]]
        axes.bar(range(len(names)), [b for _, b in points[:BARS]])
        axes.set_xticks(range(len(names)), names, rotation=45 if len(names) > 8 else 0)
    # Names are no formulas.
    for text in (axes.set_xlabel(x), axes.set_ylabel(y), axes.set_title(title), *axes.get_xticklabels()):
        text.set_parse_math(False)
    axes.grid(alpha=0.3)
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=96)
    return out.getvalue()


def _number(value):
    """matplotlib knows no decimals."""
    return float(value) if isinstance(value, Decimal) else value

"""What is written behind `%%sql` and `%sql`.

    %%sql [NAME] [--live] [--plot X Y [line|bar]] [--limit N] [--for SECONDS]
"""

import dataclasses
import difflib
import keyword
import re

from .errors import SqlError

USAGE = "%%sql [NAME] [--live] [--plot X Y [line|bar]] [--limit N] [--for SECONDS]"
OPTIONS = ("--live", "--plot", "--limit", "--for")


@dataclasses.dataclass
class Request:
    """Statements, and how their rows are wanted."""

    sql: str = ""
    # The variable that holds the last result.
    name: str | None = None
    live: bool = False
    # (x, y, kind)
    chart: tuple | None = None
    limit: int | None = None
    seconds: float | None = None


class _Words:
    """The words of a line, of which those in quotes may have blanks."""

    _WORD = re.compile(r"""\s*("[^"]*"|'[^']*'|`[^`]*`|\S+)""")

    def __init__(self, text):
        self.rest = text

    def peek(self):
        match = self._WORD.match(self.rest)
        return match and match.group(1)

    def next(self, what):
        word = self.peek()
        if word is None or word in OPTIONS:
            raise SqlError(f"%%sql: {what} is missing; {USAGE}")
        self.rest = self.rest[self._WORD.match(self.rest).end() :]
        return word[1:-1] if word[0] in "\"'`" and len(word) > 1 else word


def of_cell(line, cell):
    """The request of a cell."""
    request = Request()
    words = _Words(line)
    first = words.peek()
    if first and not first.startswith("--"):
        request.name = words.next("a name")
        is_name = request.name.isidentifier() and not keyword.iskeyword(request.name)
        if not is_name or words.peek() and not words.peek().startswith("--"):
            raise SqlError(
                f"%%sql: '{line.strip()}' is no name of a variable; statements begin on the next line, "
                "and %sql takes one on its own"
            )
    _options(words, request)
    if words.peek() is not None:
        raise _unknown(words.peek())
    if not cell.strip():
        raise SqlError("%%sql: there is no statement below it")
    # Places are told with the lines of the cell, of which this is the first.
    request.sql = "\n" + cell
    return request


def of_line(line):
    """The request of one line: options, then statements."""
    request = Request()
    words = _Words(line)
    _options(words, request)
    word = words.peek() or ""
    # Two dashes alone, or without a blank behind them before a word, begin a comment of SQL.
    if re.match(r"--[a-z]", word):
        raise _unknown(word)
    request.sql = words.rest.strip()
    if not request.sql:
        raise SqlError("%sql: there is no statement behind it; %sql SHOW TABLES is one")
    return request


def _options(words, request):
    while words.peek() in OPTIONS:
        option, words.rest = words.peek(), words.rest.lstrip()
        words.rest = words.rest[len(option) :]
        if option == "--live":
            request.live = True
        elif option == "--limit":
            request.limit = _number(words.next("how many rows --limit allows"), option, int)
        elif option == "--for":
            request.seconds = _number(words.next("how many seconds --for allows"), option, float)
        else:
            x = words.next("the column that --plot has from left to right")
            y = words.next("the column that --plot has upwards")
            kind = words.next("a kind") if words.peek() in ("line", "bar") else None
            request.chart = (x, y, kind)


def _number(word, option, of):
    try:
        number = of(word.replace("_", ""))
    except ValueError:
        number = 0
    # A number of seconds may be infinite, or none at all.
    if not 0 < number < 1e12:
        example = "100" if of is int else "2.5"
        raise SqlError(f"%%sql: {option} {word} is no number above 0; write {option} {example}")
    return number


def _unknown(word):
    near = difflib.get_close_matches(word, OPTIONS, 1)
    hint = f"did you mean {near[0]}?" if near else USAGE
    return SqlError(f"%%sql: there is no option {word}; {hint}")

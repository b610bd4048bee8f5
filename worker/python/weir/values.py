"""Values of SQL as Python has them.

What Python has no value for without loss, such as nanoseconds or a year behind 9999, stays the text
that it was written as.
"""

import base64
import datetime
import re
from decimal import Decimal

WHOLE = ("TINYINT", "SMALLINT", "INT", "BIGINT")
REAL = ("FLOAT", "DOUBLE")
NUMBERS = (*WHOLE, *REAL, "DECIMAL")
TIMES = ("DATE", "TIMESTAMP", "TIMESTAMP_LTZ")

_TIME = re.compile(r"(?:(\d{4})-(\d\d)-(\d\d)T)?(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(Z?)")


def base(of):
    """A type's name without what it takes: `DECIMAL` of `DECIMAL(10, 2)`."""
    return re.split(r"[( <]", of, maxsplit=1)[0]


def decoder(of):
    """What makes a value of this type of what was read."""
    kind = base(of)
    decode = _DECODERS.get(kind)
    if decode is None:
        decode = _same if "DECIMAL" in of else _inner
    return lambda value: None if value is None else decode(value)


def _same(value):
    return value


def _inner(value):
    """Numbers inside of rows, arrays and maps."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_inner(each) for each in value]
    if isinstance(value, dict):
        return {name: _inner(each) for name, each in value.items()}
    return value


def _time(value):
    """A date and time, or a time."""
    match = _TIME.fullmatch(value)
    if match is None:
        return value
    year, month, day, hour, minute, second, fraction, is_utc = match.groups()
    fraction = (fraction or "").ljust(9, "0")
    if fraction[6:] != "000":
        return value
    clock = (int(hour), int(minute), int(second), int(fraction[:6]))
    zone = datetime.timezone.utc if is_utc else None
    try:
        if year is None:
            return datetime.time(*clock)
        return datetime.datetime(int(year), int(month), int(day), *clock, tzinfo=zone)
    except ValueError:
        return value


def _date(value):
    try:
        return datetime.date.fromisoformat(value)
    except ValueError:
        return value


_DECODERS = {
    **dict.fromkeys(WHOLE, int),
    # NaN and the infinities come as texts.
    **dict.fromkeys(REAL, float),
    "DECIMAL": Decimal,
    "DATE": _date,
    "TIME": _time,
    "TIMESTAMP": _time,
    "TIMESTAMP_LTZ": _time,
    "BYTES": base64.b64decode,
    "BINARY": base64.b64decode,
    "VARBINARY": base64.b64decode,
}

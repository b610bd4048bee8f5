"""Writes the golden files beside this script, with another implementation than ours.

    pip install fastavro==1.13.1 cramjam && python make.py

The sync marker is fixed, so that the same bytes come again; versions of the packers may change them.
"""

import datetime
import decimal
import io
from pathlib import Path

import fastavro

HERE = Path(__file__).parent
UTC = datetime.timezone.utc


def nullable(of):
    return ["null", of]


def logical(of, logical_type, **more):
    return {"type": of, "logicalType": logical_type, **more}


SCHEMA = {
    "type": "record",
    "name": "Everything",
    "namespace": "example",
    "fields": [
        # Not in the order of the table, and with fields that it does not have.
        {"name": "unused_enum", "type": {"type": "enum", "name": "Suit", "symbols": ["SPADES", "HEARTS"]}},
        {"name": "s", "type": nullable("string")},
        {"name": "n", "type": "long"},
        {"name": "i", "type": ["int", "null"]},
        {"name": "b", "type": nullable("boolean")},
        {"name": "f", "type": nullable("float")},
        {"name": "d", "type": nullable("double")},
        {"name": "y", "type": nullable("bytes")},
        {"name": "x", "type": nullable({"type": "fixed", "name": "Four", "size": 4})},
        {"name": "suit", "type": nullable("Suit")},
        {"name": "dec", "type": nullable(logical("bytes", "decimal", precision=20, scale=3))},
        {"name": "fix", "type": nullable(logical("fixed", "decimal", precision=9, scale=2, name="Dec", size=5))},
        {"name": "day", "type": nullable(logical("int", "date"))},
        {"name": "t", "type": nullable(logical("int", "time-millis"))},
        {"name": "tu", "type": nullable(logical("long", "time-micros"))},
        {"name": "ms", "type": nullable(logical("long", "timestamp-millis"))},
        {"name": "us", "type": nullable(logical("long", "timestamp-micros"))},
        {"name": "local", "type": nullable(logical("long", "local-timestamp-millis"))},
        {"name": "unused_tree", "type": nullable({
            "type": "record", "name": "Tree", "fields": [
                {"name": "value", "type": "int"},
                {"name": "children", "type": {"type": "array", "items": "Tree"}},
            ]})},
        {"name": "list", "type": nullable({"type": "array", "items": nullable("int")})},
        {"name": "map", "type": nullable({"type": "map", "values": "long"})},
        {"name": "row", "type": nullable({
            "type": "record", "name": "Inner", "fields": [
                {"name": "q", "type": "string"},
                {"name": "p", "type": {"type": "array", "items": {
                    "type": "record", "name": "Point", "fields": [
                        {"name": "x", "type": "int"}, {"name": "y", "type": nullable("double")}]}}},
            ]})},
        {"name": "choice", "type": ["null", "int", "long"]},
    ],
}


def row(n):
    if n % 3 == 2:
        empty = {field["name"]: None for field in SCHEMA["fields"]}
        return {**empty, "unused_enum": "SPADES", "n": n}
    at = datetime.datetime(2024, 2, 29, 12, 30, 15, 123456, tzinfo=UTC) + datetime.timedelta(days=n)
    return {
        "unused_enum": "HEARTS",
        "s": "ä" * n,
        "n": -n * 10_000_000_000,
        "i": -n,
        "b": n % 2 == 0,
        "f": n / 2,
        "d": n / 4,
        "y": bytes([n, 255]),
        "x": bytes([n, 1, 2, 3]),
        "suit": ["SPADES", "HEARTS"][n % 2],
        "dec": decimal.Decimal(-n) * decimal.Decimal("12345678901234.567"),
        "fix": decimal.Decimal(n).scaleb(-2),
        "day": at.date(),
        "t": datetime.time(1, 2, 3, 4000),
        "tu": datetime.time(23, 59, 59, 999999),
        "ms": at,
        "us": at,
        "local": at.replace(tzinfo=None),
        "unused_tree": {"value": 1, "children": [{"value": 2, "children": []}, {"value": 3, "children": []}]},
        "list": [n, None, -1] if n else [],
        "map": {"a": n, "b": -n},
        "row": {"q": f"q{n}", "p": [{"x": n, "y": None}, {"x": -n, "y": 0.5}]},
        "choice": [5, 5_000_000_000][n % 2],
    }


for codec in ["null", "deflate", "snappy", "bzip2", "xz"]:
    out = io.BytesIO()
    fastavro.writer(out, SCHEMA, map(row, range(7)), codec=codec, sync_interval=400, sync_marker=bytes(range(16)))
    (HERE / f"fastavro_{codec}.avro").write_bytes(out.getvalue())
    print(codec, len(out.getvalue()))

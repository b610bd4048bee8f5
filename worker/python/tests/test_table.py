import datetime
import decimal
import math
import unittest

from weir import values
from weir.table import Table, to_html


class Values(unittest.TestCase):
    def decoded(self, of, value):
        return values.decoder(of)(value)

    def test_values_have_the_types_of_python_that_hold_them(self):
        utc = datetime.timezone.utc
        cases = [
            ("BIGINT", 2**63 - 1, 2**63 - 1),
            ("DOUBLE", decimal.Decimal("0.1"), 0.1),
            ("FLOAT", 2, 2.0),
            ("DECIMAL(38, 2)", decimal.Decimal("5.00"), decimal.Decimal("5.00")),
            ("DECIMAL(38, 0)", 10**37 + 1, decimal.Decimal(10**37 + 1)),
            ("TIMESTAMP(3)", "2001-01-21T14:00:00.5", datetime.datetime(2001, 1, 21, 14, 0, 0, 500000)),
            ("TIMESTAMP_LTZ(3)", "1970-01-01T00:00:00Z", datetime.datetime(1970, 1, 1, tzinfo=utc)),
            ("DATE", "2001-01-21", datetime.date(2001, 1, 21)),
            ("TIME", "14:00:01", datetime.time(14, 0, 1)),
            ("BYTES", "AAE=", b"\x00\x01"),
            ("ARRAY<DOUBLE>", [decimal.Decimal("0.5"), None], [0.5, None]),
            ("ROW<a DECIMAL(3, 1)>", {"a": decimal.Decimal("0.5")}, {"a": decimal.Decimal("0.5")}),
            ("STRING", "x", "x"),
            ("BOOLEAN", True, True),
        ]
        for of, value, expected in cases:
            found = self.decoded(of, value)
            self.assertEqual((found, type(found)), (expected, type(expected)), of)
            self.assertIsNone(self.decoded(of, None))
        self.assertTrue(math.isnan(self.decoded("DOUBLE", "NaN")))

    def test_what_python_cannot_hold_stays_as_it_was_written(self):
        for of, text in [
            ("TIMESTAMP(9)", "2001-01-21T14:00:00.000000001"),
            ("TIMESTAMP(3)", "+12001-01-21T14:00:00"),
            ("DATE", "-0001-01-21"),
        ]:
            self.assertEqual(self.decoded(of, text), text)


class Tables(unittest.TestCase):
    def test_nothing_of_the_data_is_html(self):
        evil = "<script>alert('x')</script>"
        table = Table([evil, 'n"'], ["STRING", f"ROW<{evil} INT>"], [[evil, {evil: 1}], [None, None]])
        for html in (table._repr_html_(), to_html(table, evil)):
            self.assertNotIn("<script", html)
            self.assertIn("&lt;script&gt;", html)
            self.assertIn(">NULL</td>", html)

    def test_many_rows_and_long_texts_are_cut_where_they_are_shown_and_nowhere_else(self):
        table = Table(["n", "s"], ["INT", "STRING"], [[n, "x" * 300] for n in range(1234)])
        self.assertEqual(len(table), 1234)
        self.assertEqual(table.column("n")[-1], 1233)
        self.assertEqual(len(table.rows[0][1]), 300)
        for text in (table._repr_html_(), repr(table)):
            self.assertIn("1,234 rows, the first 20 of them shown", text)
            self.assertNotIn("x" * 200, text)
        self.assertEqual(repr(Table(["a"], ["INT"], [[None]])), "a\n────\nNULL")

    def test_a_result_without_rows_or_columns_is_shown_too(self):
        self.assertEqual(repr(Table(["a"], ["INT"])), "a\n─")
        self.assertIn("<table", Table([], [])._repr_html_())


try:
    import pandas
except ImportError:
    pandas = None


@unittest.skipIf(pandas is None, "pandas is not installed")
class Frames(unittest.TestCase):
    def test_a_frame_changes_no_value(self):
        big = 2**63 - 1
        columns = ["n", "m", "d", "t", "u", "b", "n"]
        types = ["BIGINT", "BIGINT", "DECIMAL(3, 1)", "TIMESTAMP(9)", "TIMESTAMP_LTZ(3)", "BOOLEAN", "INT"]
        time, utc = "2001-01-21T14:00:00.000000001", "1970-01-01T00:00:00Z"
        rows = [
            [big, big, decimal.Decimal("0.1"), time, utc, True, 1],
            [1, None, None, None, None, None, 2],
        ]
        frame = Table(columns, types, rows).frame()
        self.assertEqual(list(frame.columns), columns)
        self.assertEqual(int(frame.iloc[0, 0]), big)
        self.assertEqual(int(frame.iloc[0, 1]), big)
        self.assertTrue(frame.iloc[1, 1] is pandas.NA)
        self.assertEqual(frame.iloc[0, 2], decimal.Decimal("0.1"))
        self.assertEqual(frame.iloc[0, 3], pandas.Timestamp("2001-01-21T14:00:00.000000001"))
        self.assertEqual(frame.iloc[0, 4], pandas.Timestamp(0, tz="UTC"))
        self.assertEqual(list(map(str, frame.dtypes.iloc[[0, 1, 6]])), ["int64", "Int64", "int32"])

    def test_nothing_of_the_data_is_html_in_a_frame(self):
        frame = Table(["<b>"], ["STRING"], [["<i>"]]).frame()
        self.assertIn("&lt;i&gt;", frame._repr_html_())
        self.assertNotIn("<b>", frame._repr_html_())

    def test_a_result_without_rows_is_a_frame_with_its_columns(self):
        frame = Table(["n", "t"], ["BIGINT", "TIMESTAMP(3)"]).frame()
        self.assertEqual((list(frame.columns), len(frame)), (["n", "t"], 0))


if __name__ == "__main__":
    unittest.main()

import decimal
import unittest

from weir import plot
from weir.errors import SqlError
from weir.table import Table

try:
    import matplotlib
except ImportError:
    matplotlib = None


class Plots(unittest.TestCase):
    def test_what_cannot_be_drawn_is_refused_with_what_can(self):
        columns, types = ["origin", "flights"], ["STRING", "BIGINT"]
        for x, y, why in [
            ("orign", "flights", 'no column "orign"; did you mean "origin"?'),
            ("zzz", "flights", "they are origin, flights"),
            ("flights", "origin", '"origin" is STRING.* numbers are flights'),
        ]:
            with self.assertRaisesRegex(SqlError, why):
                plot.check(columns, types, x, y)

    @unittest.skipIf(matplotlib is None, "matplotlib is not installed")
    def test_lines_and_bars_are_drawn_of_whatever_a_result_holds(self):
        tables = [
            Table(["x", "y"], ["STRING", "BIGINT"], [["$a_", 1], [None, 2], ["<b>", None]]),
            Table(["x", "y"], ["TIMESTAMP(3)", "DECIMAL(3, 1)"], [["2001-01-21T14:00:00", decimal.Decimal("0.1")]]),
            Table(["x", "y"], ["INT", "DOUBLE"], [[n, n / 2] for n in range(100, 0, -1)]),
            Table(["x", "y"], ["STRING", "INT"], []),
            Table(["x", "y"], ["DECIMAL(3, 1)", "DOUBLE"], [[decimal.Decimal("0.1"), "NaN"], [None, 1]]),
        ]
        for table in tables:
            plot.check(table.columns, table.types, "x", "y")
            for kind in (None, "bar", "line"):
                picture = plot.png(table, "x", "y", kind)
                self.assertTrue(picture.startswith(b"\x89PNG"), table)


if __name__ == "__main__":
    unittest.main()

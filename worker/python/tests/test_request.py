import unittest

from weir import request
from weir.errors import SqlError


class Cells(unittest.TestCase):
    def test_options_and_a_name_are_read_and_lines_are_those_of_the_cell(self):
        asked = request.of_cell('late --plot "a b" n bar --live --limit 1_000 --for 2.5', "SELECT 1;")
        self.assertEqual(asked.name, "late")
        self.assertEqual(asked.chart, ("a b", "n", "bar"))
        self.assertEqual((asked.live, asked.limit, asked.seconds), (True, 1000, 2.5))
        self.assertEqual(asked.sql, "\nSELECT 1;")
        self.assertIsNone(request.of_cell("--plot x y --live", "S").chart[2])
        self.assertEqual(request.of_cell("", "SELECT 1"), request.Request(sql="\nSELECT 1"))

    def test_a_line_may_begin_with_options_and_sql_keeps_its_dashes(self):
        asked = request.of_line("--limit 3 SELECT '--live' AS a -- all")
        self.assertEqual((asked.limit, asked.sql), (3, "SELECT '--live' AS a -- all"))
        self.assertEqual(request.of_line("-- a\nSELECT 1").sql, "-- a\nSELECT 1")

    def test_every_mistake_says_what_would_be_right(self):
        mistakes = {
            "--plt x y": "did you mean --plot?",
            "--plot x": "the column that --plot has upwards is missing",
            "--plot x --live": "the column that --plot has upwards is missing",
            "--limit": "how many rows --limit allows is missing",
            "--limit -1": "write --limit 100",
            "--limit many": "--limit many is no number above 0",
            "--for nan": "write --for 2.5",
            "SELECT 1": "statements begin on the next line",
            "late early": "is no name of a variable",
            "class": "is no name of a variable",
            "--live late": "there is no option late",
        }
        for line, why in mistakes.items():
            with self.assertRaises(SqlError, msg=line) as raised:
                request.of_cell(line, "SELECT 1")
            self.assertIn(why, str(raised.exception))
        for wrong in (lambda: request.of_cell("", " \n"), lambda: request.of_line("--live")):
            with self.assertRaisesRegex(SqlError, "there is no statement"):
                wrong()
        with self.assertRaisesRegex(SqlError, "did you mean --limit"):
            request.of_line("--limt 3 SELECT 1")


if __name__ == "__main__":
    unittest.main()

//! The SQL that tests share. It is Flink's as it stands, so that both run the same text.

use std::path::Path;

use crate::data::Format;

/// `CREATE TABLE flights` over files, with a watermark an hour behind.
#[must_use]
pub fn flights(path: &str, format: Format) -> String {
    format!(
        "CREATE TABLE flights (
  `date` TIMESTAMP(3), delay BIGINT, distance BIGINT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '1' HOUR
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = '{format}');
"
    )
}

/// A table of files named `name` in `folder/name`, with columns as in a `CREATE TABLE`.
#[must_use]
pub fn files(folder: &str, name: &str, columns: &str, format: Format) -> String {
    format!(
        "CREATE TABLE {name} ({columns})
WITH ('connector' = 'filesystem', 'path' = '{folder}/{name}', 'format' = '{format}');
"
    )
}

/// Flights and delayed flights per hour and origin: `window_start, origin, flights, delayed`.
pub const HOURLY: &str = "INSERT INTO hourly
  SELECT window_start, origin, COUNT(*), COUNT(*) FILTER (WHERE delay > 15)
  FROM TABLE(TUMBLE(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR))
  GROUP BY window_start, window_end, origin;
";

/// The same rows as [`HOURLY`] by another way, which keeps state tables: the flights of an origin
/// are numbered in order of time, and an hour has as many as its numbers span. A flight that was
/// lost or counted twice shifts all numbers behind it, but an hour that it cuts in two is wrong.
pub const HOURLY_BY_NUMBERS: &str = "CREATE VIEW numbered AS
  SELECT `date`, origin, delay, COUNT(*) OVER (
    PARTITION BY origin ORDER BY `date` ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS n
  FROM flights;
INSERT INTO hourly
  SELECT window_start, origin, MAX(n) - MIN(n) + 1, COUNT(*) FILTER (WHERE delay > 15)
  FROM TABLE(TUMBLE(TABLE numbered, DESCRIPTOR(`date`), INTERVAL '1' HOUR))
  GROUP BY window_start, window_end, origin;
";

/// Columns of [`HOURLY`].
pub const HOURLY_COLUMNS: &str =
    "window_start TIMESTAMP(3), origin STRING, flights BIGINT, delayed BIGINT";

/// Measures per six hours, each hour anew, and origin; see [`SIX_HOURS_COLUMNS`].
pub const SIX_HOURS: &str = "INSERT INTO six_hours
  SELECT window_start, origin, COUNT(*), SUM(delay), AVG(delay), MIN(delay), MAX(delay),
         COUNT(DISTINCT destination)
  FROM TABLE(HOP(TABLE flights, DESCRIPTOR(`date`), INTERVAL '1' HOUR, INTERVAL '6' HOUR))
  GROUP BY window_start, window_end, origin;
";

/// Columns of [`SIX_HOURS`].
pub const SIX_HOURS_COLUMNS: &str = "window_start TIMESTAMP(3), origin STRING, flights BIGINT, \
     delay_sum BIGINT, mean_delay BIGINT, least BIGINT, most BIGINT, destinations BIGINT";

/// Long delays, row by row, with a division of whole numbers.
pub const LONG_DELAYS: &str = "INSERT INTO long_delays
  SELECT `date`, CONCAT(origin, '-', destination), delay / 60,
         CASE WHEN distance < 500 THEN 'short' ELSE 'long' END
  FROM flights WHERE delay > 60 OR delay < -60;
";

/// Columns of [`LONG_DELAYS`].
pub const LONG_DELAYS_COLUMNS: &str =
    "departure TIMESTAMP(3), route STRING, hours BIGINT, haul STRING";

/// The names in a list of columns such as [`HOURLY_COLUMNS`].
#[must_use]
pub fn names(columns: &str) -> Vec<&str> {
    columns.split(',').filter_map(|column| column.split_whitespace().next()).collect()
}

/// All three queries over the flights of a folder, into tables of files below `output`.
#[must_use]
pub fn three_results(input: &Path, output: &Path, read: Format, write: Format) -> String {
    let output = output.display().to_string();
    format!(
        "{}{}{}{}EXECUTE STATEMENT SET BEGIN\n{HOURLY}{SIX_HOURS}{LONG_DELAYS}END;\n",
        flights(&input.display().to_string(), read),
        files(&output, "hourly", HOURLY_COLUMNS, write),
        files(&output, "six_hours", SIX_HOURS_COLUMNS, write),
        files(&output, "long_delays", LONG_DELAYS_COLUMNS, write),
    )
}

/// The program for Flink's runner, which takes statements that end in `;` and a line break one
/// by one: a statement set must be one statement.
#[must_use]
pub fn for_flink(program: &str) -> String {
    match program.split_once("EXECUTE STATEMENT SET") {
        None => program.to_owned(),
        Some((tables, set)) => {
            let set = set.replace(";\n", "; ").replace("END; ", "END;\n");
            format!("{tables}EXECUTE STATEMENT SET{set}")
        }
    }
}

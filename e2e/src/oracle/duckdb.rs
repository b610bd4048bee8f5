//! DuckDB, for whatever it and Flink agree about.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cache;
use crate::rows::Rows;

/// Reads SQL, writes one JSON array per row: whole numbers as numbers, all else as text.
const PROGRAM: &str = r#"
import duckdb, json, sys
connection = duckdb.connect()
# It would be drawn among the rows of whatever takes longer than two seconds.
connection.execute("SET enable_progress_bar = false")
result = connection.execute(sys.stdin.read())
while rows := result.fetchmany(50000):
    for row in rows:
        print(json.dumps([v if v is None or isinstance(v, (int, float, str)) else str(v) for v in row]))
"#;

/// The rows of one query. Files are named in the query itself, as `'…/flights.parquet'`.
///
/// # Errors
/// When DuckDB cannot be installed or refuses the query.
pub fn query(sql: &str) -> Result<Rows> {
    let home = cache::python("python-duckdb-1", &["duckdb>=1.4,<3"])?;
    let mut child = Command::new(home.join("bin/python"))
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start DuckDB")?;
    // Taken, so that it is closed before the output is read.
    child.stdin.take().context("DuckDB's input")?.write_all(sql.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("DuckDB refused\n{sql}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let mut rows = Rows::default();
    for line in String::from_utf8(output.stdout)?.lines() {
        rows.add(&serde_json::from_str::<Vec<Value>>(line)?);
    }
    Ok(rows)
}

/// The table function that reads the flights of a folder in a format, with Weir's columns.
#[must_use]
pub fn flights_table(folder: &std::path::Path, format: crate::data::Format) -> String {
    use crate::data::Format;
    let files = format!("{}/*.{format}", folder.display());
    match format {
        Format::Parquet => format!("read_parquet('{files}')"),
        Format::Json => format!(
            "read_json('{files}', format = 'newline_delimited', columns = {{date: 'TIMESTAMP', \
             delay: 'BIGINT', distance: 'BIGINT', origin: 'VARCHAR', destination: 'VARCHAR'}})"
        ),
        Format::Csv => format!(
            "read_csv('{files}', header = false, columns = {{'date': 'TIMESTAMP', \
             'delay': 'BIGINT', 'distance': 'BIGINT', 'origin': 'VARCHAR', 'destination': 'VARCHAR'}})"
        ),
    }
}

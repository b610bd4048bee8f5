//! Every result equals the oracle's, whatever the order and format of the input, the
//! parallelism and the number of processes.
//!
//! `WEIR_E2E_ROWS` chooses how many of the 3,000,000 flights are read (200,000 otherwise).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir_e2e::data::{Dataset, Format, Layout, dataset};
use weir_e2e::job::{Job, Manifest, read_output};
use weir_e2e::oracle::duckdb;
use weir_e2e::oracle::expected::{Windows, aggregate};
use weir_e2e::rows::Rows;
use weir_e2e::sql;

const HOUR_MS: i64 = 3_600_000;
const HOURLY: Windows = Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: HOUR_MS };
const SIX_HOURS: Windows = Windows { size_ms: 6 * HOUR_MS, ..HOURLY };
const LIMIT: Duration = Duration::from_secs(300);

fn rows() -> usize {
    std::env::var("WEIR_E2E_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(200_000)
}

/// Expected rows of a layout, by name of the result.
fn expected(layout: Layout) -> Result<BTreeMap<&'static str, Rows>> {
    static KNOWN: Mutex<BTreeMap<String, BTreeMap<&'static str, Rows>>> =
        Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(rows) = known.get(&layout.to_string()) {
        return Ok(rows.clone());
    }
    let data = dataset(layout, Format::Parquet, rows())?;
    let by_definition = BTreeMap::from([
        ("hourly", aggregate(&data.splits, HOURLY).counts()),
        ("six_hours", aggregate(&data.splits, SIX_HOURS).measures()),
    ]);
    let mut all = by_definition.clone();
    all.insert("long_delays", duckdb::query(&long_delays(&data))?);
    if layout != Layout::Late {
        // No row is late, so DuckDB, which knows no lateness, must agree.
        duckdb::query(&hourly(&data))?.check("DuckDB's hours", &by_definition["hourly"])?;
        duckdb::query(&six_hours(&data))?
            .check("DuckDB's six hours", &by_definition["six_hours"])?;
    }
    known.insert(layout.to_string(), all.clone());
    Ok(all)
}

fn hourly(data: &Dataset) -> String {
    format!(
        "SELECT date_trunc('hour', date), origin, count(*), count(*) FILTER (delay > 15)
         FROM {} GROUP BY 1, 2",
        duckdb::flights_table(&data.folder, Format::Parquet)
    )
}

/// The mean is Flink's, of whole numbers and cut towards zero; DuckDB's own would be a fraction.
fn six_hours(data: &Dataset) -> String {
    format!(
        "SELECT date_trunc('hour', date) - to_hours(slide), origin, count(*), sum(delay)::BIGINT,
                trunc(sum(delay)::DOUBLE / count(*))::BIGINT, min(delay), max(delay),
                count(DISTINCT destination)
         FROM {}, (SELECT unnest(range(6)) AS slide) GROUP BY 1, 2",
        duckdb::flights_table(&data.folder, Format::Parquet)
    )
}

fn long_delays(data: &Dataset) -> String {
    format!(
        "SELECT date, origin || '-' || destination, trunc(delay / 60)::BIGINT,
                CASE WHEN distance < 500 THEN 'short' ELSE 'long' END
         FROM {} WHERE delay > 60 OR delay < -60",
        duckdb::flights_table(&data.folder, Format::Parquet)
    )
}

/// Runs the three queries over one input and compares all their rows.
fn check(
    layout: Layout,
    read: Format,
    write: Format,
    parallelism: u32,
    workers: u32,
) -> Result<()> {
    let what = format!("{layout} {read} → {write}, parallelism {parallelism}, workers {workers}");
    let data = dataset(layout, read, rows())?;
    let folder = tempfile::tempdir()?;
    let program = sql::three_results(&data.folder, folder.path(), read, write);
    let manifest = Manifest { parallelism, ..Manifest::new("right-to-the-row", &program) };
    let summary = Job::new(manifest)?.run_to_end(workers, LIMIT).with_context(|| what.clone())?;
    for (name, rows) in expected(layout)? {
        let columns = match name {
            "hourly" => sql::HOURLY_COLUMNS,
            "six_hours" => sql::SIX_HOURS_COLUMNS,
            _ => sql::LONG_DELAYS_COLUMNS,
        };
        let found = read_output(&folder.path().join(name), write, &sql::names(columns))?;
        rows.check(&format!("{name}, {what}"), &found)?;
    }
    ensure!(summary.malformed == 0, "{what}: {} malformed", summary.malformed);
    Ok(())
}

#[test]
fn json_in_every_order() -> Result<()> {
    check(Layout::Sorted, Format::Json, Format::Json, 1, 0)?;
    check(Layout::Shuffled, Format::Json, Format::Csv, 2, 0)?;
    check(Layout::Files8, Format::Json, Format::Parquet, 3, 3)?;
    check(Layout::Late, Format::Json, Format::Json, 7, 0)
}

#[test]
fn csv_in_every_order() -> Result<()> {
    check(Layout::Sorted, Format::Csv, Format::Csv, 2, 3)?;
    check(Layout::Shuffled, Format::Csv, Format::Json, 3, 0)?;
    check(Layout::Files8, Format::Csv, Format::Json, 7, 0)?;
    check(Layout::Late, Format::Csv, Format::Parquet, 1, 0)
}

#[test]
fn parquet_in_every_order() -> Result<()> {
    check(Layout::Sorted, Format::Parquet, Format::Parquet, 3, 0)?;
    check(Layout::Shuffled, Format::Parquet, Format::Json, 7, 3)?;
    check(Layout::Files8, Format::Parquet, Format::Csv, 1, 0)?;
    check(Layout::Late, Format::Parquet, Format::Json, 2, 3)
}

#[test]
fn eight_files_at_every_parallelism() -> Result<()> {
    for (parallelism, workers) in [(1, 0), (2, 0), (2, 3), (7, 3)] {
        check(Layout::Files8, Format::Json, Format::Json, parallelism, workers)?;
    }
    Ok(())
}

#[test]
fn late_rows_are_counted_exactly() -> Result<()> {
    for (read, parallelism, workers) in
        [(Format::Json, 1, 0), (Format::Csv, 3, 0), (Format::Parquet, 3, 3)]
    {
        let data = dataset(Layout::Late, read, rows())?;
        let late = aggregate(&data.splits, HOURLY).late;
        ensure!(late > 1000, "only {late} rows are late: the test would show little");
        let folder = tempfile::tempdir()?;
        let program = format!(
            "{}{}{}",
            sql::flights(&data.folder.display().to_string(), read),
            sql::files(
                &folder.path().display().to_string(),
                "hourly",
                sql::HOURLY_COLUMNS,
                Format::Json
            ),
            sql::HOURLY,
        );
        let manifest = Manifest { parallelism, ..Manifest::new("late-rows", &program) };
        let summary = Job::new(manifest)?.run_to_end(workers, LIMIT)?;
        ensure!(
            (summary.rows_in, summary.late) == (rows() as u64, late),
            "{read} at parallelism {parallelism}: {summary:?}, but {late} of {} rows are late",
            rows()
        );
    }
    Ok(())
}

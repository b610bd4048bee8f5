//! Every example plans; those that end run to their end, each right to the row.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use tempfile::TempDir;
use weir_e2e::cache::tail;
use weir_e2e::data::Format;
use weir_e2e::job::{Job, read_output, repository};
use weir_e2e::oracle::duckdb;
use weir_e2e::programs;

/// The examples' folder, copied, so that results do not land in the repository.
fn examples() -> Result<TempDir> {
    let from = repository().join("crds/examples");
    let to = TempDir::with_prefix("weir-examples-")?;
    fs::create_dir(to.path().join("data"))?;
    for folder in ["", "data"] {
        for entry in fs::read_dir(from.join(folder))? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.path().join(folder).join(entry.file_name()))?;
            }
        }
    }
    Ok(to)
}

#[test]
fn every_example_plans() -> Result<()> {
    let folder = examples()?;
    let mut planned = 0;
    for entry in fs::read_dir(folder.path())? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "yaml") {
            let output = Command::new(programs::weir()?).arg("plan").arg(&path).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "{}: {}", path.display(), tail(&text));
            planned += 1;
        }
    }
    ensure!(planned >= 4, "{planned} examples");
    Ok(())
}

#[test]
fn airport_traffic_is_right_to_the_row() -> Result<()> {
    let folder = examples()?;
    let summary = Job::existing(&folder.path().join("airport-traffic.yaml"))?
        .run_to_end(0, Duration::from_secs(120))?;
    ensure!((summary.rows_in, summary.late) == (200_000, 0), "{summary:?}");
    let columns = [
        "window_start",
        "window_end",
        "origin",
        "flights",
        "destinations",
        "mean_delay",
        "farthest",
    ];
    let found = read_output(&folder.path().join("out/airport-traffic"), Format::Json, &columns)?;
    duckdb::query(&format!(
        "SELECT date_trunc('hour', date) - to_hours(slide),
                date_trunc('hour', date) - to_hours(slide) + to_hours(6), origin, count(*),
                count(DISTINCT destination), trunc(sum(delay)::DOUBLE / count(*))::BIGINT, max(distance)
         FROM {}, (SELECT unnest(range(6)) AS slide) GROUP BY 1, 2, 3",
        duckdb::flights_table(&folder.path().join("data"), Format::Parquet)
    ))?
    .check("airport-traffic", &found)
}

#[test]
fn long_delays_is_right_to_the_row() -> Result<()> {
    let folder = examples()?;
    Job::existing(&folder.path().join("long-delays.yaml"))?
        .run_to_end(0, Duration::from_secs(120))?;
    let columns = ["date", "route", "haul", "hours"];
    let found = read_output(&folder.path().join("out/long-delays"), Format::Csv, &columns)?;
    duckdb::query(&format!(
        "SELECT date, origin || '-' || destination,
                CASE WHEN distance < 500 THEN 'short' ELSE 'long' END, trunc(delay / 60)::BIGINT
         FROM {} WHERE delay > 120",
        duckdb::flights_table(&folder.path().join("data"), Format::Parquet)
    ))?
    .check("long-delays", &found)
}

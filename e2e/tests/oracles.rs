//! The oracles agree with one another, without Weir: DuckDB, Flink, and the definition.

use std::fs;

use anyhow::Result;
use weir_e2e::data::{Format, Layout, flights, write};
use weir_e2e::job::read_output;
use weir_e2e::oracle::expected::{Windows, aggregate};
use weir_e2e::oracle::{duckdb, flink};
use weir_e2e::sql;

const HOUR_MS: i64 = 3_600_000;
const HOURLY: Windows = Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: HOUR_MS };
const SIX_HOURS: Windows = Windows { size_ms: 6 * HOUR_MS, ..HOURLY };

#[test]
fn a_shuffled_row_is_never_late_and_a_late_one_often_is() -> Result<()> {
    let sorted = &flights()?[..200_000];
    for (layout, least, most) in [
        (Layout::Sorted, 0, 0),
        (Layout::Shuffled, 0, 0),
        (Layout::Files8, 0, 0),
        (Layout::Late, 1200, 2200),
    ] {
        let late = aggregate(&layout.arrange(sorted), HOURLY).late;
        assert!((least..=most).contains(&late), "{layout}: {late} rows are late");
    }
    Ok(())
}

#[test]
fn every_layout_holds_the_same_rows() -> Result<()> {
    let sorted = &flights()?[..50_000];
    let key = |flight: &weir_e2e::data::Flight| {
        (flight.date_ms, flight.delay, flight.distance, flight.origin, flight.destination)
    };
    let mut right: Vec<_> = sorted.iter().map(key).collect();
    right.sort_unstable();
    for layout in Layout::ALL {
        let splits = layout.arrange(sorted);
        let mut rows: Vec<_> = splits.iter().flat_map(|split| split.rows.iter().map(key)).collect();
        rows.sort_unstable();
        assert!(rows == right, "{layout} lost or invented rows");
    }
    Ok(())
}

#[test]
fn flink_and_the_definition_agree() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input");
    fs::create_dir(&input)?;
    let splits = Layout::Shuffled.arrange(&flights()?[..100_000]);
    write(&input.join("flights.json"), Format::Json, &splits[0].rows)?;
    let output = folder.path().join("flink");
    let program = sql::three_results(&input, &output, Format::Json, Format::Json);
    flink::run(&sql::for_flink(&program), 1)?;
    let read =
        |name: &str, columns| read_output(&output.join(name), Format::Json, &sql::names(columns));
    aggregate(&splits, HOURLY)
        .counts()
        .check("Flink's hours", &read("hourly", sql::HOURLY_COLUMNS)?)?;
    aggregate(&splits, SIX_HOURS)
        .measures()
        .check("Flink's six hours", &read("six_hours", sql::SIX_HOURS_COLUMNS)?)?;
    duckdb::query(&format!(
        "SELECT date, origin || '-' || destination, trunc(delay / 60)::BIGINT,
                CASE WHEN distance < 500 THEN 'short' ELSE 'long' END
         FROM {} WHERE delay > 60 OR delay < -60",
        duckdb::flights_table(&input, Format::Json)
    ))?
    .check("Flink's long delays", &read("long_delays", sql::LONG_DELAYS_COLUMNS)?)
}

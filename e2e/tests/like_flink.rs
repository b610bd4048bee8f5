//! The same SQL text gives the same rows in Flink: what the other oracle says is only worth as
//! much as this.

use std::fs;
use std::time::Duration;

use anyhow::Result;
use weir_e2e::data::{Format, flights, write};
use weir_e2e::job::{Job, Manifest, read_output};
use weir_e2e::oracle::flink;
use weir_e2e::sql;

const ROWS: usize = 200_000;

#[test]
fn flink_gives_the_same_rows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("input");
    fs::create_dir(&input)?;
    write(&input.join("flights.json"), Format::Json, &flights()?[..ROWS])?;

    let by_weir = folder.path().join("weir");
    let program = sql::three_results(&input, &by_weir, Format::Json, Format::Json);
    let manifest = Manifest { parallelism: 2, ..Manifest::new("like-flink", &program) };
    Job::new(manifest)?.run_to_end(0, Duration::from_secs(120))?;

    let by_flink = folder.path().join("flink");
    let program = sql::three_results(&input, &by_flink, Format::Json, Format::Json);
    flink::run(&sql::for_flink(&program), 2)?;

    for (name, columns) in [
        ("hourly", sql::HOURLY_COLUMNS),
        ("six_hours", sql::SIX_HOURS_COLUMNS),
        ("long_delays", sql::LONG_DELAYS_COLUMNS),
    ] {
        let columns = sql::names(columns);
        let right = read_output(&by_flink.join(name), Format::Json, &columns)?;
        assert!(!right.is_empty(), "Flink wrote no {name}");
        right.check(name, &read_output(&by_weir.join(name), Format::Json, &columns)?)?;
    }
    Ok(())
}

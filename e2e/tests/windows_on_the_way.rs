//! Windows of a bounded job close while files are still waiting, and are the right ones: by
//! statistics (Parquet), and by the declared order of files (`source.time-ordered`).

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use weir_e2e::cache::tail;
use weir_e2e::data::{Format, Layout, SplitFile, flights, write};
use weir_e2e::job::{Job, Manifest, read_output};
use weir_e2e::oracle::expected::{Windows, aggregate};
use weir_e2e::process::{signal, wait_for};
use weir_e2e::sql;
use weir_e2e::testbed::proxy::{Fault, Proxy, Step};
use weir_e2e::testbed::s3::S3;

const HOUR_MS: i64 = 3_600_000;
const HOURLY: Windows = Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: HOUR_MS };
const ROWS: usize = 60_000;
const FILES: usize = 24;
/// The file that nobody can read before the gate opens; those behind it wait for a reader.
const HELD: usize = FILES - 4;
const LIMIT: Duration = Duration::from_secs(120);

/// Reads all but the last files, sees the hours of those come out, kills a worker, opens the
/// gate and compares all hours. `looks` requests find out about a file before it is read.
fn closes_on_the_way(format: Format, option: &str, looks: u32) -> Result<()> {
    let s3 = S3::start()?;
    let proxy = Proxy::start(s3.port())?;
    let input = s3.bucket_folder().join("in");
    fs::create_dir(&input)?;
    let rows = Layout::Shuffled.arrange(&flights()?[..ROWS]).swap_remove(0).rows;
    let splits: Vec<_> = rows
        .chunks(ROWS / FILES)
        .enumerate()
        .map(|(i, rows)| SplitFile { name: format!("part-{i:02}"), rows: rows.to_vec() })
        .collect();
    for split in &splits {
        write(&input.join(&split.name), format, &split.rows)?;
    }
    let gate = Arc::new(AtomicBool::new(true));
    let closed = gate.clone();
    let seen = Mutex::new(BTreeMap::new());
    proxy.set_policy(move |call| {
        let number = call.path.rsplit("part-").next().and_then(|n| n.get(..2)?.parse().ok());
        if call.step != Step::SourceRead || number.is_none_or(|number: usize| number < HELD) {
            return Fault::None;
        }
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let times = seen.entry(number).or_insert(0);
        *times += 1;
        if closed.load(Ordering::SeqCst) && *times > looks { Fault::Hold } else { Fault::None }
    });

    let bucket = S3::BUCKET;
    let program = format!(
        "{}{}{}",
        sql::flights(&format!("s3://{bucket}/in"), format)
            .replace(") WITH (", &format!(") WITH ({option}")),
        sql::files(&format!("s3://{bucket}/out"), "hourly", sql::HOURLY_COLUMNS, Format::Json)
            .replace("WITH (", "WITH ('sink.rolling-policy.rollover-interval' = '1 s', 'sink.rolling-policy.check-interval' = '1 s', "),
        sql::HOURLY,
    );
    let manifest = Manifest {
        root: Some(format!("s3://{bucket}/state")),
        interval: Duration::from_millis(500),
        ..Manifest::new("on-the-way", &program)
    };
    let job = Job::new(manifest)?.with_environment(S3::client_environment(proxy.port()));
    let mut run = job.start(2)?;
    let hours = || {
        let folder = s3.bucket_folder().join("out/hourly");
        read_output(&folder, Format::Json, &sql::names(sql::HOURLY_COLUMNS))
    };
    // An hour is complete when the bound of the next file, or what was read, is an hour behind.
    let all = aggregate(&splits, HOURLY).counts();
    let read = aggregate(&splits[..HELD - 1], HOURLY).counts();
    wait_for("windows to close while files wait", LIMIT, || {
        if let Some(status) = run.process.poll()? {
            bail!("the job ended with {status} before the gate opened:\n{}", tail(&run.log()));
        }
        Ok(hours()?.len() * 100 > read.len() * 90)
    })
    .with_context(|| tail(&run.log()))?;
    ensure!(hours()?.within(&all), "an hour that had not ended came out");

    let victim = run.worker(0).context("no worker 0")?;
    signal(victim, Signal::KILL)?;
    wait_for("another worker 0", LIMIT, || {
        Ok(run.worker(0).is_some_and(|worker| worker != victim))
    })?;
    gate.store(false, Ordering::SeqCst);
    proxy.release();
    let summary = run.finish(LIMIT)?;
    all.check("hours", &hours()?)?;
    ensure!(summary.late == 0, "{summary:?}");
    Ok(())
}

#[test]
fn windows_over_ordered_json_files_close_on_the_way() -> Result<()> {
    closes_on_the_way(Format::Json, "'source.time-ordered' = 'true', ", 1)
}

#[test]
fn windows_over_parquet_files_close_on_the_way() -> Result<()> {
    closes_on_the_way(Format::Parquet, "", 2)
}

//! What a job's page costs the job: with nobody at it, with one viewer, with a hundred; and what that
//! does to checkpoints.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::time::Instant;
use weir_e2e::job::{Job, Manifest, Run};
use weir_e2e::page::{address, get, snapshot};
use weir_e2e::process::{cpu_time, wait_for};

/// Counts by 10,000 keys of 20,000 rows a second: state, key groups, windows.
const PROGRAM: &str = "CREATE TABLE events (
  k BIGINT, v BIGINT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.05' SECOND
) WITH ('connector' = 'datagen', 'rows-per-second' = '20000',
        'fields.k.min' = '1', 'fields.k.max' = '10000', 'fields.v.min' = '1', 'fields.v.max' = '9');
CREATE TABLE sums (k BIGINT, total BIGINT) WITH ('connector' = 'blackhole');
CREATE TABLE counts (window_end TIMESTAMP(3), k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO sums SELECT k, SUM(v) FROM events GROUP BY k;
INSERT INTO counts
  SELECT window_end, k, COUNT(*)
  FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '1' SECOND))
  GROUP BY window_start, window_end, k;
";

const LIMIT: Duration = Duration::from_secs(60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seconds that each number of viewers is looked at.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Rounds of all numbers of viewers, in turn.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Subtasks of each operator.
    #[arg(long, default_value_t = 2)]
    parallelism: u32,
}

/// What the page does meanwhile.
struct Case {
    name: &'static str,
    viewers: usize,
    /// What viewers look at, behind `/v1/stream?view=`.
    view: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { seconds, rounds, parallelism } = *arguments;
    let interval = Duration::from_millis(500);
    let manifest = Manifest { parallelism, interval, ..Manifest::new("page", PROGRAM) };
    let job = Job::new(manifest)?;
    let run = job.start(0)?;
    let address = address(&run, LIMIT)?;
    wait_for("checkpoints", LIMIT, || {
        let published = snapshot(&address).map(|s| s["checkpoint"]["published"].as_u64());
        Ok(published.unwrap_or_default().unwrap_or(0) >= 5)
    })?;
    let uid = keyed(&address)?;
    let cases = [
        Case { name: "nobody", viewers: 0, view: String::new() },
        Case { name: "1 viewer", viewers: 1, view: "job".to_owned() },
        Case {
            name: "1 viewer, rows of an operator",
            viewers: 1,
            view: format!("job&operator={uid}&rows=1"),
        },
        Case { name: "100 viewers", viewers: 100, view: "job".to_owned() },
    ];
    let mut measured: Vec<Measured> = cases.iter().map(|_| Measured::default()).collect();
    // In turn, so that a slow minute of the machine does not fall on one of them.
    for _ in 0..rounds {
        for (case, measured) in cases.iter().zip(&mut measured) {
            measured.take(&run, &address, case, Duration::from_secs(seconds))?;
        }
    }
    println!(
        "{:30} {:>9} {:>9} {:>24} {:>12}",
        "at the page", "CPU", "more", "checkpoint p50, p99", "sent"
    );
    let alone = measured.first().map_or(0.0, Measured::cores);
    for (case, measured) in cases.iter().zip(&mut measured) {
        measured.took_ms.sort_by(f64::total_cmp);
        println!(
            "{:30} {:>7.2} % {:>7.2} % {:>13.0} ms {:>5.0} ms {:>7.0} kB/s",
            case.name,
            measured.cores() * 100.0,
            (measured.cores() - alone) * 100.0,
            super::quantile(&measured.took_ms, 0.5),
            super::quantile(&measured.took_ms, 0.99),
            measured.received as f64 / 1e3 / measured.passed.as_secs_f64().max(1e-3)
        );
    }
    println!("CPU is of one core. What looking at the job costs while nobody is at its page is in");
    println!("`cargo test -p weir-page --test cost`.");
    Ok(())
}

#[derive(Default)]
struct Measured {
    cpu: Duration,
    passed: Duration,
    took_ms: Vec<f64>,
    received: u64,
}

impl Measured {
    fn cores(&self) -> f64 {
        self.cpu.as_secs_f64() / self.passed.as_secs_f64().max(1e-3)
    }

    fn take(&mut self, run: &Run, address: &str, case: &Case, time: Duration) -> Result<()> {
        let viewers = (0..case.viewers).map(|_| Viewer::open(address, &case.view));
        let viewers = viewers.collect::<Result<Vec<_>>>()?;
        // What they are sent first is not what they cost.
        std::thread::sleep(Duration::from_secs(2));
        let received = || viewers.iter().map(|v| v.received.load(Ordering::Relaxed)).sum::<u64>();
        let (began, cpu, before) = (Instant::now(), cpu_time(run.process.id())?, received());
        let newest = attempts(address)?.first().map_or(0, |attempt| attempt.0);
        std::thread::sleep(time);
        self.cpu += cpu_time(run.process.id())?.saturating_sub(cpu);
        self.passed += began.elapsed();
        self.received += received() - before;
        let fresh = attempts(address)?.into_iter().filter(|attempt| attempt.0 > newest);
        self.took_ms.extend(fresh.map(|attempt| attempt.1));
        ensure!(
            case.viewers == 0 || viewers.iter().all(|v| v.received.load(Ordering::Relaxed) > 0),
            "a viewer got nothing"
        );
        Ok(())
    }
}

/// The newest attempts that were published, newest first: number and milliseconds.
fn attempts(address: &str) -> Result<Vec<(u64, f64)>> {
    let (line, body) = get(address, "/v1/checkpoints", &format!("Host: {address}\r\n"))?;
    ensure!(line.contains("200"), "{line}");
    let records: Vec<Value> = serde_json::from_str(&body)?;
    let published = records.iter().filter(|record| record["result"] == "published");
    let each = published.map(|r| (r["attempt"].as_u64(), r["tookMs"].as_f64()));
    Ok(each.filter_map(|(attempt, took)| Some((attempt?, took?))).collect())
}

/// An operator that keeps state by key.
fn keyed(address: &str) -> Result<String> {
    let snapshot = snapshot(address)?;
    let vertices = snapshot["vertices"].as_array().context("chains")?;
    let operators = vertices.iter().filter_map(|vertex| vertex["operators"].as_array()).flatten();
    let mut keyed = operators.filter(|operator| operator["stateful"] == true);
    let uid = keyed.next_back().and_then(|operator| operator["uid"].as_str());
    Ok(uid.context("no operator keeps state")?.to_owned())
}

/// A page in a browser, as the job sees it.
struct Viewer {
    received: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Viewer {
    fn open(address: &str, view: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET /v1/stream?view={view} HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
        stream.set_read_timeout(Some(Duration::from_millis(500)))?;
        let (received, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, ends) = (Arc::clone(&received), Arc::clone(&over));
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while !ends.load(Ordering::Relaxed) {
                match stream.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(n) => {
                        count.fetch_add(n as u64, Ordering::Relaxed);
                    }
                    // Nothing was sent for a while.
                    Err(_) => {}
                }
            }
        });
        Ok(Self { received, over, reader: Some(reader) })
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

//! A job that runs until it is stopped, and when its output arrived.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;
use weir_e2e::job::{Job, Manifest, Run};

/// Windows of 100 ms over generated rows: output about ten times a second, each line with the
/// end of its window first.
const PROGRAM: &str = "CREATE TABLE events (
  k BIGINT, v BIGINT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '0.05' SECOND
) WITH ('connector' = 'datagen', 'rows-per-second' = '20000',
        'fields.k.min' = '1', 'fields.k.max' = '10', 'fields.v.min' = '1', 'fields.v.max' = '9');
CREATE TABLE sums (window_end TIMESTAMP(3), k BIGINT, total BIGINT) WITH ('connector' = 'print');
INSERT INTO sums
  SELECT window_end, k, SUM(v)
  FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '0.1' SECOND))
  GROUP BY window_start, window_end, k;
";

/// When a line arrived, and what was read from it: of windows the end, as text.
pub(crate) type Arrival = (Instant, String);

/// What of a line counts as output that was not there before; it sees the newest arrival.
pub(crate) type Reads = fn(&str, Option<&Arrival>) -> Option<String>;

/// The running job.
pub(crate) struct Live {
    pub(crate) job: Job,
    pub(crate) run: Run,
    lines: Lines,
}

/// What it prints, read along.
struct Lines {
    arrivals: Arc<Mutex<Vec<Arrival>>>,
    over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Live {
    /// Starts it and waits for its first output.
    pub(crate) fn start(parallelism: u32, workers: u32) -> Result<Self> {
        let manifest = Manifest { parallelism, ..Manifest::new("live", PROGRAM) };
        let mut live = Self::of(Job::new(manifest)?, workers, newer_window)?;
        live.wait_for_windows(20, Duration::from_secs(60))?;
        Ok(live)
    }

    /// Starts a job of which these lines count.
    pub(crate) fn of(job: Job, workers: u32, reads: Reads) -> Result<Self> {
        let run = job.start(workers)?;
        let arrivals = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let file = File::open(run.log_file())?;
        let (writing, ending) = (arrivals.clone(), over.clone());
        let reader = std::thread::spawn(move || follow(file, &writing, &ending, reads));
        Ok(Self { job, run, lines: Lines { arrivals, over, reader: Some(reader) } })
    }

    /// Kills the job with all its processes and starts it again.
    pub(crate) fn killed_and_started(self, workers: u32, reads: Reads) -> Result<Self> {
        let Self { job, mut run, lines } = self;
        run.process.kill_group();
        drop(lines);
        Self::of(job, workers, reads)
    }

    /// The first arrival.
    pub(crate) fn first(&self) -> Option<Arrival> {
        self.lines.arrivals.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// What arrived since `then`.
    pub(crate) fn since(&self, then: Instant) -> Vec<Arrival> {
        let arrivals = self.lines.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
        arrivals.iter().filter(|(at, _)| *at >= then).cloned().collect()
    }

    /// The newest window that arrived.
    pub(crate) fn newest(&self) -> Option<Arrival> {
        self.lines.arrivals.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// Waits until so many windows have arrived from now on.
    pub(crate) fn wait_for_windows(&mut self, count: usize, limit: Duration) -> Result<()> {
        let start = Instant::now();
        while self.since(start).len() < count {
            if let Some(status) = self.run.process.poll()? {
                bail!("the job ended with {status}:\n{}", weir_e2e::cache::tail(&self.run.log()));
            }
            if start.elapsed() > limit {
                let log = self.run.log();
                bail!("not {count} windows in {limit:?}:\n{}", weir_e2e::cache::tail(&log));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// The longest time without output since `then`, in seconds.
    pub(crate) fn longest_gap(&self, then: Instant) -> f64 {
        let arrivals = self.since(then);
        let gaps = arrivals.windows(2).map(|pair| pair[1].0.duration_since(pair[0].0));
        gaps.max().unwrap_or_default().as_secs_f64()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// A window that is newer than all before it.
fn newer_window(line: &str, newest: Option<&Arrival>) -> Option<String> {
    first_timestamp(line).filter(|window| newest.is_none_or(|(_, newest)| newest < window))
}

/// Notes when lines that count are written.
fn follow(file: File, arrivals: &Mutex<Vec<Arrival>>, over: &AtomicBool, reads: Reads) {
    let mut reader = BufReader::new(file);
    let mut line = String::new();
    while !over.load(Ordering::Relaxed) {
        match reader.read_line(&mut line) {
            Ok(n) if n > 0 && line.ends_with('\n') => {
                let mut arrivals = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(read) = reads(&line, arrivals.last()) {
                    arrivals.push((Instant::now(), read));
                }
                line.clear();
            }
            // Half a line stays for the next look.
            _ => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The first `2026-01-01 00:00:00.100` of a line, with its fraction filled up, so that texts
/// compare like times.
fn first_timestamp(line: &str) -> Option<String> {
    let at = line.as_bytes().windows(19).position(|bytes| {
        bytes[4] == b'-' && bytes[7] == b'-' && bytes[13] == b':' && bytes[16] == b':'
    })?;
    let seconds = line.get(at..at + 19)?;
    let fraction: String = line[at + 19..]
        .strip_prefix('.')
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    Some(format!("{}.{fraction:0<3}", seconds.replace('T', " ")))
}

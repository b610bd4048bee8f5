//! A job with little state and one with far more than its memory, each in a container's bounds:
//! how long is output away when the job is killed, and when it is rescaled?

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::time::Instant;
use weir_e2e::job::{Job, Manifest};
use weir_e2e::process::wait_for;
use weir_e2e::{cache, page};

use super::{KEY, each_key, key_options, memory, number, rows_of};
use crate::live::{Arrival, Live};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Whose state it is.
    #[arg(long, value_enum, default_value = "aggregate")]
    operator: Operator,
    /// Keys of the small state, about 1 kB each.
    #[arg(long, default_value_t = 100_000)]
    small: u64,
    /// Keys of the large one.
    #[arg(long, default_value_t = 8_000_000)]
    large: u64,
    /// Memory of the container, in MiB.
    #[arg(long, default_value_t = 2048)]
    container: u32,
    /// Rows a second while pauses are measured.
    #[arg(long, default_value_t = 2000)]
    rate: u32,
    /// Kills, and rescales, of each.
    #[arg(long, default_value_t = 5)]
    tries: u32,
    /// Subtasks; a rescale adds one, and takes it away.
    #[arg(long, default_value_t = 4)]
    parallelism: u32,
}

/// Who keeps the state.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Operator {
    /// A row for each key.
    Aggregate,
    /// A row for each key on either side.
    Join,
}

/// How long state may take to be there.
const FILL: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_secs(120);

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let container = Container::new(u64::from(arguments.container) << 20)?;
    for keys in [arguments.small, arguments.large] {
        measure(arguments, keys, &container).with_context(|| format!("with {keys} keys"))?;
    }
    Ok(())
}

fn measure(arguments: &Arguments, keys: u64, container: &Container) -> Result<()> {
    let parallelism = arguments.parallelism;
    let manifest = Manifest { parallelism, ..Manifest::new("state", &program(arguments, keys)) };
    let row = match arguments.operator {
        Operator::Aggregate => corrected,
        Operator::Join => joined,
    };
    let job = Job::new(manifest)?.within(container.words());
    let began = Instant::now();
    let mut live = Live::of(job, 0, row)?;
    let sides = if arguments.operator == Operator::Join { 2 } else { 1 };
    let filled = fill(&mut live, keys * sides)?;
    println!("{keys} keys, filled in {:.0} s: {filled}", began.elapsed().as_secs_f64());

    let calm = Instant::now();
    std::thread::sleep(Duration::from_secs(10));
    println!("  longest gap in output, calm: {:.3} s", live.longest_gap(calm));

    let mut pauses = Vec::new();
    for (parallelism, _) in
        [parallelism + 1, parallelism].into_iter().cycle().zip(0..arguments.tries)
    {
        let saved = Instant::now();
        let rescaled = |live: &Live| live.run.log().matches("rescaled ").count();
        let seen = rescaled(&live);
        live.job.set_parallelism(parallelism)?;
        wait_for("the line 'rescaled …'", SOON, || Ok(rescaled(&live) > seen))?;
        std::thread::sleep(Duration::from_secs(5));
        pauses.push(live.longest_gap(saved - Duration::from_millis(300)));
    }
    crate::print_spread("  longest gap in output around a rescale", pauses);

    let mut kills = Vec::new();
    let mut gaps = Vec::new();
    for _ in 0..arguments.tries {
        let killed = Instant::now();
        live = live.killed_and_started(0, row)?;
        live.wait_for_windows(1, SOON)?;
        kills.push(live.first().context("output")?.0.duration_since(killed).as_secs_f64());
        std::thread::sleep(Duration::from_secs(10));
        gaps.push(live.longest_gap(killed));
    }
    crate::print_spread("  kill of the process → first row", kills);
    crate::print_spread("  longest gap in the ten seconds after that", gaps);
    println!("  {}", said(&live)?);
    Ok(())
}

/// Waits until the first rows of all keys have been seen and are in a checkpoint.
fn fill(live: &mut Live, rows: u64) -> Result<String> {
    let at = page::address(&live.run, SOON)?;
    let deadline = Instant::now() + FILL;
    while Instant::now() < deadline {
        if let Some(status) = live.run.process.poll()? {
            bail!("the job ended with {status}:\n{}", cache::tail(&live.run.log()));
        }
        if let Ok(snapshot) = page::snapshot(&at)
            && rows_of(&snapshot, "first_of_each") >= rows
        {
            let published = number(&snapshot, "/checkpoint/published");
            wait_for("a checkpoint with all of them", SOON, || {
                Ok(number(&page::snapshot(&at)?, "/checkpoint/published") > published + 1)
            })?;
            return said(live);
        }
        std::thread::sleep(Duration::from_millis(500));
    }
    bail!("not all keys were read in {FILL:?}:\n{}", cache::tail(&live.run.log()))
}

/// State and checkpoints of a running job.
fn said(live: &Live) -> Result<String> {
    let snapshot = page::snapshot(&page::address(&live.run, SOON)?)?;
    let number = |at| number(&snapshot, at);
    ensure!(number("/checkpoint/failed") == 0, "checkpoints failed: {}", snapshot["checkpoint"]);
    let most = memory(&live.run, "VmHWM")?;
    Ok(format!(
        "{} MB of state, at most {most} MB of memory, {} restarts, a checkpoint usually takes {} ms ({} ms of these for barriers)",
        number("/checkpoint/bytes") >> 20,
        number("/job/restarts"),
        number("/checkpoint/usualMs"),
        number("/checkpoint/alignMs"),
    ))
}

/// Every key once with a payload, then rows at a rate, of which those are shown whose key was there.
fn program(arguments: &Arguments, keys: u64) -> String {
    let Arguments { operator, rate, .. } = arguments;
    let (each_key, options) = (each_key(keys), key_options(keys));
    match operator {
        Operator::Aggregate => format!(
            "CREATE TABLE first_of_each (k BIGINT, payload STRING) WITH (
  {each_key}, 'fields.payload.length' = '960'
);
CREATE TABLE more ({KEY}, payload STRING) WITH (
  'connector' = 'datagen', 'rows-per-second' = '{rate}',
  {options}, 'fields.payload.length' = '960'
);
CREATE TABLE shown (k BIGINT, n BIGINT, longest INT) WITH ('connector' = 'print');
INSERT INTO shown
  SELECT k, n, CHAR_LENGTH(payload) FROM (
    SELECT k, COUNT(*) AS n, MAX(payload) AS payload FROM (
      SELECT k, payload FROM first_of_each UNION ALL SELECT k, payload FROM more
    ) GROUP BY k
  ) WHERE n > 1;
"
        ),
        // A condition over both sides is the join's own: no filter in front of it drops a row.
        Operator::Join => format!(
            "CREATE TABLE first_of_each_left (k BIGINT, payload STRING) WITH (
  {each_key}, 'fields.payload.length' = '480'
);
CREATE TABLE first_of_each_right (k BIGINT, payload STRING) WITH (
  {each_key}, 'fields.payload.length' = '480'
);
CREATE TABLE more ({KEY}, payload STRING) WITH (
  'connector' = 'datagen', 'rows-per-second' = '{rate}',
  {options}, 'fields.payload.length' = '480'
);
CREATE TABLE shown (k BIGINT, longest INT) WITH ('connector' = 'print');
INSERT INTO shown
  SELECT l.k, CHAR_LENGTH(l.payload) + CHAR_LENGTH(r.payload) FROM (
    SELECT k, payload, 0 AS again FROM first_of_each_left
    UNION ALL SELECT k, payload, 1 AS again FROM more
  ) AS l JOIN (SELECT k, payload, 1 AS there FROM first_of_each_right) AS r
  ON l.k = r.k AND l.again + r.there > 1;
"
        ),
    }
}

/// A printed row of the aggregate.
fn corrected(line: &str, _: Option<&Arrival>) -> Option<String> {
    line.contains("+U[").then(String::new)
}

/// A printed row of the join.
fn joined(line: &str, _: Option<&Arrival>) -> Option<String> {
    line.contains("+I[").then(String::new)
}

/// What bounds the memory of whatever is started in it, as a container does.
struct Container {
    group: PathBuf,
}

impl Container {
    fn new(bytes: u64) -> Result<Self> {
        let version_1 = PathBuf::from("/sys/fs/cgroup/memory").is_dir();
        let root = if version_1 { "/sys/fs/cgroup/memory" } else { "/sys/fs/cgroup" };
        let group = PathBuf::from(root).join(format!("weir-bench-{}", std::process::id()));
        fs::create_dir(&group).with_context(|| format!("make {} as root", group.display()))?;
        let container = Self { group };
        let limit = if version_1 { "memory.limit_in_bytes" } else { "memory.max" };
        fs::write(container.group.join(limit), bytes.to_string()).context("bound its memory")?;
        Ok(container)
    }

    /// Words in front of a command line that put it inside, where it sees this bound alone.
    fn words(&self) -> Vec<String> {
        let group = self.group.display();
        let root = self.group.parent().unwrap_or(&self.group).display();
        let enter =
            format!("echo $$ > {group}/cgroup.procs && mount --bind {group} {root} && exec \"$@\"");
        ["unshare", "--mount", "bash", "-c", &enter, "bash"].map(str::to_owned).to_vec()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // Its processes have ended, as their owners were dropped before.
        let _ = fs::remove_dir(&self.group);
    }
}

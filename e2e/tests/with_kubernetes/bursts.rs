//! Input that comes in bursts and falls silent in between, so that readers are idle again and
//! again; and everything that can befall a job meanwhile. Rows equal the definition's at every
//! parallelism, from a watched folder as well as from partitions of which some are silent.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use tempfile::NamedTempFile;
use weir_e2e::data::{Airport, Flight, Format, SplitFile, flights, write, write_part};
use weir_e2e::oracle::expected::{Aggregated, Windows, aggregate};
use weir_e2e::process::{at_once, wait_for};
use weir_e2e::rows::Rows;
use weir_e2e::testbed::cluster::{Namespace, Node, READY, Stage, is_true};
use weir_e2e::testbed::kafka::Kafka;
use weir_e2e::testbed::s3::S3;

use crate::flights::{Input, PARTITIONS, hours};

const HOUR_MS: i64 = 3_600_000;
/// The watermark's delay: longer than all that a burst holds, so that no order in which readers
/// take files and partitions puts a row behind the watermark.
const DELAY_DAYS: i64 = 2;
const WINDOWS: Windows =
    Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: DELAY_DAYS * 24 * HOUR_MS };

/// Rows of a file; some 43 minutes of flights.
const PART: usize = 500;
const PARTS: usize = 240;
/// Files before the first window closes.
const FIRST: usize = 80;
/// How many files a burst has.
const BURST: usize = 22;

const DONE: Duration = Duration::from_secs(120);
/// Kubernetes calls a silent node lost after 50 s.
const NODE_LOST: Duration = Duration::from_secs(180);

const PARALLELISMS: [u32; 3] = [1, 3, 5];

/// One of the jobs that read the same input.
struct Reader {
    job: String,
    parallelism: u32,
    program: String,
}

/// The input as it is written piece by piece, to the folder and to the topic.
struct Bursts<'a> {
    kafka: &'a Kafka,
    topic: &'a str,
    folder: PathBuf,
    rows: &'static [Flight],
    /// What every job writes of all rows.
    windows: Aggregated,
    /// Files written so far.
    parts: usize,
}

impl Bursts<'_> {
    /// Writes the next files, and shows them all at once.
    fn burst(&mut self, parts: usize) -> Result<()> {
        let from = self.parts;
        self.parts = (from + parts).min(PARTS);
        for part in from..self.parts {
            let rows = &self.rows[part * PART..(part + 1) * PART];
            write(&self.folder.join(hidden(part)), Format::Json, rows)?;
        }
        for part in from..self.parts {
            fs::rename(self.folder.join(hidden(part)), self.folder.join(name(part)))?;
        }
        self.produce(&self.rows[from * PART..self.parts * PART])
    }

    /// The rest, and one flight of the year 2100: of all readers and partitions one gets it, and
    /// the windows close all the same.
    fn finish(&mut self) -> Result<()> {
        self.burst(PARTS)?;
        let Some(last) = self.rows.last() else { return Ok(()) };
        let (origin, destination): (Airport, Airport) = (last.origin, last.destination);
        let end =
            [Flight { date_ms: 4_102_444_800_000, delay: 0, distance: 0, origin, destination }];
        write_part(&self.folder, "z-end.json", Format::Json, &end)?;
        self.produce(&end)
    }

    /// The windows that what has been written so far closes.
    fn closed(&self) -> Rows {
        let newest = self.rows[..self.parts * PART].last().map_or(i64::MIN, |row| row.date_ms);
        let watermark = newest.saturating_sub(WINDOWS.delay_ms);
        let mut closed = self.windows.clone();
        closed.groups.retain(|(start, _), _| start + WINDOWS.size_ms < watermark);
        closed.counts()
    }

    fn produce(&self, rows: &[Flight]) -> Result<()> {
        let lines = NamedTempFile::new()?;
        write(lines.path(), Format::Json, rows)?;
        self.kafka.produce(self.topic, lines.path())
    }
}

fn name(part: usize) -> String {
    format!("part-{part:04}.json")
}

fn hidden(part: usize) -> String {
    format!(".{}", name(part))
}

fn table(with: &str) -> String {
    format!(
        "CREATE TABLE flights (
  `date` TIMESTAMP(3), delay BIGINT, distance BIGINT, origin STRING, destination STRING,
  WATERMARK FOR `date` AS `date` - INTERVAL '{DELAY_DAYS}' DAY
) WITH ({with}, 'format' = 'json');
"
    )
}

fn readers(home: &Namespace<'_>, kafka: &Kafka, topic: &str) -> Vec<Reader> {
    let folder = format!(
        "'connector' = 'filesystem', 'path' = 's3://{}/in/{topic}', 'source.monitor-interval' = '500 ms'",
        S3::BUCKET
    );
    let partitions = format!(
        "'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{}', \
         'scan.startup.mode' = 'earliest-offset', 'scan.watermark.idle-timeout' = '500 ms'",
        kafka.servers()
    );
    [("folder", folder), ("topic", partitions)]
        .into_iter()
        .flat_map(|(source, with)| {
            PARALLELISMS.map(|parallelism| {
                let job = format!("{source}-{parallelism}");
                let program = format!("{}{}", table(&with), hours(&home.sink(&job)));
                Reader { job, parallelism, program }
            })
        })
        .collect()
}

/// Files and messages in bursts; pods are killed, jobs suspended, rescaled and edited, a node is
/// cut off; in the end every job has written every row once.
pub(crate) fn bursts_and_silence_cost_no_row(stage: &Stage, name: &str) -> Result<()> {
    let (home, kafka) = (stage.namespace(name)?, stage.kafka()?);
    kafka.create_topic(name, PARTITIONS, &["retention.ms=-1"])?;
    let folder = stage.s3.bucket_folder().join("in").join(name);
    fs::create_dir_all(&folder)?;
    let rows = &flights()?[..PARTS * PART];
    let split = SplitFile { name: String::new(), rows: rows.to_vec() };
    let windows = aggregate(&[split], WINDOWS);
    let mut input = Bursts { kafka, topic: name, folder, rows, windows, parts: 0 };
    let readers = readers(&home, kafka, name);

    input.burst(1)?;
    for reader in &readers {
        // All of them on one node while the other is gone.
        let workers = json!({"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}});
        let spec = json!({"parallelism": reader.parallelism, "workers": workers});
        home.apply_job(&reader.job, &reader.program, &spec)?;
    }
    at_once(&readers, |reader| home.wait_for_condition(&reader.job, "Ready", 2 * READY).map(drop))?;
    input.burst(FIRST)?;
    settled(&home, &readers, &input.closed(), DONE)?;

    let step = |input: &mut Bursts<'_>, what: &str, strike: &dyn Fn(&Reader) -> Result<()>| {
        println!("  {what}");
        input.burst(BURST)?;
        for reader in &readers {
            strike(reader)?;
        }
        settled(&home, &readers, &input.closed(), DONE)
    };
    step(&mut input, "a pod of each deleted", &|reader| {
        let pods = home.pods(&reader.job)?;
        let Some(pod) = pods.last() else { return Ok(()) };
        let arguments = ["delete", "pod", pod, "--grace-period=0", "--force", "--wait=false"];
        home.kubectl.run(&arguments).map(drop)
    })?;
    step(&mut input, "rescaled", &|reader| {
        let other = reader.parallelism % 5 + 1;
        home.patch_job(&reader.job, &json!({"parallelism": other}))
    })?;
    step(&mut input, "rescaled back", &|reader| {
        home.patch_job(&reader.job, &json!({"parallelism": reader.parallelism}))
    })?;
    step(&mut input, "programs changed", &|reader| {
        home.patch_job(&reader.job, &json!({"sql": format!("-- changed\n{}", reader.program)}))
    })?;

    println!("  suspended");
    input.burst(BURST)?;
    for reader in &readers {
        home.patch_job(&reader.job, &json!({"desiredState": "Suspended"}))?;
    }
    at_once(&readers, |reader| home.wait_for_state(&reader.job, "Suspended", DONE).map(drop))?;
    step(&mut input, "resumed", &|reader| {
        home.patch_job(&reader.job, &json!({"desiredState": "Running"}))
    })?;

    println!("  a node cut off");
    stage.cluster.partition(Node(1), true)?;
    let cut =
        input.burst(BURST).and_then(|()| settled(&home, &readers, &input.closed(), NODE_LOST));
    stage.cluster.partition(Node(1), false)?;
    cut?;
    let node = Node(1).name();
    stage.cluster.kubectl().wait_until("node", &node, "back", READY, |node| {
        is_true(node, "Ready") && node["spec"]["taints"].is_null()
    })?;

    input.finish()?;
    let all = input.windows.counts();
    at_once(&readers, |reader| {
        home.wait_for_rows(&reader.job, &Input::columns(), &all, DONE)?;
        home.wait_for_condition(&reader.job, "Ready", DONE).map(drop)
    })?;
    home.delete()
}

/// Every job has written the windows that are closed, and nothing wrong, and runs with the
/// parallelism that was asked for.
fn settled(home: &Namespace<'_>, readers: &[Reader], closed: &Rows, limit: Duration) -> Result<()> {
    at_once(readers, |Reader { job, .. }| {
        let (mut files, mut rows) = (0, Rows::default());
        let waited = wait_for("closed windows", limit, || {
            let committed = home.committed_files(job)?;
            if committed != files {
                (files, rows) = (committed, home.rows(job, &Input::columns())?);
            }
            Ok(closed.within(&rows))
        });
        if waited.is_err() {
            closed.check(job, &rows)?;
        }
        home.kubectl.wait_until("sj", job, "settled", limit, |job| {
            job["status"]["observedGeneration"] == job["metadata"]["generation"]
                && job["status"]["state"] == "Running"
                && job["status"]["parallelism"]["actual"] == job["spec"]["parallelism"]
        })?;
        waited
    })
}

//! Input that comes in bursts and falls silent in between, so that readers are idle again and
//! again; and everything that can befall a job meanwhile. Rows equal the definition's at every
//! parallelism, from a watched folder as well as from partitions of which some are silent.
//!
//! One parallelism after the other, and of each two jobs beside each other: two cores carry no
//! more pods that start at once.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::time::Instant;
use weir_e2e::data::{Airport, Flight, Format, SplitFile, flights, write, write_part};
use weir_e2e::oracle::expected::{Aggregated, Windows, aggregate};
use weir_e2e::process::{at_once, wait_for, wait_looking};
use weir_e2e::rows::Rows;
use weir_e2e::testbed::cluster::{Namespace, Node, READY, Stage, is_true};
use weir_e2e::testbed::kafka::Kafka;
use weir_e2e::testbed::s3::S3;

use crate::checks::metrics;
use crate::flights::{Input, PARTITIONS, hours};
use crate::nodes::{anywhere, only_on, pods_of};

const HOUR_MS: i64 = 3_600_000;
/// The watermark's delay: longer than all that is ever unread, two bursts, so that no order in
/// which readers take files and partitions puts a row behind the watermark.
const DELAY_DAYS: i64 = 1;
const WINDOWS: Windows =
    Windows { size_ms: HOUR_MS, slide_ms: HOUR_MS, delay_ms: DELAY_DAYS * 24 * HOUR_MS };

/// Rows of a file; some 22 minutes of flights.
const PART: usize = 250;
const PARTS: usize = 317;
/// How many files a burst has.
const BURST: usize = 22;

/// Longer than it takes to read a burst: what a chain holds back is in no checkpoint yet when the
/// end of all windows comes.
const CHECKPOINTS: &str = "5s";

const DONE: Duration = Duration::from_secs(120);
/// How long a job waits for a silent node.
const PATIENCE: &str = "20s";
/// Kubernetes itself calls it lost after 50 s.
const NODE_LOST: Duration = Duration::from_secs(180);
/// Between two looks at jobs: each starts a process, on the cores that the jobs run on.
const LOOK: Duration = Duration::from_millis(300);

const PARALLELISMS: [u32; 3] = [1, 3, 5];

/// Files and messages in bursts; pods are killed, jobs suspended, rescaled, edited and deleted, a
/// node is cut off; in the end every job has written every row once.
pub(crate) fn bursts_and_silence_cost_no_row(stage: &Stage, name: &str) -> Result<()> {
    let home = stage.namespace(name)?;
    for parallelism in PARALLELISMS {
        let trial = Trial::new(stage, &home, parallelism)?;
        trial.run().with_context(|| format!("at parallelism {parallelism}"))?;
    }
    home.delete()
}

/// A job, and the source that it reads.
struct Job {
    name: String,
    program: String,
}

/// The input as it is written piece by piece, to a folder and to a topic, and the two jobs that
/// read it.
struct Trial<'a> {
    stage: &'a Stage,
    home: &'a Namespace<'a>,
    kafka: &'a Kafka,
    parallelism: u32,
    /// Also the name of the folder.
    topic: String,
    folder: PathBuf,
    jobs: [Job; 2],
    rows: &'static [Flight],
    /// What either job writes of all rows.
    windows: Aggregated,
    /// Files written so far.
    parts: usize,
    start: Instant,
}

impl<'a> Trial<'a> {
    fn new(stage: &'a Stage, home: &'a Namespace<'a>, parallelism: u32) -> Result<Self> {
        let (start, kafka) = (Instant::now(), stage.kafka()?);
        let topic = format!("{}-{parallelism}", home.name());
        kafka.create_topic(&topic, PARTITIONS, &["retention.ms=-1"])?;
        let folder = stage.s3.bucket_folder().join("in").join(&topic);
        fs::create_dir_all(&folder)?;
        let rows = &flights()?[..PARTS * PART];
        let split = SplitFile { name: String::new(), rows: rows.to_vec() };
        let windows = aggregate(&[split], WINDOWS);
        let jobs = [("folder", watched(&topic)), ("topic", partitions(kafka, &topic))].map(
            |(source, with)| {
                let name = format!("{source}-{parallelism}");
                let program = format!("{}{}", table(&with), hours(&home.sink(&name)));
                Job { name, program }
            },
        );
        let parts = 0;
        Ok(Self {
            stage,
            home,
            kafka,
            parallelism,
            topic,
            folder,
            jobs,
            rows,
            windows,
            parts,
            start,
        })
    }

    fn run(mut self) -> Result<()> {
        self.burst(1)?;
        self.say("started");
        for job in &self.jobs {
            self.apply(job, None)?;
            self.home.wait_for_condition(&job.name, "Ready", READY)?;
        }
        self.burst(2 * BURST)?;
        // Its readers fall silent.
        for job in &self.jobs {
            let written = (self.parts * PART) as u64;
            wait_for("all to be read", DONE, || Ok(self.rows_read(job)? >= written))?;
        }
        self.burst(30)?;
        self.settled(DONE)?;

        self.step("a pod of each killed", |trial, job| {
            let pods = trial.home.pods(&job.name)?;
            let pod = pods.last().context("no pod")?;
            let arguments = ["delete", "pod", pod, "--grace-period=0", "--force", "--wait=false"];
            trial.home.kubectl.run(&arguments).map(drop)
        })?;
        self.step("rescaled", |trial, job| {
            let other = trial.parallelism % 5 + 1;
            trial.home.patch_job(&job.name, &json!({"parallelism": other}))
        })?;
        self.step("rescaled back", |trial, job| {
            trial.home.patch_job(&job.name, &json!({"parallelism": trial.parallelism}))
        })?;
        for job in &mut self.jobs {
            job.program.insert_str(0, "-- changed\n");
        }
        self.step("programs changed", |trial, job| {
            trial.home.patch_job(&job.name, &json!({"sql": job.program}))
        })?;
        self.suspend()?;
        self.step("resumed", |trial, job| {
            trial.home.patch_job(&job.name, &json!({"desiredState": "Running"}))
        })?;
        self.delete_and_adopt()?;
        self.lose_a_node()?;
        self.finish()
    }

    /// A burst, and something that befalls both jobs while they read it.
    fn step(&mut self, what: &str, strike: impl Fn(&Self, &Job) -> Result<()>) -> Result<()> {
        self.burst(BURST)?;
        self.say(what);
        self.jobs.iter().try_for_each(|job| strike(self, job))?;
        self.settled(DONE).context(what.to_owned())
    }

    fn suspend(&mut self) -> Result<()> {
        self.burst(BURST)?;
        self.say("suspended");
        for job in &self.jobs {
            self.home.patch_job(&job.name, &json!({"desiredState": "Suspended"}))?;
        }
        let suspended = |job: &Value| job["status"]["state"] == "Suspended";
        self.until("suspended", DONE, suspended)
    }

    /// The jobs are deleted behind a savepoint; others of the same name go on from it.
    fn delete_and_adopt(&mut self) -> Result<()> {
        let mut uids = Vec::new();
        for job in &self.jobs {
            uids.push(self.home.kubectl.get(&["sj", &job.name])?["metadata"]["uid"].clone());
        }
        self.burst(BURST)?;
        self.say("deleted");
        self.delete_jobs()?;
        self.burst(BURST)?;
        self.say("made again");
        self.jobs.iter().zip(uids).try_for_each(|(job, uid)| self.apply(job, Some(uid)))?;
        self.settled(DONE).context("made again")
    }

    /// Node 1 is cut off with what it has of each job, and comes back.
    fn lose_a_node(&mut self) -> Result<()> {
        let (cluster, nodes) = (&self.stage.cluster, self.stage.cluster.kubectl());
        let node = Node(1);
        for job in &self.jobs {
            if pods_of(self.home, &job.name, node)?.is_empty() {
                only_on(&nodes, node)?;
                let pods = self.home.pods(&job.name)?;
                self.home.kubectl.run(&["delete", "pod", pods.first().context("no pod")?])?;
                self.home.wait_for_ready_pods(&job.name, pods.len(), READY)?;
                let moved = pods_of(self.home, &job.name, node)?;
                ensure!(!moved.is_empty(), "{} has nothing on the node to be lost", job.name);
            }
        }
        anywhere(&nodes)?;
        self.say("a node cut off");
        cluster.partition(node, true)?;
        // That new pods do not come to it is a person's doing; the rest is not.
        let survived = only_on(&nodes, Node(0))
            .and_then(|()| self.burst(BURST))
            .and_then(|()| self.settled(NODE_LOST));
        cluster.partition(node, false)?;
        anywhere(&nodes)?;
        survived.context("without a node")?;
        self.say("the node back");
        nodes.wait_until("node", &node.name(), "back", READY, |node| {
            is_true(node, "Ready") && node["spec"]["taints"].is_null()
        })?;
        self.burst(BURST)?;
        self.settled(DONE).context("with the node back")
    }

    /// The rest, and one flight of the year 2100: of all readers and partitions one gets it, and
    /// the windows close all the same. In the folder it comes with the rest, so that readers run
    /// out of files while others close what those have just read; in the topic once the rest has
    /// been read, since nobody waits for a partition that is called silent.
    fn finish(mut self) -> Result<()> {
        let last = self.rows.last().context("no flights")?;
        let (origin, destination): (Airport, Airport) = (last.origin, last.destination);
        let end =
            [Flight { date_ms: 4_102_444_800_000, delay: 0, distance: 0, origin, destination }];
        let before = self.rows_read(&self.jobs[1])?;
        self.say("the last rows");
        let rest = self.show(PARTS)?;
        write_part(&self.folder, "z-end.json", Format::Json, &end)?;
        self.produce(rest)?;
        wait_for("the rest to be read", DONE, || {
            let read = self.rows_read(&self.jobs[1])?;
            // Tasks that were moved count anew, and have read what was there.
            Ok(read >= before + rest.len() as u64 || read < before)
        })?;
        self.produce(&end)?;
        let all = self.windows.counts();
        at_once(&self.jobs, |job| {
            self.home.wait_for_rows(&job.name, &Input::columns(), &all, DONE)
        })?;
        self.until("ready", DONE, |job| is_true(job, "Ready"))?;
        self.delete_jobs()?;
        self.say("every row is there once");
        Ok(())
    }

    /// Rows that the tasks of a job have read so far.
    fn rows_read(&self, job: &Job) -> Result<u64> {
        let mut rows = 0;
        for pod in self.home.pods(&job.name)? {
            let text = metrics(&self.home.kubectl, &pod, 7103)?;
            let read = text.lines().filter(|line| line.starts_with("weir_source_rows_total{"));
            let read = read.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
            rows += read.sum::<u64>();
        }
        Ok(rows)
    }

    fn say(&self, what: &str) {
        println!("  {}: {:.0} s: {what}", self.parallelism, self.start.elapsed().as_secs_f64());
    }

    fn apply(&self, job: &Job, adopt: Option<Value>) -> Result<()> {
        // All of them on one node while the other is gone.
        let workers = json!({"resources": {"requests": {"cpu": "20m", "memory": "64Mi"}}});
        let mut state = json!({"checkpoint": {"interval": CHECKPOINTS}});
        if let Some(uid) = adopt {
            state["adopt"] = uid;
        }
        let spec = json!({"parallelism": self.parallelism, "workers": workers, "state": state,
            "nodeLostTimeout": PATIENCE});
        self.home.apply_job(&job.name, &job.program, &spec)
    }

    fn delete_jobs(&self) -> Result<()> {
        let [folder, topic] = &self.jobs;
        self.home.kubectl.run(&["delete", "sj", &folder.name, &topic.name, "--timeout=120s"])?;
        for job in &self.jobs {
            wait_for("its pods to go", DONE, || Ok(self.home.pods(&job.name)?.is_empty()))?;
        }
        Ok(())
    }

    /// The next rows, to the folder and to the topic.
    fn burst(&mut self, parts: usize) -> Result<()> {
        let rows = self.show(parts)?;
        self.produce(rows)
    }

    /// Writes the next files, and shows them all at once; returns their rows.
    fn show(&mut self, parts: usize) -> Result<&'static [Flight]> {
        let from = self.parts;
        self.parts = (from + parts).min(PARTS);
        for part in from..self.parts {
            let rows = &self.rows[part * PART..(part + 1) * PART];
            write(&self.folder.join(hidden(part)), Format::Json, rows)?;
        }
        for part in from..self.parts {
            fs::rename(self.folder.join(hidden(part)), self.folder.join(shown(part)))?;
        }
        let rows: &'static [Flight] = self.rows;
        Ok(&rows[from * PART..self.parts * PART])
    }

    fn produce(&self, rows: &[Flight]) -> Result<()> {
        let lines = NamedTempFile::new()?;
        write(lines.path(), Format::Json, rows)?;
        self.kafka.produce(&self.topic, lines.path())
    }

    /// The windows that what has been written so far closes.
    fn closed(&self) -> Rows {
        let newest = self.rows[..self.parts * PART].last().map_or(i64::MIN, |row| row.date_ms);
        let watermark = newest.saturating_sub(WINDOWS.delay_ms);
        let mut closed = self.windows.clone();
        closed.groups.retain(|(start, _), _| start + WINDOWS.size_ms < watermark);
        closed.counts()
    }

    /// Both jobs have written the windows that are closed, and run with the parallelism that was
    /// asked for.
    fn settled(&self, limit: Duration) -> Result<()> {
        let closed = self.closed();
        for Job { name, .. } in &self.jobs {
            let (mut files, mut rows) = (0, Rows::default());
            let waited = wait_for(&format!("closed windows of {name}"), limit, || {
                let committed = self.home.committed_files(name)?;
                if committed != files {
                    (files, rows) = (committed, self.home.rows(name, &Input::columns())?);
                }
                Ok(closed.within(&rows))
            });
            if waited.is_err() {
                closed.check(name, &rows)?;
            }
            waited?;
        }
        self.until("settled", limit, |job| {
            job["status"]["state"] == "Running"
                && job["status"]["parallelism"]["actual"] == job["spec"]["parallelism"]
        })
    }

    /// Waits until `done` says yes to both jobs, and their status is about their newest spec.
    fn until(&self, wish: &str, limit: Duration, done: impl Fn(&Value) -> bool) -> Result<()> {
        let mut last = Value::Null;
        let waited = wait_looking(&format!("jobs to be {wish}"), limit, LOOK, || {
            last = self.home.kubectl.get(&["sj"])?;
            let jobs = last["items"].as_array().context("a list")?;
            let current =
                |job: &Value| job["status"]["observedGeneration"] == job["metadata"]["generation"];
            Ok(jobs.len() == self.jobs.len() && jobs.iter().all(|job| current(job) && done(job)))
        });
        let status = |job: &Value| format!("{}: {:#}", job["metadata"]["name"], job["status"]);
        waited.with_context(|| {
            last["items"].as_array().into_iter().flatten().map(status).collect::<String>()
        })
    }
}

fn shown(part: usize) -> String {
    format!("part-{part:04}.json")
}

fn hidden(part: usize) -> String {
    format!(".{}", shown(part))
}

fn watched(folder: &str) -> String {
    format!(
        "'connector' = 'filesystem', 'path' = 's3://{}/in/{folder}', 'source.monitor-interval' = '500 ms'",
        S3::BUCKET
    )
}

fn partitions(kafka: &Kafka, topic: &str) -> String {
    format!(
        "'connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{}', \
         'scan.startup.mode' = 'earliest-offset', 'scan.watermark.idle-timeout' = '500 ms'",
        kafka.servers()
    )
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

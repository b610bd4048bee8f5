//! A job as people and their tools look at it: what `/v1/snapshot` and its neighbours answer, what
//! the job's page and `weir run` draw, and what findings rest on.
//!
//! Everything here is read from what the coordinator knows anyway ([`crate::control`]); nothing is
//! counted a second time. Field names are part of the output format: they are only ever added to.
//! Times are milliseconds since 1970 (`…_at_ms`), durations milliseconds (`…_ms`) or seconds
//! (`…_s`), rates per second, shares from 0 to 1. Event times are milliseconds since 1970 as well.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::OperatorCounts;

/// The version of this form.
pub const VIEW_VERSION: u32 = 1;

/// A job at one moment.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Snapshot {
    /// [`VIEW_VERSION`].
    pub version: u32,
    /// When it was taken.
    pub at_ms: u64,
    /// Grows with each snapshot of this process.
    pub sequence: u64,
    /// Which job, and where it is.
    pub job: JobView,
    /// Sums over the job.
    pub totals: TotalsView,
    /// The newest checkpoint, and how the attempts before it went.
    pub checkpoint: CheckpointView,
    /// Memory for state.
    pub memory: MemoryView,
    /// Chains of operators in topological order; position = id.
    pub vertices: Vec<VertexView>,
    /// Connections between them.
    pub edges: Vec<EdgeView>,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
}

/// Which job, and where it is.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobView {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// As `kubectl get` shows it: `Running`.
    pub state: String,
    /// The term of its coordinator.
    pub term: u64,
    /// Subtasks of each operator that can be divided.
    pub parallelism: u32,
    /// Number of key groups.
    pub max_parallelism: u32,
    /// Workers that are attached.
    pub workers: u32,
    /// Restarts of the tasks since the coordinator began.
    pub restarts: u64,
    /// All sources end by themselves.
    pub bounded: bool,
    /// When this coordinator began.
    pub began_at_ms: u64,
    /// Hash of the program.
    pub plan_hash: String,
    /// What went wrong last; empty when nothing did.
    pub failure: String,
    /// Why tasks fail again and again.
    pub task_problem: String,
    /// What sources wait for before they know what to read.
    pub source_problem: String,
    /// How the job has ended; empty while it goes on.
    pub ending: String,
    /// The manifest that `weir run` follows; empty where Kubernetes holds it.
    pub manifest: String,
}

/// Sums over the job.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TotalsView {
    /// Rows that sources have read.
    pub rows_in: u64,
    /// Rows that sinks have taken.
    pub rows_out: u64,
    /// Rows dropped as late.
    pub late: u64,
    /// Records skipped because they could not be read.
    pub malformed: u64,
    /// Rows that sources read a second, lately.
    pub in_rate: f64,
    /// Rows that sinks take a second, lately.
    pub out_rate: f64,
    /// Smallest watermark of the tasks.
    pub watermark: Option<i64>,
    /// Now minus that watermark, of a live job whose event time is this year's or so.
    pub freshness_s: Option<f64>,
    /// Share of a bounded job's input that is read.
    pub progress: Option<f64>,
}

/// Checkpoints so far.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointView {
    /// The newest one's number; 0: none.
    pub epoch: u64,
    /// State that it names.
    pub bytes: u64,
    /// From its trigger to its publication.
    pub took_ms: u64,
    /// When it was published; 0: never.
    pub at_ms: u64,
    /// Where it is.
    pub path: String,
    /// Published by this coordinator.
    pub published: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Attempts that had nothing new to publish.
    pub unchanged: u64,
    /// From one trigger to the next.
    pub interval_ms: u64,
    /// An attempt that is not acknowledged by then is given up.
    pub timeout_ms: u64,
    /// Why there is no newer one; empty when all is well.
    pub problem: String,
    /// From trigger to publication, averaged over the newest ones that were published.
    pub usual_ms: u64,
    /// Of those, what the store took: from the last acknowledgement to the publication, and the
    /// slowest upload.
    pub store_ms: u64,
    /// Of those, the longest wait for barriers.
    pub align_ms: u64,
}

/// Memory for state.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MemoryView {
    /// What one worker's state may take; 0 where that is not known.
    pub limit_bytes: u64,
    /// What it takes on the worker that has most.
    pub most_bytes: u64,
    /// What it takes in all.
    pub state_bytes: u64,
}

/// A chain of operators.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VertexView {
    /// Its number.
    pub id: u32,
    /// Name for people.
    pub name: String,
    /// Its operators in the order in which rows pass.
    pub operators: Vec<OperatorView>,
    /// Its subtasks that have said something, in order.
    pub subtasks: Vec<SubtaskView>,
}

/// An operator.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperatorView {
    /// Stable name of its state.
    pub uid: String,
    /// Name for people.
    pub name: String,
    /// `source`, `window aggregate`, `sink`, …
    pub kind: String,
    /// The connector of a source or a sink.
    pub connector: String,
    /// Whether it keeps state.
    pub stateful: bool,
    /// What it has counted, also in terms before this one.
    pub counts: OperatorCounts,
    /// Rows that come in a second, lately.
    pub in_rate: f64,
    /// Rows that go out a second, lately.
    pub out_rate: f64,
    /// Rows dropped as late a second, lately.
    pub late_rate: f64,
    /// Memory that its state takes.
    pub state_bytes: u64,
    /// Rows (or bytes, of files) that a source knows of and has not read.
    pub backlog: u64,
    /// Key groups for which most rows come lately, the hottest first, and not many; of an operator
    /// that keeps state by key.
    pub hottest: Vec<KeyGroupView>,
}

/// A key group for which rows come.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyGroupView {
    /// Its number.
    pub group: u32,
    /// The subtask that owns it.
    pub subtask: u32,
    /// Rows that come for it a second, lately; from a sample of them.
    pub in_rate: f64,
}

/// What is known of all key groups of an operator, by their numbers.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyGroupsView {
    /// The operator.
    pub uid: String,
    /// When it was known; 0: nothing is known yet.
    pub at_ms: u64,
    /// Rows that come for each a second, lately; from a sample of them.
    pub in_rates: Vec<f32>,
    /// Rows of state in memory of each; of a large table from a sample of them.
    pub state_rows: Vec<u64>,
    /// Who owns which.
    pub owners: Vec<KeyGroupOwner>,
}

/// A few rows that an operator has given lately, or that a sink has taken, the newest last.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RowsView {
    /// The operator.
    pub uid: String,
    /// When the newest of them passed.
    pub at_ms: u64,
    /// Names of columns.
    pub columns: Vec<String>,
    /// Columns that are left out.
    pub more_columns: u32,
    /// The rows.
    pub rows: Vec<RowView>,
}

/// A row as texts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RowView {
    /// Whose it is.
    pub subtask: u32,
    /// `+I`, `-U`, `+U` or `-D`.
    pub change: String,
    /// A value a column, cut where it is long; absent: NULL.
    pub values: Vec<Option<String>>,
}

/// The key groups of a subtask.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyGroupOwner {
    /// The subtask.
    pub subtask: u32,
    /// Its first key group.
    pub first: u32,
    /// One past its last one.
    pub end: u32,
}

/// A subtask of a chain.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SubtaskView {
    /// Its number.
    pub subtask: u32,
    /// The worker that runs it.
    pub worker: u32,
    /// Rows that come into its first operator (that a source reads) a second, lately.
    pub in_rate: f64,
    /// Rows that leave its last operator a second, lately.
    pub out_rate: f64,
    /// Rows that its first operator has taken (that a source has read) in this term.
    pub rows: u64,
    /// Where its time goes lately.
    pub time: TimeShares,
    /// Its merged watermark.
    pub watermark: Option<i64>,
    /// Memory that its state takes.
    pub state_bytes: u64,
    /// What it knows of and has not read.
    pub backlog: u64,
    /// What it reads, furthest behind first, and not all of many.
    pub splits: Vec<SplitView>,
}

/// Where a task's time goes; together 1, or 0 when nothing is known.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TimeShares {
    /// With rows at hand.
    pub busy: f64,
    /// Held back by what comes behind.
    pub held: f64,
    /// Without anything to do.
    pub idle: f64,
    /// Waiting for barriers.
    pub aligning: f64,
}

/// What a source's subtask reads.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SplitView {
    /// Its name.
    pub id: String,
    /// Where it stands in event time.
    pub watermark: Option<i64>,
    /// For so long it has given no rows.
    pub silent_ms: u64,
    /// Watermarks do not wait for it.
    pub idle: bool,
    /// What it still holds.
    pub backlog: u64,
}

/// A connection between chains.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct EdgeView {
    /// The producing chain.
    pub from: u32,
    /// The uid of the producing operator.
    pub operator: String,
    /// `main`, `late` or `errors`.
    pub output: String,
    /// The consuming chain.
    pub to: u32,
    /// `forward`, `hash`, `rebalance`, `broadcast` or `single`.
    pub exchange: String,
    /// Columns that a hash is of.
    pub by: Vec<String>,
}

/// How bad a finding is.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Worth knowing.
    #[default]
    Note,
    /// It slows the job down, or will.
    Warning,
    /// The job does not do what it is for.
    Critical,
}

impl Severity {
    /// Its name wherever it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// Something that is wrong: where, why, what shows it, what helps.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Finding {
    /// A stable word for what it is: `bottleneck`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// The operator, split or part that it is about.
    pub place: String,
    /// The chain, where it is about one.
    pub vertex: Option<u32>,
    /// What is the matter, as the end of a sentence that begins with the place.
    pub cause: String,
    /// What was measured.
    pub evidence: String,
    /// What helps.
    pub fix: String,
    /// A command that does it, where there is one.
    pub command: Option<String>,
}

/// Rings of what a job was like.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct History {
    /// Between two points.
    pub step_s: u32,
    /// When the newest point was taken.
    pub at_ms: u64,
    /// Sums over the job, oldest first.
    pub job: Vec<JobPoint>,
    /// By uid of a chain's first operator, oldest first.
    pub vertices: BTreeMap<String, Vec<VertexPoint>>,
}

/// A job at one moment, for charts. Absent is what was not known.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JobPoint {
    /// When.
    pub at_ms: u64,
    /// Rows read a second.
    pub in_rate: f32,
    /// Rows written a second.
    pub out_rate: f32,
    /// Seconds that the watermark is behind.
    pub freshness_s: Option<f32>,
    /// Smallest and largest watermark of the splits.
    pub watermarks: Option<(i64, i64)>,
    /// What sources know of and have not read.
    pub backlog: f32,
    /// Bytes of state in memory.
    pub state_bytes: f32,
    /// The newest checkpoint's number and how long it took.
    pub epoch: u64,
    /// In milliseconds.
    pub checkpoint_ms: f32,
}

/// A chain at one moment, for charts: the largest of its subtasks where that says more than a sum.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VertexPoint {
    /// Rows in a second.
    pub in_rate: f32,
    /// Rows out a second.
    pub out_rate: f32,
    /// The busiest subtask.
    pub busy: f32,
    /// The subtask that is held back most.
    pub held: f32,
    /// Bytes of state in memory.
    pub state_bytes: f32,
}

/// What became of an attempt at a checkpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AttemptResult {
    /// It counts.
    #[default]
    Published,
    /// It did not come to it.
    Failed,
}

/// An attempt at a checkpoint that is over.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointRecord {
    /// Its number within the coordinator.
    pub attempt: u64,
    /// Its number in the chain; 0 when it failed.
    pub epoch: u64,
    /// What became of it.
    pub result: AttemptResult,
    /// What it was for: `interval`, `savepoint …`, `rescale or end`.
    pub purpose: String,
    /// When it was over.
    pub at_ms: u64,
    /// From the trigger to its end.
    pub took_ms: u64,
    /// From the trigger to the last acknowledgement.
    pub acknowledged_ms: u64,
    /// State that it names.
    pub bytes: u64,
    /// Bytes that it wrote.
    pub written_bytes: u64,
    /// Why it failed.
    pub problem: String,
    /// What each task took, in order of vertices and subtasks.
    pub tasks: Vec<CheckpointTask>,
}

/// A task's part of an attempt: microseconds of each phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct CheckpointTask {
    /// Its chain.
    pub vertex: u32,
    /// Its number.
    pub subtask: u32,
    /// From the attempt's trigger until the first barrier had come.
    pub trigger_us: u64,
    /// From the first barrier to the last.
    pub align_us: u64,
    /// The pause of the task.
    pub freeze_us: u64,
    /// Encoding and storing, beside the work.
    pub upload_us: u64,
    /// Bytes that it wrote.
    pub bytes: u64,
}

/// Something that was done with the job, or that it did by itself.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationView {
    /// When it ended.
    pub at_ms: u64,
    /// The coordinator's term in which it ended.
    pub term: u64,
    /// `Rescale`, `Savepoint`, `Recovery`, …
    pub kind: String,
    /// `done`, `unchanged` or `refused`.
    pub outcome: String,
    /// What was done, or why not.
    pub message: String,
    /// From the request to the end.
    pub total_ms: u64,
    /// For so long nothing came out.
    pub pause_ms: u64,
    /// What it took, in order.
    pub steps: Vec<Step>,
}

/// A step of an operation.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub ms: u64,
}

/// Something that went wrong; the same again soon after counts as one.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FailureView {
    /// When it happened last.
    pub at_ms: u64,
    /// When it happened first.
    pub first_at_ms: u64,
    /// How often.
    pub times: u64,
    /// The coordinator's term.
    pub term: u64,
    /// `tasks`, `checkpoint`, `source` or `job`.
    pub kind: String,
    /// Place, cause and fix.
    pub message: String,
}

/// How long something took, as people read it: `38 ms`, `2.91 s`, `4 min 10 s`.
#[must_use]
pub fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 if ms % 1_000 < 10 => format!("{} s", ms / 1_000),
        1_000..60_000 => format!("{}.{:02} s", ms / 1000, ms % 1000 / 10),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
    }
}

impl Snapshot {
    /// The operator with this uid, and its chain.
    #[must_use]
    pub fn operator(&self, uid: &str) -> Option<(&VertexView, &OperatorView)> {
        let all = self.vertices.iter().flat_map(|v| v.operators.iter().map(move |o| (v, o)));
        all.into_iter().find(|(_, operator)| operator.uid == uid)
    }
}

impl VertexView {
    /// Whether it reads a source.
    #[must_use]
    pub fn is_source(&self) -> bool {
        self.operators.first().is_some_and(|o| o.kind == "source")
    }

    /// Whether it ends in a sink.
    #[must_use]
    pub fn is_sink(&self) -> bool {
        self.operators.last().is_some_and(|o| o.kind == "sink")
    }

    /// The largest share of its subtasks.
    #[must_use]
    pub fn most(&self, share: impl Fn(&TimeShares) -> f64) -> f64 {
        self.subtasks.iter().map(|s| share(&s.time)).fold(0.0, f64::max)
    }

    /// Rows that come in a second, over its subtasks.
    #[must_use]
    pub fn in_rate(&self) -> f64 {
        self.subtasks.iter().map(|s| s.in_rate).sum()
    }

    /// Rows that go out a second, over its subtasks.
    #[must_use]
    pub fn out_rate(&self) -> f64 {
        self.subtasks.iter().map(|s| s.out_rate).sum()
    }

    /// Memory that its state takes.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.subtasks.iter().map(|s| s.state_bytes).sum()
    }

    /// The smallest watermark of its subtasks.
    #[must_use]
    pub fn watermark(&self) -> Option<i64> {
        self.subtasks.iter().filter_map(|s| s.watermark).min()
    }
}

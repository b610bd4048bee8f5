//! `StreamJob`: one streaming job, its program, its parallelism and the place of its state.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ManifestError, duration, limits};

/// A streaming job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamJob {
    /// Name, namespace, labels.
    pub metadata: Metadata,
    /// What the user wants.
    pub spec: StreamJobSpec,
    /// Where in the manifest the SQL text stands, so that its errors name a line of the file.
    #[serde(skip)]
    pub sql_position: SqlPosition,
}

/// What identifies a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Unique in its namespace; at most 40 characters, `a-z`, `0-9` and `-`, a letter first.
    pub name: String,
    /// Part of the path of the state: `<root>/<namespace>/<name>`.
    pub namespace: String,
    /// Free for the user; carried along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Free for the user; carried along.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// What the user wants of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamJobSpec {
    /// The program: statements of Flink SQL, separated by semicolons.
    pub sql: String,
    /// Subtasks of every operator that can be divided; at least 1, at most `max_parallelism`.
    pub parallelism: u32,
    /// Number of key groups, and so the largest parallelism this job's state can ever have.
    pub max_parallelism: u32,
    /// Where state is kept, and how often it is saved.
    pub state: State,
    /// What happens after a failure.
    pub restart: Restart,
    /// The processes that do the work.
    pub workers: Workers,
}

/// Where state is kept, and how often it is saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// `s3://bucket/prefix`, or a local directory as a path or `file://` URL. Absent: whoever
    /// runs the job decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
    /// Automatic checkpoints.
    pub checkpoint: Checkpoint,
    /// Names of operators (as `weir plan` shows them) whose state may be dropped because the
    /// program no longer has them. Anything not named here is never dropped.
    #[serde(default)]
    pub allow_dropped_state: Vec<String>,
}

/// Automatic checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkpoint {
    /// From the start of one attempt to the start of the next.
    #[serde(with = "duration::text")]
    pub interval: Duration,
    /// An attempt that takes longer is given up; its work is handed on to the next.
    #[serde(with = "duration::text")]
    pub timeout: Duration,
    /// Published checkpoints that are kept.
    pub retained: u32,
}

/// What happens after a failure: the job restarts from its newest checkpoint, after a pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restart {
    /// The pause before a restart.
    pub backoff: Backoff,
    /// Running this long without a failure sets the pause back to its initial length.
    #[serde(with = "duration::text")]
    pub reset_after: Duration,
}

/// A pause that doubles with each failure in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The pause after the first failure.
    #[serde(with = "duration::text")]
    pub initial: Duration,
    /// The longest pause.
    #[serde(with = "duration::text")]
    pub max: Duration,
}

/// The processes that do the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workers {
    /// Subtasks of one operator in one process; see [`StreamJob::worker_count`].
    pub slots: u32,
}

/// Where the SQL text begins in its file.
///
/// A manifest's SQL is usually a block (`sql: |`), whose lines are the file's lines, shifted
/// right. For text in quotes or folded (`>`) only the line of its beginning is known exactly.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SqlPosition {
    /// The file as the caller named it.
    pub file: String,
    /// Line of the file on which the SQL's first line stands, from 1.
    pub line: usize,
    /// Characters of the file's line before the SQL's; `None` where lines do not correspond.
    pub indent: Option<usize>,
}

impl SqlPosition {
    /// Line and column of the file for a line and column of the SQL text, all from 1. Without
    /// correspondence between the lines: the line where the SQL begins, and no column.
    #[must_use]
    pub fn locate(&self, sql_line: usize, sql_column: usize) -> (usize, Option<usize>) {
        match self.indent {
            Some(indent) => (self.line + sql_line.saturating_sub(1), Some(sql_column + indent)),
            None => (self.line, None),
        }
    }
}

impl StreamJob {
    /// Reads the one job that a manifest describes. `file` is only used to name it in errors.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file's lines; never empty.
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, Vec<ManifestError>> {
        crate::manifest::read(text, file)
    }

    /// Processes that the job needs at its parallelism: one per `workers.slots` subtasks.
    #[must_use]
    pub fn worker_count(&self) -> u32 {
        self.spec.parallelism.div_ceil(self.spec.workers.slots.max(1))
    }

    /// Paths of the fields in which `self`, the edited manifest, differs from the `running`
    /// one. Labels and annotations do not count: no running job depends on them.
    #[must_use]
    pub fn changed_fields(&self, running: &Self) -> Vec<&'static str> {
        // Destructured without `..`, so that a new field cannot be forgotten here.
        let StreamJobSpec { sql, parallelism, max_parallelism, state, restart, workers } =
            &self.spec;
        let State { root, checkpoint, allow_dropped_state } = state;
        let Checkpoint { interval, timeout, retained } = checkpoint;
        let was = &running.spec;
        [
            ("metadata.name", self.metadata.name != running.metadata.name),
            ("metadata.namespace", self.metadata.namespace != running.metadata.namespace),
            ("spec.sql", *sql != was.sql),
            ("spec.parallelism", *parallelism != was.parallelism),
            ("spec.maxParallelism", *max_parallelism != was.max_parallelism),
            ("spec.state.root", *root != was.state.root),
            ("spec.state.checkpoint.interval", *interval != was.state.checkpoint.interval),
            ("spec.state.checkpoint.timeout", *timeout != was.state.checkpoint.timeout),
            ("spec.state.checkpoint.retained", *retained != was.state.checkpoint.retained),
            ("spec.state.allowDroppedState", *allow_dropped_state != was.state.allow_dropped_state),
            ("spec.restart", *restart != was.restart),
            ("spec.workers.slots", *workers != was.workers),
        ]
        .into_iter()
        .filter_map(|(path, changed)| changed.then_some(path))
        .collect()
    }
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5 * 60),
            retained: 3,
        }
    }
}

impl Default for Restart {
    fn default() -> Self {
        Self { backoff: Backoff::default(), reset_after: Duration::from_secs(10 * 60) }
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self { initial: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

impl Default for Workers {
    fn default() -> Self {
        Self { slots: 1 }
    }
}

impl Default for StreamJobSpec {
    fn default() -> Self {
        Self {
            sql: String::new(),
            parallelism: 1,
            max_parallelism: limits::DEFAULT_MAX_PARALLELISM,
            state: State::default(),
            restart: Restart::default(),
            workers: Workers::default(),
        }
    }
}

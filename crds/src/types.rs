//! A manifest as a whole: metadata, spec, and where its SQL stands in the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ManifestError;
use crate::spec::{Checkpoint, State, StreamJobSpec};

/// Where pods find the manifest that the operator wrote for them. Nobody has a file with its lines,
/// so that what is said of it names fields, and places in the SQL text itself.
pub const MOUNTED_MANIFEST: &str = "/etc/weir/job.yaml";

/// A streaming job, as a manifest describes it.
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
        crate::reader::read(text, file)
    }

    /// Paths of the fields in which `self`, the edited manifest, differs from the `running`
    /// one, as far as an engine without Kubernetes acts upon them. Labels and annotations do not
    /// count: no running job depends on them.
    #[must_use]
    pub fn changed_fields(&self, running: &Self) -> Vec<&'static str> {
        // Destructured without `..`, so that a new field cannot be forgotten here.
        let StreamJobSpec {
            sql,
            sql_from: _,
            image: _,
            parallelism,
            max_parallelism,
            desired_state: _,
            restart_token: _,
            state,
            upgrade: _,
            restart,
            node_lost_timeout: _,
            deletion: _,
            workers: _,
            network_policy: _,
        } = &self.spec;
        let State { root, checkpoint, adopt, allow_dropped_state } = state;
        let Checkpoint { interval, timeout, retained, unhealthy_after: _ } = checkpoint;
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
            ("spec.state.adopt", *adopt != was.state.adopt),
            ("spec.state.allowDroppedState", *allow_dropped_state != was.state.allow_dropped_state),
            ("spec.restart", *restart != was.restart),
        ]
        .into_iter()
        .filter_map(|(path, changed)| changed.then_some(path))
        .collect()
    }
}

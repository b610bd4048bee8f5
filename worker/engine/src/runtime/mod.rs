//! Runs the tasks of one worker: builds them from a deployment, steps them, stops them.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_protocol::{OperatorUid, Subtask, Term, VertexId, WorkerId};

use crate::graph::JobGraph;
use crate::operator::Restored;

/// Everything that a worker needs to run its share of a term.
pub struct Deployment {
    /// The program.
    pub graph: Arc<JobGraph>,
    /// The coordinator's reign; exchange connections of another term are refused.
    pub term: Term,
    /// Which worker this is.
    pub worker: WorkerId,
    /// The job's parallelism in this term.
    pub parallelism: u32,
    /// Every subtask of the job and where it runs.
    pub placements: Vec<Placement>,
    /// Exchange addresses of the other workers.
    pub peers: BTreeMap<WorkerId, String>,
    /// State of the operators of this worker's tasks.
    pub restored: BTreeMap<(OperatorUid, Subtask), Restored>,
}

/// Where a subtask runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Placement {
    /// Its vertex.
    pub vertex: VertexId,
    /// Its subtask.
    pub subtask: Subtask,
    /// Its worker.
    pub worker: WorkerId,
}

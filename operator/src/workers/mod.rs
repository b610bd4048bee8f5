//! What the operator asks worker processes, behind a trait so that tests can play them.
//!
//! No call waits for an operation's end: what came of it stands in a later report. A worker that
//! does not answer at once counts as silent for this round and is asked again in the next.

mod grpc;

use async_trait::async_trait;
pub use grpc::GrpcWorkers;
pub use weir_protocol::control::{
    BeginReply, CoordinatorReport, DrainRequest, JobEnd, JobStatus, Operation, OperationKind,
    OperationOutcome, OperationReport, PlanReply, RescaleRequest, RunState, SavepointRequest,
    TerminateReply, WorkerReport, job_end, operation,
};

/// Why a worker gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// It cannot be reached, or not in time.
    #[error("{address} does not answer: {cause}")]
    Silent {
        /// Where it was called.
        address: String,
        /// What happened.
        cause: String,
    },
    /// It answered with an error.
    #[error("{address} refused the call: {message}")]
    Refused {
        /// Where it was called.
        address: String,
        /// Its words.
        message: String,
    },
}

/// The calls to a worker process, by its pod's address.
#[async_trait]
pub trait Workers: Send + Sync {
    /// Who it is, whom it follows, and the job as its coordinator sees it.
    async fn report(&self, ip: &str) -> Result<WorkerReport, CallError>;
    /// Begins an operation; asking again for the same id is harmless.
    async fn begin(&self, ip: &str, operation: Operation) -> Result<BeginReply, CallError>;
    /// Plans a manifest beside the running job.
    async fn plan(&self, ip: &str, manifest: &str) -> Result<PlanReply, CallError>;
    /// Tells the process of a pod that is being deleted; the UID says which pod is meant.
    async fn terminate(&self, ip: &str, pod_uid: &str) -> Result<TerminateReply, CallError>;
}

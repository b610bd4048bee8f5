//! What this process answers as a worker: Report, Begin, Plan, Follow, Leave.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};
use weir_checkpoint::Chain;
use weir_coordinator::Request as Ask;
use weir_coordinator::master::Reads;
use weir_crds::StreamJob;
use weir_protocol::Term;
use weir_protocol::control::worker_server::Worker;
use weir_protocol::control::{
    BeginReply, FollowReply, FollowRequest, Operation, PlanReply, PlanRequest, ReportRequest,
    TerminateReply, TerminateRequest, WorkerReport, operation,
};

use super::peers::Source;
use super::plan_child;
use super::shared::Shared;
use crate::plan;

/// The worker's side of the control port.
pub(crate) struct Service {
    shared: Arc<Shared>,
    chain: Chain,
    /// One plan at a time: each takes memory beside the running job.
    planning: Semaphore,
}

impl Service {
    pub(crate) fn new(shared: Arc<Shared>, chain: Chain) -> Self {
        Self { shared, chain, planning: Semaphore::new(1) }
    }

    async fn begin_here(&self, operation: Operation) -> Result<(), String> {
        use weir_coordinator::grpc::LocalCoordinator as _;
        let coordinator = self.shared.holder()?;
        let Operation { id, term, kind } = operation;
        if id.is_empty() {
            return Err(
                "the operation has no id, so that nobody could tell what became of it".into()
            );
        }
        let ask = match kind {
            Some(operation::Kind::Rescale(rescale)) => {
                Ask::Rescale { parallelism: rescale.parallelism }
            }
            Some(operation::Kind::Savepoint(savepoint)) => {
                Ask::Savepoint { name: savepoint.name, stop: savepoint.stop }
            }
            Some(operation::Kind::Drain(drain)) => Ask::Drain { name: drain.name },
            None => return Err("this worker does not know such an operation; is it older?".into()),
        };
        let status = coordinator.status();
        let known = status.operations.iter().any(|o| o.id == id);
        if known || !self.shared.remember(&id) {
            return Ok(());
        }
        let refused = if status.term != term {
            Some(format!("the job is in term {}, not {term}; look again", status.term))
        } else {
            coordinator.begin(&id, ask).await.err().map(|why| why.0)
        };
        match refused {
            Some(why) => {
                self.shared.forget(&id);
                Err(why)
            }
            None => Ok(()),
        }
    }
}

/// What becomes of the newest checkpoint's state under the new program.
///
/// # Errors
/// When the checkpoint or the manifest cannot be read: nobody may take that for a job without
/// state, all of which would be dropped without a word.
async fn fates(
    chain: &Chain,
    operators: &BTreeMap<String, Reads>,
    manifest: &str,
) -> Result<plan::Fates, Status> {
    let head = chain.read_head().await.map_err(|error| {
        Status::unavailable(format!(
            "what becomes of the job's state is not known, as its newest checkpoint cannot be read: \
             {error}; ask again"
        ))
    })?;
    let Some(head) = head else { return Ok(plan::Fates::default()) };
    let job = StreamJob::from_yaml(manifest, "job.yaml").map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Status::invalid_argument(faults.join("\n"))
    })?;
    Ok(plan::fates(&head, operators, &job.spec.state.allow_dropped_state))
}

#[tonic::async_trait]
impl Worker for Service {
    async fn report(
        &self,
        request: Request<ReportRequest>,
    ) -> Result<Response<WorkerReport>, Status> {
        if let Some(candidate) = request.into_inner().from {
            self.shared.note_candidate(candidate, Source::Itself);
        }
        Ok(Response::new(self.shared.report()))
    }

    async fn begin(&self, request: Request<Operation>) -> Result<Response<BeginReply>, Status> {
        let refused = self.begin_here(request.into_inner()).await.err().unwrap_or_default();
        Ok(Response::new(BeginReply { refused }))
    }

    async fn plan(&self, request: Request<PlanRequest>) -> Result<Response<PlanReply>, Status> {
        let _turn = self.planning.try_acquire().map_err(|_| {
            Status::resource_exhausted("another manifest is being planned; ask again in a moment")
        })?;
        let manifest = request.into_inner().manifest;
        let planned = plan_child::plan(&manifest).await;
        let planned = planned.map_err(|e| Status::internal(format!("{e:#}")))?;
        let fates = match planned.errors.is_empty() {
            true => fates(&self.chain, &planned.operators, &manifest).await?,
            false => plan::Fates::default(),
        };
        Ok(Response::new(PlanReply {
            errors: planned.errors,
            warnings: planned.warnings,
            plan_hash: planned.hash,
            dropped: fates.dropped,
            allowed: fates.allowed,
            kept: fates.kept,
            fresh: fates.fresh,
        }))
    }

    async fn follow(
        &self,
        request: Request<FollowRequest>,
    ) -> Result<Response<FollowReply>, Status> {
        let FollowRequest { term, address } = request.into_inner();
        self.shared.called(Term(term), &address);
        Ok(Response::new(FollowReply {}))
    }

    async fn terminate(
        &self,
        request: Request<TerminateRequest>,
    ) -> Result<Response<TerminateReply>, Status> {
        let refused =
            self.shared.terminate(&request.into_inner().pod_uid).err().unwrap_or_default();
        Ok(Response::new(TerminateReply { refused }))
    }
}

#[cfg(test)]
mod tests {
    use weir_checkpoint::ChainOptions;
    use weir_checkpoint::store::{StoreOptions, open};
    use weir_protocol::JobName;

    use super::*;

    #[tokio::test]
    async fn a_store_that_cannot_be_read_is_no_job_without_state() {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder.path().display().to_string(), &StoreOptions::default()).unwrap();
        let chain = Chain::attach(store, &JobName("shop/delays".into()), ChainOptions::default());
        let operators = BTreeMap::new();
        let none = fates(&chain, &operators, "").await.unwrap();
        assert_eq!(none, plan::Fates::default(), "a job that was never saved has no state");
        chain.store().put("chain/00000000000000000001", "{".into()).await.unwrap();
        let unknown = fates(&chain, &operators, "").await.unwrap_err();
        assert_eq!(unknown.code(), tonic::Code::Unavailable);
        let says = unknown.message();
        assert!(says.contains("its newest checkpoint cannot be read: "), "{says}");
        assert!(says.contains("chain/00000000000000000001"), "{says}");
    }
}

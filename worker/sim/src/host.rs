//! A worker's tasks, and what a simulation notes when they are built.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use weir_checkpoint::{Chain, Manifest};
use weir_coordinator::{HostedTasks, TaskHost};
use weir_engine::EngineError;
use weir_engine::runtime::{Deployment, Pool, Runtime};
use weir_engine::task::TaskEvent;
use weir_protocol::{OperatorCounts, OperatorUid, Term};

use crate::arrival::Arrivals;
use crate::job::rows_read;

/// Where a worker's tasks run.
pub(crate) struct Host {
    pub(crate) runtime: Runtime,
    pub(crate) arrivals: Arc<Arrivals>,
    /// Honest, and of no process.
    pub(crate) chain: Chain,
}

impl Host {
    /// Notes how many rows the cut covers that a term begins with. No task of it has run yet, so
    /// the head is still its seal, or that of a later term, which began with the same cut. That one
    /// may never lead: this term reads on until it publishes, which it cannot any more.
    fn note_cut(&self, term: Term) {
        self.arrivals.deploying(term);
        if !self.arrivals.is_new(term) {
            return;
        }
        let Some(Ok(Some(head))) = at_once(self.chain.read_head()) else { return };
        if head.term >= term {
            self.arrivals.begin(term, rows_read(&counts_in(head)));
        }
    }
}

/// What operators had counted when a manifest was written.
pub(crate) fn counts_in(manifest: Manifest) -> BTreeMap<OperatorUid, OperatorCounts> {
    manifest.operators.into_iter().map(|(uid, entry)| (uid, entry.state.counts)).collect()
}

/// The answer of something that waits for nobody.
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    (0..1_000).find_map(|_| match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(answer) => Some(answer),
        std::task::Poll::Pending => None,
    })
}

impl TaskHost for Host {
    fn deploy(
        &self,
        deployment: Deployment,
        events: UnboundedSender<TaskEvent>,
    ) -> Result<Box<dyn HostedTasks>, EngineError> {
        self.note_cut(deployment.term);
        Ok(Box::new(self.runtime.deploy(deployment, events)?))
    }

    fn state_pool(&self) -> &Arc<Pool> {
        self.runtime.state_pool()
    }
}

//! A job whose tasks all run on threads of this process.

use std::sync::Arc;

use weir_checkpoint::steps::Steps;
use weir_checkpoint::store::Store;
use weir_checkpoint::{Chain, ChainOptions, Nonces, SegmentCache};
use weir_coordinator::{Coordinator, CoordinatorConfig, CoordinatorHandle, Member, MemberConfig};
use weir_engine::graph::JobGraph;
use weir_protocol::WorkerId;

use crate::host::EngineHost;

/// Starts a graph whose state is in this store; `slots` subtasks of a vertex fit.
pub(crate) fn start(
    config: CoordinatorConfig,
    graph: &Arc<JobGraph>,
    store: &Arc<dyn Store>,
    host: &Arc<EngineHost>,
    cache: SegmentCache,
    slots: u32,
) -> CoordinatorHandle {
    let job = config.master.job.clone();
    let chain = Chain::attach(Arc::clone(store), &job, ChainOptions::default());
    let handle = Coordinator::start(config, Arc::clone(graph), Arc::clone(store));
    let config = MemberConfig {
        worker: WorkerId(0),
        incarnation: uuid::Uuid::new_v4().to_string(),
        exchange_address: String::new(),
        control_address: String::new(),
        slots,
        nonces: Nonces::random(),
        steps: Steps::none(),
    };
    let host = Arc::clone(host);
    let member = Member::new(config, Arc::clone(graph), host, Arc::clone(chain.store()));
    let member = member.with_cache(cache);
    let attachments = handle.attachments();
    tokio::spawn(async move { member.run(&attachments).await });
    handle
}

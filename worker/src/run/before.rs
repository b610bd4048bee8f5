//! What is known of a job's state before it starts.

use std::sync::Arc;

use anyhow::{Context, bail};
use weir_checkpoint::chain::ChainError;
use weir_checkpoint::store::{ErrorKind, ProbeError, Store, StoreOptions, open};
use weir_checkpoint::{Chain, ChainOptions, Manifest};
use weir_crds::StreamJob;
use weir_engine::graph::JobGraph;
use weir_page::words::event_time;
use weir_protocol::JobName;

/// Opens the place of a job's state.
///
/// # Errors
/// When it leads to no store; says how to name another.
pub(super) fn open_state(job: &StreamJob, root: &str) -> anyhow::Result<Arc<dyn Store>> {
    open(root, &StoreOptions::default()).with_context(|| unusable(job, root))
}

fn unusable(job: &StreamJob, root: &str) -> String {
    let fix = match job.spec.state.root {
        Some(_) => "correct spec.state.root",
        None => "choose another place with --state",
    };
    format!("the job's state cannot be kept in {root}; {fix}")
}

/// The newest manifest, where the store can be written to.
///
/// # Errors
/// When it never will be. A store that is away is not waited for here: the coordinator tries again.
pub(super) async fn newest(
    store: &Arc<dyn Store>,
    job: &StreamJob,
    name: &JobName,
    root: &str,
) -> anyhow::Result<Option<Manifest>> {
    match Chain::open(Arc::clone(store), name, ChainOptions::default()).await {
        Ok(opened) => Ok(opened.head),
        Err(ChainError::Store(error) | ChainError::Probe(ProbeError::Store(error)))
            if error.kind == ErrorKind::Ambiguous =>
        {
            tracing::debug!(%error, "the job's state cannot be read yet");
            Ok(None)
        }
        Err(ChainError::Manifest(error)) => bail!(error),
        Err(error) => Err(error).with_context(|| unusable(job, root)),
    }
}

/// What to say of a job that had finished: a program with the same sources has nothing to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Finished {
    pub(super) message: String,
    /// The program that had finished is this one.
    pub(super) same: bool,
}

/// Whether the job had finished and this program would read nothing.
pub(super) fn finished(head: &Manifest, graph: &JobGraph) -> Option<Finished> {
    let sources = graph.sources();
    let bounded = graph.sources().all(|(_, _, node)| node.source.is_bounded());
    if !bounded || !head.has_finished(sources.map(|(_, info, _)| &info.uid)) {
        return None;
    }
    let same = head.plan_hash == graph.hash;
    let epoch = head.epoch().unwrap_or_default();
    let when = event_time(head.created_ms);
    let what = match same {
        true => "nothing is left to read",
        false => "nothing is left to read for the changed program either",
    };
    let message =
        format!("the job had finished (version {epoch}, {when}): {what}; --fresh starts over");
    Some(Finished { message, same })
}

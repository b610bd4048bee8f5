//! What rounds share: clients, time, defaults, and what this process remembers.
//!
//! What is remembered only saves work: a fresh process asks again and comes to the same end.

use std::sync::Arc;

use kube::Client;
use weir_page::traces::Exporter;

use crate::answers::Answers;
use crate::clock::Clock;
use crate::config::Defaults;
use crate::events::Events;
use crate::metrics::Metrics;
use crate::observe::Heartbeats;
use crate::requeue::RequeueCache;
use crate::workers::Workers;

/// What rounds share.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// The worker processes.
    pub workers: Arc<dyn Workers>,
    /// Time.
    pub clock: Clock,
    /// The installation's defaults.
    pub defaults: Defaults,
    /// Where the operator runs.
    pub namespace: String,
    /// Events already written.
    pub events: Events,
    /// Nodes under suspicion.
    pub heartbeats: Heartbeats,
    /// What was answered not long ago.
    pub answers: Answers,
    /// What need not be done again.
    pub requeue: RequeueCache,
    /// Figures.
    pub metrics: Metrics,
    /// Where traces of rounds go, if anywhere.
    pub traces: Option<Exporter>,
}

impl Context {
    /// A context that remembers nothing yet.
    #[must_use]
    pub fn new(
        client: Client,
        workers: Arc<dyn Workers>,
        clock: Clock,
        defaults: Defaults,
        namespace: &str,
        instance: &str,
    ) -> Self {
        Self {
            client,
            workers,
            clock,
            defaults,
            namespace: namespace.to_owned(),
            events: Events::new(instance),
            heartbeats: Heartbeats::default(),
            answers: Answers::default(),
            requeue: RequeueCache::default(),
            metrics: Metrics::default(),
            traces: None,
        }
    }

    /// The job is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.metrics.forget(namespace, name);
        self.requeue.forget(namespace, name);
    }
}

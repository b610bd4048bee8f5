//! Bugs that are injected to see that the simulator finds them.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_checkpoint::store::{Created, StoreError};
use weir_checkpoint::{Store, TaskSnapshot};
use weir_protocol::control::{FromWorker, from_worker};

/// A bug that is injected into a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum InjectedBug {
    /// No bug.
    #[default]
    None,
    /// A create is believed without the listing after it: listings that look for names above a
    /// version find none.
    CreateBelieved,
    /// Output that was staged for an attempt that failed is not handed on to the next one.
    DeclinedDropsOutput,
    /// Keyed state that was frozen for an attempt that failed is not handed on to the next one.
    DeclinedDropsState,
    /// The same for state tables.
    DeclinedDropsTables,
}

impl InjectedBug {
    /// The store, with the bug.
    pub(crate) fn over_store(self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self {
            Self::CreateBelieved => Arc::new(Believing(store)),
            _ => store,
        }
    }

    /// What the bug does to a worker's messages.
    pub(crate) fn over_link(self) -> BuggyLink {
        BuggyLink(self)
    }
}

#[derive(Debug)]
struct Believing(Arc<dyn Store>);

#[async_trait]
impl Store for Believing {
    fn address(&self) -> String {
        self.0.address()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.0.create_if_absent(name, bytes).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.0.put(name, bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.0.get(name).await
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.0.get_range(name, range).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        match after {
            Some(_) if prefix.starts_with("simulated/job/chain") => Ok(Vec::new()),
            _ => self.0.list(prefix, after).await,
        }
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.0.delete(name).await
    }
}

/// Takes what was frozen for earlier attempts out of acks. An operator freezes at most one segment
/// an attempt here, and the sink one committable, so the last one of an ack is the attempt's own.
#[derive(Clone, Copy)]
pub(crate) struct BuggyLink(InjectedBug);

impl BuggyLink {
    pub(crate) fn drop_earlier(self, message: &mut FromWorker) {
        let Some(from_worker::Kind::Ack(ack)) = &mut message.kind else { return };
        let Ok(mut snapshot) = serde_json::from_slice::<TaskSnapshot>(&ack.snapshot_json) else {
            return;
        };
        match self.0 {
            InjectedBug::None | InjectedBug::CreateBelieved => return,
            InjectedBug::DeclinedDropsOutput => keep_last(&mut snapshot.committables),
            InjectedBug::DeclinedDropsState => {
                snapshot.operators.values_mut().for_each(|state| keep_last(&mut state.segments));
            }
            InjectedBug::DeclinedDropsTables => {
                for state in snapshot.operators.values_mut() {
                    let newest = state.tables.iter().map(|segment| segment.ages.hi).max();
                    state.tables.retain(|segment| Some(segment.ages.hi) == newest);
                }
            }
        }
        ack.snapshot_json = serde_json::to_vec(&snapshot).unwrap_or_default();
    }
}

fn keep_last<T>(all: &mut Vec<T>) {
    all.drain(..all.len().saturating_sub(1));
}

//! Bugs that are injected to see that the simulator finds them.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_checkpoint::Store;
use weir_checkpoint::store::{Created, StoreError};
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
    /// What was frozen for an attempt that failed is not handed on to the next one.
    DeclinedDropsDelta,
}

impl InjectedBug {
    /// The store, with the bug.
    pub(crate) fn over_store(self, store: Arc<dyn Store>) -> Arc<dyn Store> {
        match self {
            Self::CreateBelieved => Arc::new(Believing(store)),
            Self::None | Self::DeclinedDropsDelta => store,
        }
    }

    /// What the bug does to a worker's messages.
    pub(crate) fn over_link(self) -> BuggyLink {
        BuggyLink { drops: self == Self::DeclinedDropsDelta }
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

/// Takes what was frozen for earlier attempts out of acks. The simulated sink freezes at most
/// one committable an attempt, so the last one of an ack is the attempt's own.
#[derive(Clone, Copy)]
pub(crate) struct BuggyLink {
    drops: bool,
}

impl BuggyLink {
    pub(crate) fn drop_earlier(self, message: &mut FromWorker) {
        let Some(from_worker::Kind::Ack(ack)) = &mut message.kind else { return };
        if !self.drops {
            return;
        }
        for operator in &mut ack.operators {
            let earlier = operator.committables.len().saturating_sub(1);
            operator.committables.drain(..earlier);
        }
    }
}

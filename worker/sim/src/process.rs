//! A simulated process: alive, asleep or dead, and what that means for all it does to others.
//!
//! Nothing is aborted when a process dies: it is cut off. Its calls to the store and to the
//! external system never come back, its links close, its tasks are never stepped again. A process
//! that sleeps is a stopped one (SIGSTOP): its calls come back, and go on, when it wakes, long
//! after others have taken over.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use weir_checkpoint::store::{Created, Store, StoreError};
use weir_engine::operator::Committable;
use weir_engine::sink::{CommitAnswer, CommitContext, Committer};

use crate::signal::Signal;

/// What a process is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// Running.
    Alive,
    /// Stopped; it may go on.
    Asleep,
    /// Gone for ever.
    Dead,
}

/// A process's life, and the gate that all its effects pass.
#[derive(Clone, Debug)]
pub struct Process(Arc<Signal<Life>>);

impl Default for Process {
    fn default() -> Self {
        Self(Arc::new(Signal::new(Life::Alive)))
    }
}

impl Process {
    /// What it is doing.
    #[must_use]
    pub fn life(&self) -> Life {
        self.0.get()
    }

    /// Stops it.
    pub fn sleep(&self) {
        self.turn(Life::Alive, Life::Asleep);
    }

    /// Lets it go on.
    pub fn wake(&self) {
        self.turn(Life::Asleep, Life::Alive);
    }

    fn turn(&self, from: Life, to: Life) {
        if self.life() == from {
            self.0.set(to);
        }
    }

    /// Ends it.
    pub fn kill(&self) {
        self.0.set(Life::Dead);
    }

    /// Returns while the process runs; never when it is dead.
    pub async fn gate(&self) {
        self.0.wait_for(|life| life == Life::Alive).await;
    }

    /// Returns when the process has died.
    pub async fn death(&self) {
        self.0.wait_for(|life| life == Life::Dead).await;
    }
}

/// A store as one process reaches it.
#[derive(Clone, Debug)]
pub struct GatedStore {
    process: Process,
    inner: Arc<dyn Store>,
}

impl GatedStore {
    /// `inner`, through the process's gate.
    #[must_use]
    pub fn new(process: &Process, inner: Arc<dyn Store>) -> Self {
        Self { process: process.clone(), inner }
    }

    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        self.process.gate().await;
        let answer = call.await;
        self.process.gate().await;
        answer
    }
}

#[async_trait]
impl Store for GatedStore {
    fn address(&self) -> String {
        self.inner.address()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.pass(self.inner.create_if_absent(name, bytes)).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.pass(self.inner.put(name, bytes)).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.pass(self.inner.get(name)).await
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.pass(self.inner.get_range(name, range)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        self.pass(self.inner.list(prefix, after)).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.pass(self.inner.delete(name)).await
    }
}

/// The external system as one process reaches it.
pub struct GatedCommitter {
    process: Process,
    inner: Arc<dyn Committer>,
}

impl GatedCommitter {
    /// `inner`, through the process's gate.
    #[must_use]
    pub fn new(process: &Process, inner: Arc<dyn Committer>) -> Self {
        Self { process: process.clone(), inner }
    }
}

#[async_trait]
impl Committer for GatedCommitter {
    async fn commit(&self, cx: &CommitContext, item: &Committable) -> CommitAnswer {
        self.process.gate().await;
        let answer = self.inner.commit(cx, item).await;
        self.process.gate().await;
        answer
    }

    async fn discard(&self, cx: &CommitContext, item: &Committable) -> CommitAnswer {
        self.process.gate().await;
        let answer = self.inner.discard(cx, item).await;
        self.process.gate().await;
        answer
    }
}

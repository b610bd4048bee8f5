//! A store far away: every call takes its time, and data that comes and goes is counted.

use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use weir_checkpoint::Store;
use weir_checkpoint::store::{Created, StoreError};

/// Before the first byte of an answer.
const LATENCY: Duration = Duration::from_millis(15);
/// Bytes per millisecond of one call.
pub(crate) const RATE: u64 = 10_000;

/// A call that a store has answered.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Created(String),
    Written(u64),
    Read(u64),
}

/// A store far away, which notes manifests and data in the order in which they came and went.
#[derive(Clone, Debug)]
pub(crate) struct SlowStore {
    inner: Arc<dyn Store>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl SlowStore {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, calls: Arc::default() }
    }

    fn note(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }
}

async fn carry(bytes: usize) {
    tokio::time::sleep(LATENCY + Duration::from_millis(bytes as u64 / RATE)).await;
}

#[async_trait]
impl Store for SlowStore {
    fn address(&self) -> String {
        self.inner.address()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        carry(bytes.len()).await;
        self.note(Call::Created(name.to_owned()));
        self.inner.create_if_absent(name, bytes).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        carry(bytes.len()).await;
        if name.contains("data/") {
            self.note(Call::Written(bytes.len() as u64));
        }
        self.inner.put(name, bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let bytes = self.inner.get(name).await?;
        carry(bytes.as_ref().map_or(0, Bytes::len)).await;
        Ok(bytes)
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let bytes = self.inner.get_range(name, range).await?;
        carry(bytes.len()).await;
        self.note(Call::Read(bytes.len() as u64));
        Ok(bytes)
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, StoreError> {
        carry(0).await;
        self.inner.list(prefix, after).await
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        carry(0).await;
        self.inner.delete(name).await
    }
}

/// Bytes of data that these calls have written.
pub(crate) fn written(calls: &[Call]) -> u64 {
    calls.iter().map(|call| if let Call::Written(bytes) = call { *bytes } else { 0 }).sum()
}

/// Bytes of data that these calls have read.
pub(crate) fn read(calls: &[Call]) -> u64 {
    calls.iter().map(|call| if let Call::Read(bytes) = call { *bytes } else { 0 }).sum()
}

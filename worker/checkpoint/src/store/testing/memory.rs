//! A store in memory that keeps every promise.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use crate::store::{Created, ErrorKind, Store, StoreError};

/// Objects in memory; clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    objects: Arc<Mutex<BTreeMap<String, Bytes>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Bytes>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every name, for assertions.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.objects().keys().cloned().collect()
    }

    /// An object's bytes, for assertions.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<Bytes> {
        self.objects().get(name).cloned()
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn address(&self) -> String {
        "memory:".to_owned()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        // Two clients of one thread meet between calls, as they would over a network.
        tokio::task::yield_now().await;
        let mut objects = self.objects();
        if objects.contains_key(name) {
            return Ok(Created::AlreadyExists);
        }
        objects.insert(name.to_owned(), bytes);
        Ok(Created::Created)
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        self.objects().insert(name.to_owned(), bytes);
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        tokio::task::yield_now().await;
        Ok(self.bytes(name))
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let error = |problem: &str, kind| StoreError {
            operation: "read",
            object: format!("memory:/{name}"),
            problem: problem.to_owned(),
            kind,
        };
        let bytes = self.bytes(name).ok_or_else(|| error("not found", ErrorKind::NotFound))?;
        if range.end > bytes.len() as u64 || range.start > range.end {
            return Err(error("shorter than the range", ErrorKind::Definite));
        }
        Ok(bytes.slice(range.start as usize..range.end as usize))
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        tokio::task::yield_now().await;
        let folder = format!("{prefix}/");
        Ok(self
            .objects()
            .keys()
            .filter(|name| name.starts_with(&folder))
            .filter(|name| start_after.is_none_or(|after| name.as_str() > after))
            .cloned()
            .collect())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        self.objects().remove(name);
        Ok(())
    }
}

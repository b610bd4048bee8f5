//! The one module that does the store's I/O.
//!
//! What the protocol needs of a store: a create that fails when the name is taken, and a
//! listing that shows every create that was answered before it began. [`probe`] refuses stores
//! without. A failed write may have been applied, may still be, and may be applied after its
//! sender gave up: nothing in this crate takes an error of a write for a "no".

mod local;
mod object;
mod open;
mod probe;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;

pub(crate) use self::local::joined;
pub use self::local::{Disk, LocalStore, SystemDisk};
pub use self::object::ObjectStore;
pub use self::open::{OpenError, StoreOptions, open};
pub use self::probe::{ProbeError, probe};

/// Whether a create won the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Created {
    /// The object now holds our bytes.
    Created,
    /// The name was taken, possibly by an earlier try of the same call whose answer was lost;
    /// some stores also say this when two creates met and neither won.
    AlreadyExists,
}

/// Whether a failed call may have had its effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorKind {
    /// Nobody knows: time-outs, broken connections, server errors.
    Ambiguous,
    /// It had none, and repeating it will not help: no permission, no such bucket.
    Definite,
    /// The object is not there.
    NotFound,
}

/// A call to the store that failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("cannot {operation} {object}: {problem}")]
pub struct StoreError {
    /// What was attempted.
    pub operation: &'static str,
    /// The object, with the store's address.
    pub object: String,
    /// What the store said.
    pub problem: String,
    /// Whether it may have been applied.
    pub kind: ErrorKind,
}

/// Objects by name. Names are relative, with `/` between their parts.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// The address, as users write it; opens every error message.
    fn address(&self) -> String;

    /// Creates an object unless the name is taken. Atomic and durable once answered.
    ///
    /// # Errors
    /// After an error the object may exist now, later, or never.
    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError>;

    /// Writes an object, replacing what was there. For fresh names and for hints; never for
    /// anything that two writers may want.
    ///
    /// # Errors
    /// After an error the object may exist now, later, or never.
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError>;

    /// The object, or nothing when the name is free.
    ///
    /// # Errors
    /// When it could not be found out.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError>;

    /// Part of an object.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is none; also when it is shorter than the range.
    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError>;

    /// Parts of an object, in the order asked for: in one call where that costs less.
    ///
    /// # Errors
    /// As [`Store::get_range`], of any of them.
    async fn get_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StoreError> {
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            parts.push(self.get_range(name, range.clone()).await?);
        }
        Ok(parts)
    }

    /// The names that begin with `prefix`, whole parts only, and come after `start_after`; in
    /// any order. Shows everything whose creation was answered before the call.
    ///
    /// # Errors
    /// When not everything could be listed; never a part of it.
    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<String>, StoreError>;

    /// Deletes an object; one that is not there counts as deleted.
    ///
    /// # Errors
    /// The object may be deleted now, later, or never.
    async fn delete(&self, name: &str) -> Result<(), StoreError>;
}

/// The part of a store below a folder.
#[derive(Clone, Debug)]
pub struct Scoped {
    inner: Arc<dyn Store>,
    folder: String,
}

impl Scoped {
    /// What lies below `folder`.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, folder: &str) -> Self {
        Self { inner, folder: folder.trim_matches('/').to_owned() }
    }

    fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }
}

#[async_trait]
impl Store for Scoped {
    fn address(&self) -> String {
        format!("{}/{}", self.inner.address(), self.folder)
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        self.inner.create_if_absent(&self.full(name), bytes).await
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        self.inner.put(&self.full(name), bytes).await
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        self.inner.get(&self.full(name)).await
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        self.inner.get_range(&self.full(name), range).await
    }

    async fn get_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StoreError> {
        self.inner.get_ranges(&self.full(name), ranges).await
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let start_after = start_after.map(|s| self.full(s));
        let names = self.inner.list(&self.full(prefix), start_after.as_deref()).await?;
        let skip = self.folder.len() + 1;
        Ok(names.into_iter().filter_map(|n| n.get(skip..).map(str::to_owned)).collect())
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.inner.delete(&self.full(name)).await
    }
}

//! Finds out before a job starts whether a store keeps the promises that fencing rests on.

use bytes::Bytes;

use super::{Created, ErrorKind, Store, StoreError};
use crate::Nonces;

/// A store that cannot hold a job's state.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Two creates of one name both won.
    #[error(
        "{0}: the store ignores If-None-Match, so two owners could not be told apart; use a store with conditional writes (AWS S3, GCS, Azure, MinIO, versitygw, Ceph ≥ 20)"
    )]
    IgnoresConditions(String),
    /// What was created is not listed.
    #[error(
        "{0}: the store does not list an object right after creating it, so an owner could miss its successor; use a store with strongly consistent listings (AWS S3, GCS, Azure, MinIO, versitygw, Ceph)"
    )]
    ListsLate(String),
    /// It could not be found out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Two creates, a read and a listing under a fresh name below `probe/`.
///
/// # Errors
/// Names the promise that the store does not keep, or the call that failed.
pub async fn probe(store: &dyn Store, nonces: &Nonces) -> Result<(), ProbeError> {
    let name = format!("probe/{}", nonces.draw());
    let first = Bytes::from_static(b"first");
    let result = check(store, &name, first).await;
    // A left-over is harmless; its name is never used again.
    if let Err(error) = store.delete(&name).await {
        tracing::debug!(%error, "the probe's object stays");
    }
    result
}

async fn check(store: &dyn Store, name: &str, first: Bytes) -> Result<(), ProbeError> {
    if store.create_if_absent(name, first.clone()).await? == Created::AlreadyExists {
        // The name is fresh: an earlier try of the same call won without our hearing of it, or a
        // store that answers so where nobody won. Neither says anything about conditions.
        return Err(ProbeError::Store(StoreError {
            operation: "probe",
            object: format!("{}/{name}", store.address()),
            problem: "a fresh name was taken".to_owned(),
            kind: ErrorKind::Ambiguous,
        }));
    }
    let second = store.create_if_absent(name, Bytes::from_static(b"second")).await?;
    if second == Created::Created || store.get(name).await?.as_ref() != Some(&first) {
        return Err(ProbeError::IgnoresConditions(store.address()));
    }
    if !store.list("probe", None).await?.iter().any(|n| n == name) {
        return Err(ProbeError::ListsLate(store.address()));
    }
    Ok(())
}

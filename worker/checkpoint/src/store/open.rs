//! From an address to a store.

use std::path::PathBuf;
use std::sync::Arc;

use super::{LocalStore, ObjectStore, Scoped, Store, StoreError};

/// What the address does not say.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Settings of the store's client by their usual names (`aws_endpoint_url`, …); they win
    /// over the environment.
    pub settings: Vec<(String, String)>,
}

/// An address that leads to no store.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A scheme that no store has.
    #[error("{0}: no store has this scheme; write a path, file:///path or s3://bucket/prefix")]
    Scheme(String),
    /// A bucket is missing.
    #[error("{0}: the bucket is missing; write s3://bucket/prefix")]
    Bucket(String),
    /// A setting that the client refuses.
    #[error("{address}: {problem}; check the AWS_… variables and the options of the state root")]
    Settings {
        /// The address.
        address: String,
        /// What the client says.
        problem: String,
    },
    /// A directory that cannot be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Opens a path, `file://…` or `s3://bucket/prefix` (credentials, region and endpoint from the
/// `AWS_…` variables, plain HTTP allowed where the endpoint says so).
///
/// # Errors
/// When the address leads to no store. Whether the store answers is for [`probe`](super::probe).
pub fn open(address: &str, options: &StoreOptions) -> Result<Arc<dyn Store>, OpenError> {
    if let Some(rest) = address.strip_prefix("s3://").or_else(|| address.strip_prefix("s3a://")) {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() {
            return Err(OpenError::Bucket(address.to_owned()));
        }
        let store: Arc<dyn Store> = Arc::new(ObjectStore::s3(address, bucket, options)?);
        let prefix = prefix.trim_matches('/');
        return Ok(if prefix.is_empty() { store } else { Arc::new(Scoped::new(store, prefix)) });
    }
    let path = match address.strip_prefix("file://") {
        Some(path) => path,
        None if address.contains("://") => return Err(OpenError::Scheme(address.to_owned())),
        None => address,
    };
    Ok(Arc::new(LocalStore::open(PathBuf::from(path))?))
}

//! Stores behind `object_store`: S3 and what speaks its protocol.
//!
//! The client repeats requests by itself, so `AlreadyExists` may be one's own lost success, and
//! a failure of the last try says nothing about the tries before it: no failed write is
//! `Definite` here unless the first answer was a refusal that no repetition changes.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::path::Path;
use object_store::{
    ClientOptions, Error, ObjectStore as Client, ObjectStoreExt, PutMode, PutOptions, RetryConfig,
    WriteMultipart,
};

use super::open::OpenError;
use super::{Created, ErrorKind, Store, StoreError, StoreOptions};

/// Above this, objects are uploaded in parts: S3 takes at most 5 GiB at once, and a lost
/// connection then costs one part.
const MULTIPART_ABOVE: usize = 32 << 20;

/// One request may take this long; the protocol repeats and reads back by itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);

/// An object store client.
#[derive(Debug)]
pub struct ObjectStore {
    client: Arc<dyn Client>,
    address: String,
}

impl ObjectStore {
    /// Wraps a client that creates conditionally.
    #[must_use]
    pub fn new(client: Arc<dyn Client>, address: String) -> Self {
        Self { client, address }
    }

    /// A bucket. See [`open`](super::open).
    ///
    /// # Errors
    /// When the client refuses its settings.
    pub fn s3(address: &str, bucket: &str, options: &StoreOptions) -> Result<Self, OpenError> {
        let settings =
            |problem: String| OpenError::Settings { address: address.to_owned(), problem };
        let mut builder = AmazonS3Builder::from_env()
            .with_client_options(
                ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_allow_http(true),
            )
            .with_bucket_name(bucket)
            .with_conditional_put(S3ConditionalPut::ETagMatch)
            .with_retry(RetryConfig {
                max_retries: 3,
                retry_timeout: Duration::from_secs(20),
                ..RetryConfig::default()
            });
        for (key, value) in &options.settings {
            let key: AmazonS3ConfigKey =
                key.to_ascii_lowercase().parse().map_err(|e: Error| settings(e.to_string()))?;
            builder = builder.with_config(key, value);
        }
        let client = builder.build().map_err(|e| settings(e.to_string()))?;
        Ok(Self::new(Arc::new(client), format!("s3://{bucket}")))
    }

    /// What was read, if it is all that was asked for.
    fn whole(&self, name: &str, range: &Range<u64>, bytes: Bytes) -> Result<Bytes, StoreError> {
        let wanted = range.end.saturating_sub(range.start);
        if bytes.len() as u64 == wanted {
            return Ok(bytes);
        }
        Err(StoreError {
            operation: "read",
            object: format!("{}/{name}", self.address),
            problem: format!("got {} of {wanted} bytes", bytes.len()),
            kind: ErrorKind::Definite,
        })
    }

    fn error(&self, operation: &'static str, name: &str, error: &Error) -> StoreError {
        let kind = match error {
            Error::NotFound { .. } => ErrorKind::NotFound,
            Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::NotImplemented { .. }
            | Error::InvalidPath { .. } => ErrorKind::Definite,
            _ => ErrorKind::Ambiguous,
        };
        StoreError {
            operation,
            object: format!("{}/{name}", self.address),
            problem: error.to_string(),
            kind,
        }
    }
}

#[async_trait]
impl Store for ObjectStore {
    fn address(&self) -> String {
        self.address.clone()
    }

    async fn create_if_absent(&self, name: &str, bytes: Bytes) -> Result<Created, StoreError> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.client.put_opts(&Path::from(name), bytes.into(), options).await {
            Ok(_) => Ok(Created::Created),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                Ok(Created::AlreadyExists)
            }
            Err(error) => Err(self.error("create", name, &error)),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), StoreError> {
        let path = Path::from(name);
        let result = if bytes.len() <= MULTIPART_ABOVE {
            self.client.put(&path, bytes.into()).await.map(drop)
        } else {
            match self.client.put_multipart(&path).await {
                Ok(upload) => {
                    let mut parts = WriteMultipart::new_with_chunk_size(upload, 16 << 20);
                    parts.put(bytes);
                    parts.finish().await.map(drop)
                }
                Err(error) => Err(error),
            }
        };
        result.map_err(|e| self.error("write", name, &e))
    }

    async fn get(&self, name: &str) -> Result<Option<Bytes>, StoreError> {
        let read = async { self.client.get(&Path::from(name)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.error("read", name, &error)),
        }
    }

    async fn get_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, StoreError> {
        let bytes = self.client.get_range(&Path::from(name), range.clone()).await;
        self.whole(name, &range, bytes.map_err(|e| self.error("read", name, &e))?)
    }

    async fn get_ranges(
        &self,
        name: &str,
        ranges: &[Range<u64>],
    ) -> Result<Vec<Bytes>, StoreError> {
        let parts = self.client.get_ranges(&Path::from(name), ranges).await;
        let parts = parts.map_err(|e| self.error("read", name, &e))?;
        parts.into_iter().zip(ranges).map(|(part, range)| self.whole(name, range, part)).collect()
    }

    async fn list(
        &self,
        prefix: &str,
        start_after: Option<&str>,
    ) -> Result<Vec<String>, StoreError> {
        let path = Path::from(prefix);
        let found = match start_after {
            Some(after) => self.client.list_with_offset(Some(&path), &Path::from(after)),
            None => self.client.list(Some(&path)),
        };
        found
            .map_ok(|meta| meta.location.to_string())
            .try_collect()
            .await
            .map_err(|e| self.error("list", prefix, &e))
    }

    async fn delete(&self, name: &str) -> Result<(), StoreError> {
        match self.client.delete(&Path::from(name)).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.error("delete", name, &error)),
        }
    }
}

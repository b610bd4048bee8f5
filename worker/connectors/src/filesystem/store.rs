//! Buckets: one way to open them, so that tests can bring their own.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::multipart::MultipartStore;

/// A store with the multipart calls that a sink needs to hand an upload from one process to
/// another.
pub trait RemoteStore: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> RemoteStore for T {}

/// Opens buckets.
pub trait Stores: Send + Sync {
    /// The bucket of this name. Does no I/O.
    ///
    /// # Errors
    /// Cause and fix.
    fn open(&self, bucket: &str) -> Result<Arc<dyn RemoteStore>, String>;
}

/// S3 and what speaks its protocol; credentials and endpoint from `AWS_*` variables.
pub struct S3;

impl Stores for S3 {
    fn open(&self, bucket: &str) -> Result<Arc<dyn RemoteStore>, String> {
        // An endpoint without TLS is used when it is named; the scheme of AWS's own is https.
        let builder = AmazonS3Builder::from_env().with_allow_http(true);
        let store = builder.with_bucket_name(bucket).build();
        let store = store.map_err(|error| {
            format!(
                "bucket '{bucket}' cannot be opened: {error}; check the AWS_* environment variables"
            )
        })?;
        Ok(Arc::new(store))
    }
}

/// What helps against a store's answer.
pub(crate) fn fix(answer: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| answer.contains(word));
    if says(&["NoSuchBucket"]) {
        "the bucket does not exist; create it, or correct the table's 'path'"
    } else if says(&["InvalidAccessKeyId", "SignatureDoesNotMatch"]) {
        "the credentials are wrong; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else if says(&["AccessDenied", "403"]) {
        "the credentials do not allow this; the job needs to read, write and delete below the \
         table's 'path'"
    } else {
        "check the table's 'path', AWS_ENDPOINT_URL and the store itself"
    }
}

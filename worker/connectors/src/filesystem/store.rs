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

/// A store's answer in few words that stay the same when it answers alike: S3's code and message
/// without the request's id and signature, and never how long it took.
#[must_use]
pub fn brief(answer: &str) -> String {
    let between = |from: &str, to: &str| {
        let (_, rest) = answer.split_once(from)?;
        Some(rest.split_once(to)?.0.trim().trim_end_matches('.'))
    };
    if let Some(code) = between("<Code>", "</Code>") {
        let message = between("<Message>", "</Message>").unwrap_or_default();
        return format!("{code}: {message}").trim_end_matches([' ', ':']).to_owned();
    }
    let mut words = answer.split(' ').peekable();
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        let is_time = |next: &&str| {
            let number = next.trim_end_matches(['n', 'm', 's', 'µ', ',']);
            number.len() < next.len() && number.parse::<f64>().is_ok()
        };
        if word == "in" && words.next_if(is_time).is_some() {
            continue;
        }
        kept.push(word);
    }
    kept.join(" ")
}

/// What helps against a store's answer.
pub(crate) fn fix(answer: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| answer.contains(word));
    if says(&["NoSuchBucket"]) {
        "the bucket does not exist; create it, or correct the table's 'path'"
    } else if says(&["InvalidAccessKeyId", "SignatureDoesNotMatch"]) {
        "the credentials are wrong; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else if says(&["AccessDenied", "403 Forbidden"]) {
        "the credentials do not allow this; the job needs to read, write and delete below the \
         table's 'path'"
    } else {
        "check the table's 'path', AWS_ENDPOINT_URL and the store itself"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_answer_is_said_in_the_same_few_words() {
        let answer = "Error performing GET http://s3/b in 18.808673ms - Server returned non-2xx \
                      status code: 403 Forbidden: <?xml?><Error><Code>SignatureDoesNotMatch</Code>\
                      <Message>It does not match.</Message><RequestId>1</RequestId></Error>";
        assert_eq!(brief(answer), "SignatureDoesNotMatch: It does not match");
        assert_eq!(brief("404 <Code>NoSuchBucket</Code>"), "NoSuchBucket");
        assert_eq!(
            brief("GET http://s3/b in 1.2s, after 2 retries"),
            "GET http://s3/b after 2 retries"
        );
        assert_eq!(brief("it is in use"), "it is in use");
        let (away, denied) = ("b in 403.1ms - error sending request", "code: 403 Forbidden");
        assert_ne!(fix(away), fix(denied), "digits are no status");
    }
}

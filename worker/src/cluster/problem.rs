//! What to do about a store that does not work, in words.

use weir_checkpoint::chain::ChainError;
use weir_checkpoint::store::{ErrorKind, ProbeError, StoreError};
use weir_connectors::filesystem::brief;

/// The error, with its likely cause and what helps.
pub(crate) fn explain(error: &ChainError) -> String {
    match error {
        ChainError::Store(store) | ChainError::Probe(ProbeError::Store(store)) => {
            explain_store(store)
        }
        other => other.to_string(),
    }
}

fn explain_store(error: &StoreError) -> String {
    let problem = error.problem.as_str();
    let says = |words: &[&str]| words.iter().any(|word| problem.contains(word));
    let fix = if says(&["NoSuchBucket"]) || error.kind == ErrorKind::NotFound {
        "the bucket does not exist; create it, or correct spec.state.root"
    } else if says(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthorizationHeaderMalformed"])
    {
        "the credentials are wrong; correct the Secret that sets AWS_ACCESS_KEY_ID and \
         AWS_SECRET_ACCESS_KEY, and AWS_REGION"
    } else if says(&["AccessDenied", "403 Forbidden", "401 Unauthorized"])
        || error.kind == ErrorKind::Definite
    {
        "the credentials do not allow this; the job needs to list, read, write and delete below \
         spec.state.root"
    } else if says(&["169.254.169.254", "InstanceCredentialProvider", "metadata"]) {
        "no credentials are set; name a Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    } else {
        "the store does not answer; check AWS_ENDPOINT_URL, the network and the store itself"
    };
    let StoreError { operation, object, .. } = error;
    let problem = brief(problem);
    format!("the job's state cannot be reached: cannot {operation} {object}: {problem}; {fix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(problem: &str, kind: ErrorKind) -> ChainError {
        ChainError::Store(StoreError {
            operation: "list",
            object: "s3://b/chain".into(),
            problem: problem.into(),
            kind,
        })
    }

    #[test]
    fn each_cause_has_its_fix() {
        let bucket = explain(&error("404 <Code>NoSuchBucket</Code>", ErrorKind::Ambiguous));
        assert!(bucket.contains("the bucket does not exist"), "{bucket}");
        let key = explain(&error("403 <Code>InvalidAccessKeyId</Code>", ErrorKind::Definite));
        assert!(key.contains("the credentials are wrong"), "{key}");
        let away = "GET http://s3/401/b in 403.401ms - error sending request";
        let away = explain(&error(away, ErrorKind::Ambiguous));
        assert!(away.contains("does not answer"), "digits are no status: {away}");
    }
}

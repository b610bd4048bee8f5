//! What the cluster does not take for good, in words that name the cause and the fix. Pure.

use crate::validate::Refusal;

/// The reason of pods that are called invalid: most of a pod is the user's.
pub(super) const INVALID_TEMPLATE: &str = "InvalidTemplate";

/// Why the API server refuses an object, and what a person can do about it; none where the answer
/// is one that passes.
pub(crate) fn refusal_of(what: &str, name: &str, error: &kube::Error) -> Option<Refusal> {
    let kube::Error::Api(status) = error else { return None };
    by_words(what, name, status.code, &status.message)
}

/// The API server's own refusals by their code and words. Most of a pod is the user's: resources,
/// volumes, tolerations, the template as a whole.
fn by_words(what: &str, name: &str, code: u16, words: &str) -> Option<Refusal> {
    let says = |part: &str| words.contains(part);
    if code == 422 && matches!(what, "StatefulSet" | "Pod") && !says("webhook") {
        return Some(Refusal::new(
            INVALID_TEMPLATE,
            format!(
                "spec.workers: the cluster refuses the pods that it asks for: {words}; correct \
                 that field of workers or of workers.podTemplate"
            ),
        ));
    }
    let for_good = matches!(code, 400 | 402 | 403 | 405..=407 | 411..=428);
    // A webhook that does not answer is told like one that says no.
    if says("is being terminated") || !(for_good || code >= 500 && says("webhook")) {
        return None;
    }
    let (reason, fix) = if says("exceeded quota") {
        ("QuotaExceeded", "raise the namespace's ResourceQuota, or delete what uses it up")
    } else if says("webhook") {
        (
            "AdmissionDenied",
            "correct what it names in spec.workers, or ask those who run that webhook",
        )
    } else if says("cannot create resource") || says("cannot patch resource") {
        ("OperatorForbidden", "give the operator the rights that its chart lists")
    } else {
        ("Refused", "the cluster's answer above names what forbids it")
    };
    Some(Refusal::new(
        reason,
        format!("{what} {name} cannot be written: {words}; {fix}; it is tried again"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_cluster_refuses_for_good_is_told_apart_from_what_passes() {
        let quota = "statefulsets.apps \"x\" is forbidden: exceeded quota: small";
        let says_no = "admission webhook \"a.b\" denied the request: no";
        let silent = "failed calling webhook \"a.b\": context deadline exceeded";
        let rights = "services is forbidden: User \"weir\" cannot create resource \"services\"";
        let leaving = "unable to create new content because it is being terminated";
        for (what, code, words, reason) in [
            ("StatefulSet", 403, quota, Some("QuotaExceeded")),
            ("Service", 403, says_no, Some("AdmissionDenied")),
            ("StatefulSet", 422, says_no, Some("AdmissionDenied")),
            ("StatefulSet", 500, silent, Some("AdmissionDenied")),
            ("StatefulSet", 422, "spec.template: wrong", Some("InvalidTemplate")),
            ("ConfigMap", 422, "data: too long", Some("Refused")),
            ("Service", 403, rights, Some("OperatorForbidden")),
            ("Service", 403, leaving, None),
            ("Service", 409, "the object has been modified", None),
            ("Service", 404, "not found", None),
            ("Service", 429, "too many requests", None),
            ("Service", 500, "etcdserver: request timed out", None),
        ] {
            let refusal = by_words(what, "flights-workers", code, words);
            assert_eq!(refusal.as_ref().map(|it| it.reason), reason, "{code} {words}");
            assert!(refusal.is_none_or(|it| it.message.contains(words)), "{words}");
        }
    }
}

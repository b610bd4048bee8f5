//! Who kept a manifest from being checked or taken, told from what `kubectl` says. Pure.
//!
//! "Forbidden" is what the API server says of a right that a user lacks, and as well of a manifest
//! that an admission controller refuses: of the first nothing follows for the job, by the second it
//! would be refused when it is applied.

use std::sync::LazyLock;

use regex::Regex;

/// Who stood in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Forbidden {
    /// The user's rights: what they do not cover, as the end of a sentence.
    Right(String),
    /// Something that checks what is written: who, and why.
    Denied(String, String),
    /// Something that checks what is written was not reached: who, and why.
    Unreached(String, String),
}

fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

static RIGHT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(
        r#"(?s)User "([^"]*)" cannot (\w+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?"#,
    )
});
/// Whoever checks what is written, and what is said of it.
static DENIED: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r#"(?s)(admission webhook "[^"]*") denied the request(?:: (.*)| (without explanation))"#,
        r"(?s)(ValidatingAdmissionPolicy '[^']*')(?: with binding '[^']*')? denied request: (.*)",
        // Quotas, pod security and other controllers of the API server have no name here.
        r"(?s)is forbidden: ()(.*)",
    ]
    .into_iter()
    .filter_map(compiled)
    .collect()
});
static UNREACHED: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r#"(?s)failed calling (webhook "[^"]*"): (.*)"#));

/// Who forbids what failed with these words; none if nobody does.
pub(super) fn forbidden(said: &str) -> Option<Forbidden> {
    let text = |found: &regex::Captures<'_>, group| {
        found.get(group).map_or("", |it| it.as_str()).trim().to_owned()
    };
    // What an admission controller says may name users and rights too.
    let is_admission = said.contains("denied the request") || said.contains("denied request");
    let right = RIGHT.as_ref().filter(|_| !is_admission).and_then(|it| it.captures(said));
    if let Some(right) = right {
        let (user, verb, resource) = (text(&right, 1), text(&right, 2), text(&right, 3));
        let group = Some(text(&right, 4)).filter(|it| !it.is_empty());
        let group = group.map_or_else(String::new, |group| format!(".{group}"));
        let place = Some(text(&right, 5)).filter(|it| !it.is_empty());
        let place = place.map_or_else(String::new, |it| format!(" in namespace {it}"));
        return Some(Forbidden::Right(format!(
            "user {user:?} has no right to {verb} {resource}{group}{place}"
        )));
    }
    if let Some(found) = UNREACHED.as_ref().and_then(|it| it.captures(said)) {
        return Some(Forbidden::Unreached(text(&found, 1), text(&found, 2)));
    }
    let denied = DENIED.iter().find_map(|it| it.captures(said))?;
    let by = Some(text(&denied, 1)).filter(|by| !by.is_empty());
    let by = by.unwrap_or_else(|| "an admission controller of the API server".to_owned());
    let why = text(&denied, 2) + &denied.get(3).map_or(String::new(), |it| it.as_str().to_owned());
    Some(Forbidden::Denied(by, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_right_is_told_from_a_refused_manifest() {
        let denied = |by: &str, why: &str| Some(Forbidden::Denied(by.to_owned(), why.to_owned()));
        for (said, expected) in [
            (
                "Error from server (Forbidden): error when retrieving current configuration of:\nfrom server \
                 for: \"job.yaml\": streamjobs.weir.dev \"delays\" is forbidden: User \"ann\" cannot get \
                 resource \"streamjobs\" in API group \"weir.dev\" in the namespace \"shop\"",
                Some(Forbidden::Right(
                    "user \"ann\" has no right to get streamjobs.weir.dev in namespace shop".into(),
                )),
            ),
            (
                "Error from server (Forbidden): nodes is forbidden: User \"\" cannot list resource \"nodes\" in \
                 API group \"\" at the cluster scope",
                Some(Forbidden::Right("user \"\" has no right to list nodes".into())),
            ),
            (
                "Error from server (Forbidden): error when creating \"job.yaml\": admission webhook \
                 \"policy.example.com\" denied the request: User \"ann\" cannot use resource \"x\" in API group \"y\"",
                denied(
                    "admission webhook \"policy.example.com\"",
                    "User \"ann\" cannot use resource \"x\" in API group \"y\"",
                ),
            ),
            (
                "Error from server: admission webhook \"a.b\" denied the request without explanation",
                denied("admission webhook \"a.b\"", "without explanation"),
            ),
            (
                "The streamjobs \"delays\" is invalid: : ValidatingAdmissionPolicy 'limits' with binding \
                 'shop' denied request: at most 8",
                denied("ValidatingAdmissionPolicy 'limits'", "at most 8"),
            ),
            (
                "Error from server (Forbidden): streamjobs.weir.dev \"delays\" is forbidden: exceeded quota: q",
                denied("an admission controller of the API server", "exceeded quota: q"),
            ),
            (
                "Error from server (InternalError): Internal error occurred: failed calling webhook \"a.b\": \
                 connection refused",
                Some(Forbidden::Unreached("webhook \"a.b\"".into(), "connection refused".into())),
            ),
            ("The StreamJob is invalid: spec.maxParallelism: cannot be changed", None),
        ] {
            assert_eq!(forbidden(said), expected, "{said}");
        }
    }
}

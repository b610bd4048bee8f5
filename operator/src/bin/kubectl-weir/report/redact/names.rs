//! Which names are given to secrets. Pure.

use std::sync::LazyLock;

use regex::Regex;

/// Fields of Kubernetes and Weir that have such a name and hold none.
const HARMLESS: [&str; 9] = [
    "secretRef",
    "secretKeyRef",
    "secretName",
    "imagePullSecrets",
    "restartToken",
    "automountServiceAccountToken",
    "serviceAccountToken",
    "tokenExpirationSeconds",
    "credentialsSecret",
];

/// Parts of names that secrets are given to, as options of Flink's and Kafka's connectors, variables
/// of environments, headers and flags spell them.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let words = [
        r"passw(?:or)?d|passwd|passphrase|pwd|secret|token|credential|cookie|signature|authorization",
        r"jaas|dsn$|connection[-_.]?string|basic[-_.]?auth|user[-_.]?info",
        r"(?:api|access|account|client|encryption|master|private|shared|signing|ssh|store)[-_.]?key",
        r"key[-_.]?pem|pem[-_.]?key",
        // Alone, or a word of the name: no part of `bypass`.
        r"(?:^|[-_.])pass(?:$|[-_.])",
    ];
    Regex::new(&format!("(?i){}", words.join("|"))).ok()
});

/// Whether what has this name is secret.
pub(super) fn is_secret(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    // "InvalidTokenException: the reason" is what a report is for.
    let is_failure = ["exception", "error"].iter().any(|end| lower.ends_with(end));
    let is_harmless = HARMLESS.contains(&name);
    !is_failure && !is_harmless && SECRET.as_ref().is_none_or(|words| words.is_match(name))
}

/// Whether the whole rest of a line belongs to it: headers of HTTP.
pub(super) fn is_header(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["authorization", "cookie"].iter().any(|end| lower.ends_with(end))
}

/// Whether a value only says where the secret is: `${env:TOKEN}`, `$(TOKEN)`.
pub(super) fn is_placeholder(value: &str) -> bool {
    let inside = |open: &str, close: char| {
        let inner = value.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
        inner.is_some_and(|inner| !inner.contains(['$', '{', '}', '(', ')']))
    };
    inside("${", '}') || inside("$(", ')')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_told_from_others() {
        for name in [
            "password",
            "passwd",
            "DB_PWD",
            "dbPassword",
            "ssl.key.pass",
            "fs.azure.account.key.x.blob.core.windows.net",
            "properties.basic.auth.user.info",
            "ssl.keystore.key",
            "key.pem",
            "properties.sasl.jaas.config",
            "s3.secret-key",
            "client-key-data",
            "DATABASE_DSN",
        ] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["key.fields", "bypass", "user", "secretKeyRef", "restartToken", "TokenError"] {
            assert!(!is_secret(name), "{name}");
        }
        assert!(is_placeholder("${env:TOKEN}") && is_placeholder("$(TOKEN)"));
        assert!(!is_placeholder("${env:USER}:hunter2}"));
    }
}

//! Takes secrets out of what a report holds. Pure.
//!
//! A value that is known to be secret, by the name of what it is given to, goes wherever it occurs,
//! also in logs; and what looks like one goes where it stands. Every value of a pod's environment
//! counts as secret, apart from those that Weir itself sets.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands in its place.
pub(crate) const HIDDEN: &str = "***";
/// Shorter values go where they stand only: they occur everywhere by chance.
const KNOWN: usize = 6;
/// Names that secrets are given to.
const WORDS: &str = r"(?:passw(?:or)?d|passphrase|secret|token|credential|api[-_.]?key|access[-_.]?key|private[-_.]?key|store[-_.]?key|jaas|authorization|signature|cookie)";
/// Fields of Kubernetes and Weir that have such a name and hold none.
const HARMLESS: [&str; 9] = [
    "secretRef",
    "secretKeyRef",
    "secretName",
    "secret",
    "imagePullSecrets",
    "restartToken",
    "automountServiceAccountToken",
    "serviceAccountToken",
    "credentialsSecret",
];
/// Variables that say nothing of their pod's user.
const OWN: [&str; 4] = ["TMPDIR", "AWS_REGION", "AWS_ENDPOINT_URL", "MIMALLOC_PURGE_DELAY"];

static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&format!("(?i){WORDS}")).ok());

/// What looks like a secret where it stands; the last group is the secret.
static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // An option of SQL: 'a.password' = '…'.
        format!(r"(?i)('[^'\n]*{WORDS}[^'\n]*'\s*=\s*')((?:[^']|'')*)"),
        // JSON, also in a text in JSON, and YAML; what begins in quotes ends there.
        format!(r#"(?i)([\w.-]*{WORDS}[\w.-]*\\*"\s*[:=]\s*\\*")([^"\\]+)"#),
        format!(r#"(?i)({WORDS}[\w.-]*\s*[:=]\s*\\*["'])([^"'\\]+)"#),
        r"(?i)(\b(?:bearer|basic)\s+)([\w.~+/=-]{8,})".to_owned(),
        format!(r#"(?i)({WORDS}[\w.-]*\s*[:=]\s*)([^\s"'\\,;&)}}\]]+)"#),
        // A user in an address.
        r"(\w+://)([^/\s@'\x22]+)(?:@)".to_owned(),
        // Keys of AWS, tokens of JSON, PEM.
        r"()\b((?:AKIA|ASIA)[0-9A-Z]{16})\b".to_owned(),
        r"()(eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)".to_owned(),
        r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)([^-]+)".to_owned(),
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

/// What is known to be secret.
#[derive(Clone, Debug, Default)]
pub(crate) struct Redactor {
    /// The longest first, so that none is cut by another.
    known: BTreeSet<(std::cmp::Reverse<usize>, String)>,
}

impl Redactor {
    /// Learns what an object says is secret.
    pub(crate) fn learn(&mut self, object: &Value) {
        match object {
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            Value::Object(fields) => {
                if let Some(value) = variable(object) {
                    self.note(value);
                }
                for (name, value) in fields {
                    match value {
                        Value::String(text) if is_secret(name) => self.note(text),
                        Value::String(text) => self.learn_text(text),
                        other => self.learn(other),
                    }
                }
            }
            Value::String(text) => self.learn_text(text),
            _ => {}
        }
    }

    fn learn_text(&mut self, text: &str) {
        for pattern in PATTERNS.iter() {
            for found in pattern.captures_iter(text).filter(|found| !is_harmless(&found[1])) {
                self.note(found.get(2).map_or("", |secret| secret.as_str()));
            }
        }
    }

    fn note(&mut self, secret: &str) {
        let secret = secret.trim();
        let says_nothing = secret == HIDDEN || secret.starts_with("${");
        if secret.len() < KNOWN || says_nothing || ["default", "Running"].contains(&secret) {
            return;
        }
        self.known.insert((std::cmp::Reverse(secret.len()), secret.to_owned()));
        // As it stands in a text in JSON.
        let quoted = serde_json::to_string(secret).unwrap_or_default();
        let inner = quoted.trim_matches('"');
        if inner != secret {
            self.known.insert((std::cmp::Reverse(inner.len()), inner.to_owned()));
        }
    }

    /// The text without what is secret.
    pub(crate) fn text(&self, text: &str) -> String {
        let mut out = text.to_owned();
        for (_, secret) in &self.known {
            if out.contains(secret.as_str()) {
                out = out.replace(secret.as_str(), HIDDEN);
            }
        }
        for pattern in PATTERNS.iter() {
            let hide = |found: &Captures<'_>| {
                let (before, secret) = (&found[1], &found[2]);
                if secret.starts_with("${") || secret.contains(HIDDEN) || is_harmless(before) {
                    return found[0].to_owned();
                }
                let rest = &found[0][before.len() + secret.len()..];
                format!("{before}{HIDDEN}{rest}")
            };
            out = pattern.replace_all(&out, hide).into_owned();
        }
        out
    }

    /// The object without what is secret, and without the copy of it that `kubectl apply` keeps.
    pub(crate) fn object(&self, object: &Value) -> Value {
        let mut object = object.clone();
        self.hide(&mut object);
        object
    }

    fn hide(&self, value: &mut Value) {
        if variable(value).is_some() {
            value["value"] = Value::from(HIDDEN);
        }
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.hide(item)),
            Value::Object(fields) => {
                fields.remove("kubectl.kubernetes.io/last-applied-configuration");
                fields.remove("managedFields");
                for (name, value) in fields {
                    match value {
                        Value::String(text) if is_secret(name) => HIDDEN.clone_into(text),
                        Value::String(text) => *text = self.text(text),
                        other => self.hide(other),
                    }
                }
            }
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }
}

/// Whether what has this name is secret.
fn is_secret(name: &str) -> bool {
    !HARMLESS.contains(&name) && NAME.as_ref().is_none_or(|words| words.is_match(name))
}

/// Whether what is given a value here is one of the fields that hold no secret.
fn is_harmless(given: &str) -> bool {
    HARMLESS.iter().any(|name| *name != "secret" && given.contains(name))
}

/// The value of a variable of a pod that its user has set.
fn variable(object: &Value) -> Option<&str> {
    let name = object["name"].as_str()?;
    let is_own = name.starts_with("WEIR_") || OWN.contains(&name);
    object["value"].as_str().filter(|_| !is_own)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_secret_goes_wherever_it_occurs() {
        let pod = json!({
            "spec": {"containers": [{"env": [
                {"name": "GREETING", "value": "canary-of-env"},
                {"name": "WEIR_LOG", "value": "weir=info"},
                {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "weir-s3", "key": "k"}}},
            ]}]},
            "metadata": {"annotations": {
                "weir.dev/resolved": "{\"credentialsSecret\":\"weir-s3\"}",
                "kubectl.kubernetes.io/last-applied-configuration": "{\"x\":\"canary-applied\"}",
            }},
        });
        let job = json!({"spec": {
            "sql": "CREATE TABLE t (a INT) WITH (\n 'properties.sasl.jaas.config' = 'x.Login required \
                    password=\"canary-of-jaas\";',\n 'password' = 'canary''quoted',\n 'key.format' = 'json',\n \
                    'token' = '${env:TOKEN}')",
            "restartToken": "kubectl-weir 2026",
        }});
        let mut redactor = Redactor::default();
        redactor.learn(&pod);
        redactor.learn(&job);
        for object in [&pod, &job] {
            let text = redactor.object(object).to_string();
            assert!(!text.contains("canary"), "{text}");
        }
        let kept = redactor.object(&job)["spec"].clone();
        assert_eq!(kept["restartToken"], "kubectl-weir 2026");
        let sql = kept["sql"].as_str().unwrap();
        assert!(sql.contains("'key.format' = 'json'") && sql.contains("${env:TOKEN}"), "{sql}");
        let kept = redactor.object(&pod)["spec"]["containers"][0]["env"].clone();
        assert_eq!(kept[1]["value"], "weir=info");
        assert_eq!(kept[2]["valueFrom"]["secretKeyRef"]["name"], "weir-s3");
        let line = redactor.text("connecting as canary-of-env, then with canary-of-jaas");
        assert_eq!(line, "connecting as ***, then with ***");
    }

    #[test]
    fn what_looks_like_a_secret_goes_though_nobody_named_it() {
        let redactor = Redactor::default();
        for (text, hidden) in [
            ("postgres://bob:canary@db/x failed", "postgres://***@db/x failed"),
            ("Authorization: Bearer canary-canary", "Authorization: *** ***"),
            ("got AKIAIOSFODNN7CANARY1 back", "got *** back"),
            (r#"{"fields":{"api_key":"canary"}}"#, r#"{"fields":{"api_key":"***"}}"#),
            (r#"said {\"password\":\"canary\"}"#, r#"said {\"password\":\"***\"}"#),
            ("password: canary next", "password: *** next"),
            ("jwt eyJhbGciOiJIUzI1.canary.sig end", "jwt *** end"),
            ("GET /x?token=canary&a=1", "GET /x?token=***&a=1"),
        ] {
            assert_eq!(redactor.text(text), hidden);
        }
        let pem = "-----BEGIN RSA PRIVATE KEY-----\ncanary\n-----END RSA PRIVATE KEY-----";
        assert!(!redactor.text(pem).contains("canary"));
        for plain in ["window closed at 14:00", "'key.fields' = 'origin'", "s3://bucket/weir/shop"]
        {
            assert_eq!(redactor.text(plain), plain);
        }
    }
}

//! What the server refuses, in its own words.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::store::Key;

/// A refusal: what becomes a `Status` body.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: u16,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) details: Value,
}

impl Refusal {
    pub(super) fn body(&self) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Status",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": self.details,
            "code": self.code,
        })
    }

    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: json!({}) }
    }

    fn about(self, key: &Key, causes: Value) -> Self {
        let mut details = json!({"name": key.name, "kind": key.kind.plural});
        if !key.kind.group.is_empty() {
            details["group"] = key.kind.group.into();
        }
        if !causes.is_null() {
            details["causes"] = causes;
        }
        Self { details, ..self }
    }

    pub(super) fn not_found(key: &Key) -> Self {
        let message = format!("{} \"{}\" not found", key.kind.qualified(), key.name);
        Self::new(404, "NotFound", message).about(key, Value::Null)
    }

    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message.to_owned())
    }

    pub(super) fn already_exists(key: &Key) -> Self {
        let message = format!("{} \"{}\" already exists", key.kind.qualified(), key.name);
        Self::new(409, "AlreadyExists", message).about(key, Value::Null)
    }

    pub(super) fn modified(key: &Key) -> Self {
        Self::conflict(
            key,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    pub(super) fn conflict(key: &Key, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{}\": {why}",
            key.kind.qualified(),
            key.name
        );
        Self::new(409, "Conflict", message).about(key, Value::Null)
    }

    /// Server-side apply met fields of other managers: `(manager, field)`.
    pub(super) fn apply_conflict(key: &Key, fields: &[(String, String)]) -> Self {
        let count = fields.len();
        let many = if count == 1 { "" } else { "s" };
        let listed: Vec<String> = fields
            .iter()
            .map(|(manager, field)| format!("conflict with \"{manager}\": {field}"))
            .collect();
        let message = format!("Apply failed with {count} conflict{many}: {}", listed.join(", "));
        let causes = fields
            .iter()
            .map(|(manager, field)| {
                json!({
                    "reason": "FieldManagerConflict",
                    "message": format!("conflict with \"{manager}\""),
                    "field": field,
                })
            })
            .collect();
        Self::new(409, "Conflict", message).about(key, Value::Array(causes))
    }

    pub(super) fn terminating_namespace(key: &Key) -> Self {
        let (namespace, kind) = (&key.namespace, key.kind.qualified());
        let message = format!(
            "{kind} \"{}\" is forbidden: unable to create new content in namespace {namespace} because it is being terminated",
            key.name
        );
        let causes = json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]);
        Self::new(403, "Forbidden", message).about(key, causes)
    }

    /// The object is not valid: `(field, why)`.
    pub(super) fn invalid(kind: &Kind, name: &str, faults: &[(String, String)]) -> Self {
        let told: Vec<String> =
            faults.iter().map(|(field, why)| format!("{field}: {why}")).collect();
        let told = match told.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {told}", kind.qualified_kind());
        let causes: Vec<Value> = faults
            .iter()
            .map(|(field, why)| {
                json!({"reason": "FieldValueInvalid", "message": why, "field": field})
            })
            .collect();
        let details =
            json!({"name": name, "group": kind.group, "kind": kind.kind, "causes": causes});
        Self { details, ..Self::new(422, "Invalid", message) }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message.to_owned())
    }

    pub(super) fn unsupported_patch() -> Self {
        let message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml";
        Self::new(415, "UnsupportedMediaType", message.to_owned())
    }

    /// History before `version` is forgotten.
    pub(super) fn expired(asked: u64, oldest: u64) -> Self {
        let message = format!("too old resource version: {asked} ({oldest})");
        Self::new(410, "Expired", message)
    }

    /// What a test asked for.
    pub(super) fn injected(code: u16) -> Self {
        let reason = match code {
            403 => "Forbidden",
            404 => "NotFound",
            409 => "Conflict",
            422 => "Invalid",
            429 => "TooManyRequests",
            503 => "ServiceUnavailable",
            504 => "Timeout",
            _ => "InternalError",
        };
        Self::new(code, reason, format!("the test answers with {code}"))
    }
}

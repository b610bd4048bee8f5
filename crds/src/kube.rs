//! `StreamJob` as a Kubernetes resource.
//!
//! - **In**: the resource as the API server holds it, its defaults filled in.
//! - **Out**: the manifest that a worker reads, Kubernetes' own types for those who build pods.
//! - **Always**: [`StreamJob::manifest_text`] reads back as the same [`crate::StreamJob`].
//! - **Deliberately absent**: a client. This is the shape of the API, not its use.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

pub use crate::pods::{PodFieldError, Pods};
pub use crate::rules::{Rule, rules};
use crate::scalar::Meaning;
pub use crate::schema::{SchemaError, definition, definition_yaml};
pub use crate::spec::StreamJob;
pub use crate::status::*;
use crate::{API_VERSION, Metadata, SqlPosition, StreamJobSpec, Workers};

/// Fields of `spec` that a worker acts upon, apart from parallelism; the rest is the operator's.
const WORKER_FIELDS: [&str; 4] = ["sql", "maxParallelism", "state", "restart"];

/// A manifest could not be written.
#[derive(Debug, thiserror::Error)]
#[error("writing the manifest of StreamJob {name}: {source}")]
pub struct WriteError {
    name: String,
    source: serde_yaml_ng::Error,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    api_version: &'a str,
    kind: &'a str,
    metadata: Value,
    spec: Value,
}

impl StreamJob {
    /// The job as `weir run` knows it: the whole spec, the labels and annotations of its author.
    #[must_use]
    pub fn manifest(&self) -> crate::StreamJob {
        let metadata = Metadata {
            name: self.metadata.name.clone().unwrap_or_default(),
            namespace: self.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            labels: self.metadata.labels.clone().unwrap_or_default(),
            annotations: self.metadata.annotations.clone().unwrap_or_default(),
        };
        crate::StreamJob { metadata, spec: self.spec.clone(), sql_position: SqlPosition::default() }
    }

    /// [`Self::manifest`] as text.
    ///
    /// # Errors
    /// A value that has no YAML form; none is known.
    pub fn manifest_text(&self) -> Result<String, WriteError> {
        self.manifest().to_yaml()
    }

    /// The manifest for worker pods: name, namespace, and only what a worker acts upon, so that
    /// it changes when and only when workers must be told of it. The parallelism is left out: it
    /// changes while they run, and they are told by other means.
    ///
    /// `sql` and `root` stand in for `sqlFrom` and the default of `state.root`: they must have
    /// been resolved.
    ///
    /// # Errors
    /// A value that has no YAML form; none is known.
    pub fn worker_manifest(&self, sql: &str, root: &str) -> Result<String, WriteError> {
        self.worker_manifest_with(sql, root, &[])
    }

    fn worker_manifest_with(
        &self,
        sql: &str,
        root: &str,
        more: &[&str],
    ) -> Result<String, WriteError> {
        let mut spec = self.spec.clone();
        sql.clone_into(&mut spec.sql);
        spec.sql_from = None;
        spec.state.root = Some(root.to_owned());
        let job = self.manifest();
        let metadata = Metadata {
            labels: Default::default(),
            annotations: Default::default(),
            ..job.metadata
        };
        write(&metadata, &spec, |field| WORKER_FIELDS.contains(&field) || more.contains(&field))
    }

    /// [`Self::worker_manifest`] for a worker that is asked to plan it for others: with it the
    /// names of the variables that their pods will have, and no values.
    ///
    /// # Errors
    /// A value that has no YAML form; none is known.
    pub fn plan_manifest(&self, sql: &str, root: &str, pods: &Pods) -> Result<String, WriteError> {
        let mut job = self.clone();
        job.spec.workers = named_variables(pods);
        job.worker_manifest_with(sql, root, &["workers"])
    }
}

/// Which variables workers have: those named one by one, and where others come from. A template may
/// name one again, or one of Weir's own, neither of which `env` can hold.
fn named_variables(pods: &Pods) -> Workers {
    let (names, from) = pods.variables();
    let mut seen = BTreeSet::new();
    let names = names.into_iter().filter(|name| !name.starts_with("WEIR_") && seen.insert(*name));
    Workers {
        env: names.map(|name| json!({ "name": name })).collect(),
        env_from: from.into_iter().map(|from| json!(from)).collect(),
        ..Workers::default()
    }
}

impl crate::StreamJob {
    /// The manifest as text, every default written out.
    ///
    /// # Errors
    /// A value that has no YAML form; none is known.
    pub fn to_yaml(&self) -> Result<String, WriteError> {
        write(&self.metadata, &self.spec, |_| true)
    }
}

fn write(
    metadata: &Metadata,
    spec: &StreamJobSpec,
    keep: impl Fn(&str) -> bool,
) -> Result<String, WriteError> {
    let failed = |source| WriteError { name: metadata.name.clone(), source };
    let mut spec = to_value(spec).map_err(failed)?;
    if let Value::Object(fields) = &mut spec {
        fields.retain(|name, _| keep(name));
    }
    let metadata = to_value(metadata).map_err(failed)?;
    let document = Document { api_version: API_VERSION, kind: "StreamJob", metadata, spec };
    let text = serde_yaml_ng::to_string(&document).map_err(failed)?;
    if text.contains(BREAKS_OF_YAML_1_1)
        || holds_bare_word(&document.metadata)
        || holds_bare_word(&document.spec)
    {
        return escaped(&document).map_err(failed);
    }
    Ok(text)
}

/// Whether the writer of YAML leaves a text without quotes that is none to readers of YAML 1.1,
/// us among them: `no`, `1_000`.
fn holds_bare_word(value: &Value) -> bool {
    let bare = |text: &str| {
        Meaning::of(text) != Meaning::Text
            && serde_yaml_ng::to_string(text).is_ok_and(|written| written.trim_end() == text)
    };
    match value {
        Value::String(text) => bare(text),
        Value::Array(items) => items.iter().any(holds_bare_word),
        Value::Object(fields) => {
            fields.iter().any(|(name, value)| bare(name) || holds_bare_word(value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The writer of YAML takes these for ends of lines and indents what follows; for its readers, us
/// among them, they are characters like any other.
const BREAKS_OF_YAML_1_1: [char; 3] = ['\u{85}', '\u{2028}', '\u{2029}'];

/// The document as JSON, which is YAML too, with those characters escaped.
fn escaped(document: &Document<'_>) -> Result<String, serde_yaml_ng::Error> {
    let mut text = serde_json::to_string_pretty(document)
        .map_err(|e| <serde_yaml_ng::Error as serde::ser::Error>::custom(e.to_string()))?;
    for c in BREAKS_OF_YAML_1_1 {
        // JSON has them inside of texts only.
        text = text.replace(c, &format!("\\u{:04x}", u32::from(c)));
    }
    Ok(text)
}

fn to_value<T: Serialize>(value: &T) -> Result<Value, serde_yaml_ng::Error> {
    serde_json::to_value(value).map_err(|e| serde::ser::Error::custom(e.to_string()))
}

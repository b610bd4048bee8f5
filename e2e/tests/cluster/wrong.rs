//! Bad input as a user would give it: what the API server refuses ends in kubectl's error, with
//! the place, the cause and the fix.

mod refused;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weir_e2e::testbed::cluster::Stage;

/// A program that works.
pub(crate) const GOOD: &str =
    "CREATE TABLE t (a BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = '10');
CREATE TABLE n (a BIGINT) WITH ('connector' = 'blackhole');
INSERT INTO n SELECT a FROM t;";

/// A manifest with the least that a pod asks for, so that many fit.
fn manifest(name: &str, spec: &Value) -> Value {
    let least = json!({"requests": {"cpu": "10m", "memory": "32Mi"}});
    let mut spec = spec.clone();
    if spec["workers"].is_null() {
        spec["workers"] = json!({});
    }
    if spec["workers"].is_object() && spec["workers"]["resources"].is_null() {
        spec["workers"]["resources"] = least;
    }
    json!({"apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
        "metadata": {"name": name}, "spec": spec})
}

pub(crate) fn what_is_refused_at_once_is_told_by_kubectl(stage: &Stage, name: &str) -> Result<()> {
    let home = stage.namespace(name)?;
    let mut faults = Vec::new();
    for (job, spec, words) in refused::cases() {
        match home.kubectl.apply(&manifest(&job, &spec).to_string()) {
            Ok(_) => faults.push(format!("{job} {spec}: it is accepted")),
            Err(error) => faults.extend(lacks(&job, &format!("{error:#}"), &words)),
        }
    }
    ensure!(faults.is_empty(), "{}", faults.join("\n\n"));
    home.delete()
}

fn lacks(what: &str, text: &str, words: &[String]) -> Option<String> {
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(word.as_str())).collect();
    (!missing.is_empty()).then(|| format!("{what}: {missing:?} is not in: {text}"))
}

//! What the API server does not take: field, cause and fix stand in kubectl's error.

use serde_json::{Value, json};

use super::GOOD;

/// Name of the job, its spec, and words of the error.
pub(super) fn cases() -> Vec<(String, Value, Vec<String>)> {
    let field = |path: &str, value: Value| {
        let mut spec = json!({"sql": GOOD});
        let mut at = &mut spec;
        for part in path.split('.') {
            at = &mut at[part];
        }
        *at = value;
        spec
    };
    let from = json!({"configMapKeyRef": {"name": "program", "key": "job.sql"}});
    let longest = "a-name-of-more-than-forty-characters-is-too-long";
    let cases: Vec<(&str, Value, &[&str])> = vec![
        (longest, json!({"sql": GOOD}), &["metadata.name", "more than 40", "shorter"]),
        (
            "7-days",
            json!({"sql": GOOD}),
            &["metadata.name", "begin with a letter", "airport-delays"],
        ),
        ("unknown-field", field("paralellism", json!(2)), &["unknown field", "spec.paralellism"]),
        ("both-programs", field("sqlFrom", from), &["exactly one of sql and sqlFrom", "remove"]),
        ("no-program", json!({"parallelism": 1}), &["exactly one of sql and sqlFrom", "write"]),
        ("above-max", field("parallelism", json!(721)), &["spec.parallelism", "above", "lower"]),
        ("none", field("parallelism", json!(0)), &["at least 1", "desiredState: Suspended"]),
        ("word", field("parallelism", json!("two")), &["spec.parallelism", "string", "integer"]),
        (
            "pause",
            field("desiredState", json!("Paused")),
            &["spec.desiredState", "\"Paused\"", "\"Suspended\""],
        ),
        (
            "blue-green",
            field("upgrade.strategy", json!("BlueGreen")),
            &["spec.upgrade.strategy", "BlueGreen", "\"Recreate\""],
        ),
        (
            "seconds",
            field("state.checkpoint.interval", json!("10 seconds")),
            &["spec.state.checkpoint.interval", "not a duration", "10s"],
        ),
        (
            "too-often",
            field("state.checkpoint.interval", json!("1ms")),
            &["spec.state.checkpoint.interval", "at least 10ms"],
        ),
        (
            "backoff",
            field("restart.backoff", json!({"initial": "2m", "max": "1m"})),
            &["spec.restart.backoff.initial", "longer than max", "raise max"],
        ),
        ("node", field("nodeLostTimeout", json!("5s")), &["spec.nodeLostTimeout", "at least 15s"]),
        (
            "scheme",
            field("state.root", json!("bucket/weir")),
            &["spec.state.root", "s3://bucket/prefix"],
        ),
        ("adopt", field("state.adopt", json!("flights")), &["spec.state.adopt", "metadata.uid"]),
        ("image", field("image", json!("not an image")), &["spec.image", "registry/name:tag"]),
        (
            "two-values",
            field(
                "workers.env",
                json!([{"name": "A", "value": "b",
            "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]),
            ),
            &["spec.workers.env", "both value and valueFrom", "keep one"],
        ),
        (
            "ours",
            field("workers.env", json!([{"name": "WEIR_POD_NAME", "value": "b"}])),
            &["spec.workers.env", "WEIR_", "another name"],
        ),
        (
            "two-sources",
            field(
                "workers.envFrom",
                json!([
            {"secretRef": {"name": "a"}, "configMapRef": {"name": "b"}}]),
            ),
            &["spec.workers.envFrom", "exactly one of secretRef and configMapRef"],
        ),
        (
            "no-volume",
            field("workers.volumeMounts", json!([{"name": "data", "mountPath": "/data"}])),
            &["spec.workers.volumeMounts", "spec.workers.volumes does not have", "add it"],
        ),
        (
            "our-volume",
            field("workers.volumes", json!([{"name": "tmp", "emptyDir": {}}])),
            &["spec.workers.volumes", "operator's", "another name"],
        ),
        (
            "relative",
            field(
                "workers",
                json!({"volumes": [{"name": "data", "emptyDir": {}}],
            "volumeMounts": [{"name": "data", "mountPath": "data"}]}),
            ),
            &["spec.workers.volumeMounts", "not absolute", "begin it with '/'"],
        ),
    ];
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    cases.into_iter().map(|(name, spec, said)| (name.to_owned(), spec, words(said))).collect()
}

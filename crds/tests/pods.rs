//! What stands in `spec.workers`, in Kubernetes' own types.
#![allow(clippy::panic, reason = "a test's way to fail")]

use serde_json::{Value, json};
use weir_crds::Workers;
use weir_crds::kube::Pods;

fn read(workers: Value) -> Result<Pods, String> {
    let workers: Workers = serde_json::from_value(workers).expect("as an API server holds them");
    Pods::read(&workers).map_err(|error| error.to_string())
}

#[test]
fn every_field_is_read_into_the_type_that_a_pod_has() {
    let pods = read(json!({
        "resources": {"requests": {"cpu": 0.5, "memory": "2Gi"}, "limits": {"memory": 1024}},
        "serviceAccountName": "reader",
        "env": [
            {"name": "LEVEL", "value": "debug"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        ],
        "envFrom": [{"secretRef": {"name": "weir-s3", "optional": true}}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/data", "readOnly": true}],
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 10}],
        "podTemplate": {"metadata": {"labels": {"team": "air"}}, "spec": {
            "priorityClassName": "high", "containers": [{"name": "side", "image": "logs:1"}]}},
        "disruptionBudget": {"maxUnavailable": 2},
    }))
    .unwrap_or_else(|error| panic!("{error}"));
    let resources = pods.resources.expect("resources");
    // Numbers stand for quantities, too.
    assert_eq!(resources.requests.expect("requests")["cpu"].0, "0.5");
    assert_eq!(resources.limits.expect("limits")["memory"].0, "1024");
    assert_eq!(pods.service_account_name.as_deref(), Some("reader"));
    assert_eq!(pods.env[0].value.as_deref(), Some("debug"));
    let secret = pods.env[1].value_from.as_ref().and_then(|from| from.secret_key_ref.as_ref());
    assert_eq!(secret.map(|secret| secret.key.as_str()), Some("k"));
    let secret = pods.env_from[0].secret_ref.as_ref();
    assert_eq!(secret.and_then(|secret| secret.optional), Some(true));
    assert!(pods.volumes[0].empty_dir.is_some());
    assert_eq!(pods.volume_mounts[0].read_only, Some(true));
    assert_eq!(pods.node_selector["disk"], "ssd");
    assert_eq!(pods.tolerations[0].toleration_seconds, Some(10));
    let spec = pods.template.spec.expect("a template");
    assert_eq!(spec.priority_class_name.as_deref(), Some("high"));
    assert_eq!(spec.containers[0].image.as_deref(), Some("logs:1"));
}

#[test]
fn what_no_pod_can_have_is_named_with_its_place_cause_and_fix() {
    for (workers, words) in [
        (
            json!({"env": [{"name": "A"}, {"name": "B", "value": 1}]}),
            "spec.workers.env[1]: invalid type: integer `1`, expected a string; write it as in a pod",
        ),
        (
            json!({"volumes": [{"name": "a", "emptyDir": "x"}]}),
            "spec.workers.volumes[0]: invalid type: string \"x\", expected EmptyDirVolumeSource; \
             write it as in a pod",
        ),
        (
            json!({"podTemplate": {"spec": {"containers": {"name": "side"}}}}),
            "spec.workers.podTemplate: invalid type: map, expected a sequence; write it as in a pod",
        ),
    ] {
        assert_eq!(read(workers).expect_err("no pod can have it"), words);
    }
}

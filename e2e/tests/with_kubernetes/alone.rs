//! The cluster alone, before any operator: what scenarios take for granted.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weir_e2e::process::wait_for;
use weir_e2e::testbed::cluster::{Node, Stage, WORKER_IMAGE, is_true};
use weir_e2e::testbed::s3::S3;

use crate::flights::Input;

/// A pod under the `restricted` standard, on a chosen node.
fn pod(name: &str, node: Node, arguments: &[&str], endpoint: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeName": node.name(), "restartPolicy": "Never", "automountServiceAccountToken": false,
            "securityContext": {"runAsNonRoot": true, "runAsUser": 65532, "fsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{
                "name": "weir", "image": WORKER_IMAGE, "imagePullPolicy": "Never", "args": arguments,
                "envFrom": [{"secretRef": {"name": "weir-s3"}}],
                "env": [{"name": "AWS_ENDPOINT_URL", "value": endpoint},
                    {"name": "AWS_REGION", "value": "us-east-1"},
                    {"name": "AWS_ALLOW_HTTP", "value": "true"}],
                "securityContext": {"allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]}},
                "volumeMounts": [{"name": "job", "mountPath": "/etc/weir"},
                    {"name": "tmp", "mountPath": "/tmp"},
                    {"name": "local", "mountPath": "/var/lib/weir"}]}],
            "volumes": [{"name": "job", "configMap": {"name": "job"}},
                {"name": "tmp", "emptyDir": {}}, {"name": "local", "emptyDir": {}}]}})
}

pub(crate) fn pods_of_both_nodes_find_each_other_and_the_store(
    stage: &Stage,
    name: &str,
) -> Result<()> {
    let home = stage.namespace(name)?;
    let input = Input::new(20_000)?;
    input.upload(stage, name)?;
    for (number, node) in [Node(0), Node(1)].into_iter().enumerate() {
        let (job, sink) = (format!("hourly-{number}"), format!("hourly_{number}"));
        let manifest = json!({"apiVersion": "weir.dev/v1alpha1", "kind": "StreamJob",
            "metadata": {"name": job}, "spec": {
                "sql": input.files_to_hours(name, &home.sink(&sink)),
                "state": {"root": format!("s3://{}/weir/{name}-{number}", S3::BUCKET)}}});
        home.kubectl.apply(
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "job"},
                "data": {"job.yaml": manifest.to_string()}})
            .to_string(),
        )?;
        let run = pod(&job, node, &["run", "/etc/weir/job.yaml"], &stage.s3.endpoint());
        home.kubectl.apply(&run.to_string())?;
        home.kubectl.wait_until("pod", &job, "to end", Duration::from_secs(60), |pod| {
            ["Succeeded", "Failed"].iter().any(|end| pod["status"]["phase"] == *end)
        })?;
        let found = home.rows(&sink, &Input::columns())?;
        input.expected().check(&format!("on {}", node.name()), &found)?;
    }
    home.delete()
}

pub(crate) fn a_node_cut_off_comes_back(stage: &Stage, _: &str) -> Result<()> {
    ensure!(stage.cluster.is_own(), "only a cluster of its own is cut");
    let kubectl = stage.cluster.kubectl();
    stage.cluster.partition(Node(1), true)?;
    let cut = kubectl.wait_until("node", "node-1", "lost", Duration::from_secs(90), |node| {
        !is_true(node, "Ready")
    });
    stage.cluster.partition(Node(1), false)?;
    cut?;
    kubectl.wait_until("node", "node-1", "ready", Duration::from_secs(60), |node| {
        is_true(node, "Ready") && node["spec"]["taints"].is_null()
    })?;
    wait_for("DNS", Duration::from_secs(30), || {
        let dns = kubectl.in_namespace("kube-system").find("deploy", "coredns")?;
        Ok(dns.is_some_and(|dns| dns["status"]["readyReplicas"] == 1))
    })
}

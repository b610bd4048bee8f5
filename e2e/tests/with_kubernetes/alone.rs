//! The cluster alone, before any operator: what scenarios take for granted.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use weir_e2e::cache;
use weir_e2e::testbed::cluster::{API_SERVER, DEFINITION, Node, Stage, WORKER_IMAGE};
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

/// The scenarios run beside a cluster that somebody else made, and leave nothing in it.
pub(crate) fn another_cluster_is_taken_by_its_kubeconfig(stage: &Stage, _: &str) -> Result<()> {
    let kubectl = stage.cluster.kubectl();
    // As on a cluster that nobody has used.
    kubectl.run(&["delete", "crd", DEFINITION, "--ignore-not-found"])?;
    // Where pods of both nodes reach what it starts, as on a machine that runs kind.
    let mut scenario = Node(0).command(std::env::current_exe()?);
    let said = cache::run(
        scenario
            .arg("a_job_is_ready_soon")
            .env("KUBECONFIG", stage.cluster.kubeconfig())
            .env("WEIR_E2E_HOST", API_SERVER)
            // The images are there already.
            .env("WEIR_E2E_LOAD_IMAGE", "test -f")
            .env("WEIR_E2E_TRIES", "1"),
    )?;
    ensure!(said.contains("test result: ok. 1 passed; 0 failed; 0 ignored"), "{said}");
    let left = kubectl.run(&["get", "ns,crd,clusterroles,clusterrolebindings", "-o", "name"])?;
    ensure!(!left.contains("weir"), "left in the cluster:\n{left}");
    Ok(())
}

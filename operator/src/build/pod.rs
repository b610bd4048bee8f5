//! Worker pods, their set, and the one-shot pods: the one that plans a program in its own image,
//! and the one that deletes a job's state.

use serde_json::{Value, json};

use super::{Begin, Owner, merge::merge, set_annotations};
use crate::names::{self, CONTROL_PORT, EXCHANGE_PORT, HTTP_PORT};
use crate::validate::Accepted;

/// The user and group of the image.
const USER: u32 = 65532;
/// A worker that is told to end has little to finish: its state is in the store already.
const GRACE_SECONDS: u32 = 5;

/// The set of a revision's pods.
#[must_use]
pub fn build_set(owner: &Owner, accepted: &Accepted, replicas: u32, begin: &Begin<'_>) -> Value {
    let name = names::revisioned(&owner.name, &accepted.revision);
    let mut metadata = owner.metadata(&name, Some(&accepted.revision));
    metadata["annotations"] = set_annotations(accepted, begin);
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata,
        "spec": {
            "replicas": replicas,
            "serviceName": names::workers(&owner.name),
            "podManagementPolicy": "Parallel",
            "updateStrategy": {"type": "OnDelete"},
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": {
                names::JOB: owner.name,
                names::REVISION: accepted.revision,
                names::COMPONENT: "worker",
            }},
            "template": template(owner, accepted, replicas, begin),
        },
    })
}

fn template(owner: &Owner, accepted: &Accepted, replicas: u32, begin: &Begin<'_>) -> Value {
    let workers = &accepted.workers;
    let mut labels = names::labels(&owner.name);
    labels.insert(names::REVISION.to_owned(), accepted.revision.clone());
    labels.insert(names::COMPONENT.to_owned(), "worker".to_owned());
    let mut spec = pod_spec(accepted);
    spec["terminationGracePeriodSeconds"] = json!(GRACE_SECONDS);
    spec["restartPolicy"] = json!("Always");
    spec["containers"] = json!([worker(owner, accepted, replicas)]);
    merge(
        &mut spec["volumes"],
        json!([
            {"name": "job", "configMap": {"name": names::revisioned(&owner.name, &accepted.revision)}},
        ]),
    );
    if !workers.node_selector.is_empty() {
        spec["nodeSelector"] = json!(workers.node_selector);
    }
    if !workers.tolerations.is_empty() {
        spec["tolerations"] = json!(workers.tolerations);
    }
    // Spread softly: a small cluster must still be able to run the job.
    let spread = json!([{
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": {names::JOB: owner.name, names::COMPONENT: "worker"}},
    }]);
    let mut whole = workers.pod_template.clone().unwrap_or_else(|| json!({}));
    if whole["spec"]["topologySpreadConstraints"].is_null() {
        spec["topologySpreadConstraints"] = spread;
    }
    let annotations = json!({
        "kubectl.kubernetes.io/default-container": "worker",
        names::SUPERSEDES: begin.supersedes.join(","),
        names::MUST_EXIST: begin.must_exist.to_string(),
    });
    let metadata = json!({"labels": labels, "annotations": annotations});
    merge(&mut whole, json!({"metadata": metadata, "spec": spec}));
    whole
}

/// What worker pods and the pod that deletes state have in common.
fn pod_spec(accepted: &Accepted) -> Value {
    let workers = &accepted.workers;
    let account = workers.service_account_name.as_deref();
    let account = account.unwrap_or(&accepted.resolved.service_account);
    let mut volumes = json!(workers.volumes);
    merge(
        &mut volumes,
        json!([
            {"name": "tmp", "emptyDir": {}},
            {"name": "local", "emptyDir": {}},
        ]),
    );
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": volumes,
    });
    if !account.is_empty() {
        spec["serviceAccountName"] = json!(account);
    }
    spec
}

/// A container of the worker image: rights, environment, places to write.
fn container(accepted: &Accepted, name: &str, command: &[&str]) -> Value {
    let workers = &accepted.workers;
    let resolved = &accepted.resolved;
    let mut env = json!(workers.env);
    let mut ours = vec![
        json!({"name": "WEIR_LOCAL_DIR", "value": "/var/lib/weir"}),
        json!({"name": "TMPDIR", "value": "/tmp"}),
    ];
    // What the user sets wins: the job's store may be another than the installation's.
    for (name, value) in [
        ("AWS_ENDPOINT_URL", resolved.endpoint.as_str()),
        ("AWS_REGION", resolved.region.as_str()),
        ("WEIR_LOG", "info"),
        ("WEIR_LOG_FORMAT", "json"),
    ] {
        let theirs = workers.env.iter().any(|entry| entry["name"] == name);
        if !value.is_empty() && !theirs {
            ours.push(json!({"name": name, "value": value}));
        }
    }
    merge(&mut env, Value::Array(ours));
    let mut env_from = json!(workers.env_from);
    if workers.env_from.is_empty() && !resolved.credentials_secret.is_empty() {
        env_from = json!([{"secretRef": {"name": resolved.credentials_secret}}]);
    }
    let mut mounts = json!(workers.volume_mounts);
    merge(
        &mut mounts,
        json!([
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "local", "mountPath": "/var/lib/weir"},
        ]),
    );
    let mut container = json!({
        "name": name,
        "image": accepted.image,
        "command": command,
        "env": env,
        "envFrom": env_from,
        "volumeMounts": mounts,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "runAsNonRoot": true,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    });
    if !resolved.image_pull_policy.is_empty() {
        container["imagePullPolicy"] = json!(resolved.image_pull_policy);
    }
    container
}

fn worker(owner: &Owner, accepted: &Accepted, replicas: u32) -> Value {
    let mut container = container(accepted, "worker", &["/usr/local/bin/weir", "pod"]);
    let coordinator = names::coordinator(&owner.name);
    let coordinator = format!("{coordinator}.{}.svc:{CONTROL_PORT}", owner.namespace);
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let supersedes = format!("metadata.annotations['{}']", names::SUPERSEDES);
    let must_exist = format!("metadata.annotations['{}']", names::MUST_EXIST);
    let mut env = vec![
        json!({"name": "WEIR_MANIFEST", "value": weir_crds::MOUNTED_MANIFEST}),
        json!({"name": "WEIR_POD_NAME", "valueFrom": field("metadata.name")}),
        json!({"name": "WEIR_POD_UID", "valueFrom": field("metadata.uid")}),
        json!({"name": "WEIR_POD_IP", "valueFrom": field("status.podIP")}),
        json!({"name": "WEIR_REVISION", "value": accepted.revision}),
        json!({"name": "WEIR_SUPERSEDES", "valueFrom": field(&supersedes)}),
        json!({"name": "WEIR_MUST_EXIST", "valueFrom": field(&must_exist)}),
        json!({"name": "WEIR_JOB_UID", "value": owner.uid}),
        json!({"name": "WEIR_COORDINATOR", "value": coordinator}),
        json!({"name": "WEIR_PARALLELISM", "value": replicas.to_string()}),
        json!({"name": "WEIR_RESTORE", "value": "Latest"}),
    ];
    if let Some(adopt) = &accepted.adopt {
        env.push(json!({"name": "WEIR_ADOPT_UID", "value": adopt}));
    }
    merge(&mut container["env"], Value::Array(env));
    merge(
        &mut container["volumeMounts"],
        json!([
            {"name": "job", "mountPath": "/etc/weir", "readOnly": true},
        ]),
    );
    container["ports"] = json!([
        {"name": "control", "containerPort": CONTROL_PORT},
        {"name": "exchange", "containerPort": EXCHANGE_PORT},
        {"name": "http", "containerPort": HTTP_PORT},
    ]);
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": {"path": path, "port": "http"},
            "periodSeconds": period,
            "timeoutSeconds": 2,
            "failureThreshold": failures,
        })
    };
    // The supervisor restarts a crashed worker by itself, so liveness has only to notice a
    // process that no longer answers at all.
    container["livenessProbe"] = probe("/livez", 10, 6);
    container["readinessProbe"] = probe("/readyz", 1, 3);
    let theirs = accepted.workers.resources.clone();
    container["resources"] = theirs.unwrap_or_else(
        || json!({"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}),
    );
    container
}

/// The pod that plans a revision's program in the revision's own image, against the state of the
/// running job. The kubelet starts it again, ever more rarely, until the program fits.
#[must_use]
pub fn build_plan_pod(owner: &Owner, accepted: &Accepted) -> Value {
    let place = format!("{}/{}/{}", accepted.state_root, owner.namespace, owner.name);
    let manifest = weir_crds::MOUNTED_MANIFEST;
    let command = ["/usr/local/bin/weir", "plan", manifest, "--against", place.as_str()];
    let name = names::plan_pod(&owner.name, &accepted.revision);
    let metadata = owner.metadata(&name, Some(&accepted.revision));
    let mut pod = one_shot(accepted, metadata, "plan", &command);
    let mount = json!([{"name": "job", "mountPath": "/etc/weir", "readOnly": true}]);
    merge(&mut pod["spec"]["containers"][0]["volumeMounts"], mount);
    let config = names::revisioned(&owner.name, &accepted.revision);
    merge(&mut pod["spec"]["volumes"], json!([{"name": "job", "configMap": {"name": config}}]));
    pod
}

/// The pod that deletes the state of a job that is being deleted.
#[must_use]
pub fn build_state_pod(owner: &Owner, accepted: &Accepted) -> Value {
    let place = format!("{}/{}/{}", accepted.state_root, owner.namespace, owner.name);
    let command =
        ["/usr/local/bin/weir", "state", "delete", place.as_str(), "--uid", owner.uid.as_str()];
    let metadata = owner.metadata(&names::state_pod(&owner.name, &owner.uid), None);
    one_shot(accepted, metadata, "state", &command)
}

/// A pod that runs one command where the job's workers could run, with what they need to get their
/// image.
fn one_shot(accepted: &Accepted, mut metadata: Value, component: &str, command: &[&str]) -> Value {
    metadata["labels"][names::COMPONENT] = json!(component);
    let mut container = container(accepted, "worker", command);
    container["resources"] = json!({
        "requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"},
    });
    let workers = &accepted.workers;
    let mut spec = pod_spec(accepted);
    spec["restartPolicy"] = json!("OnFailure");
    spec["terminationGracePeriodSeconds"] = json!(GRACE_SECONDS);
    if !workers.node_selector.is_empty() {
        spec["nodeSelector"] = json!(workers.node_selector);
    }
    if !workers.tolerations.is_empty() {
        spec["tolerations"] = json!(workers.tolerations);
    }
    let template = workers.pod_template.as_ref().map(|template| &template["spec"]);
    for field in ["imagePullSecrets", "hostAliases", "dnsConfig", "dnsPolicy"] {
        if let Some(theirs) = template.map(|spec| &spec[field]).filter(|it| !it.is_null()) {
            spec[field] = theirs.clone();
        }
    }
    spec["containers"] = json!([container]);
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
}

//! What a user says about pods, and what Weir allows of it.

use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use serde_json::{Value, json};
use weir_crds::Workers;
use weir_crds::kube::Pods;

use super::Refusal;

const PLACE: &str = "spec.workers";
const TEMPLATE: &str = "spec.workers.podTemplate";

/// Reads what a user says about pods.
///
/// # Errors
/// The first thing that pods cannot have.
pub(super) fn read_pods(workers: &Workers) -> Result<Pods, Refusal> {
    check_variables(&workers.env)?;
    if let Some(template) = &workers.pod_template {
        check_template(template)?;
    }
    Pods::read(workers).map_err(|error| invalid(error.to_string()))
}

fn invalid(message: String) -> Refusal {
    Refusal::new("InvalidTemplate", message)
}

/// Environment that Weir sets itself: a user's value would cut a worker off from its job.
fn check_variables(env: &[Value]) -> Result<(), Refusal> {
    let names = env.iter().map(|entry| entry["name"].as_str().unwrap_or_default());
    match names.enumerate().find(|(_, name)| name.starts_with("WEIR_")) {
        Some((index, name)) => Err(invalid(format!(
            "{PLACE}.env[{index}]: {name} is set by Weir itself; choose a name that does not begin \
             with WEIR_"
        ))),
        None => Ok(()),
    }
}

fn check_template(template: &Value) -> Result<(), Refusal> {
    let Some(fields) = template.as_object() else {
        return Err(invalid(format!("{TEMPLATE}: expected a pod template with metadata and spec")));
    };
    if let Some(unknown) = fields.keys().find(|key| *key != "metadata" && *key != "spec") {
        return Err(invalid(format!(
            "{TEMPLATE}.{unknown}: unknown field; a pod template has metadata and spec"
        )));
    }
    for field in ["hostNetwork", "hostPID", "hostIPC"] {
        if template["spec"][field] == json!(true) {
            return Err(invalid(format!(
                "{TEMPLATE}.spec.{field}: workers run without access to their node; remove it"
            )));
        }
    }
    Ok(())
}

/// A directory can only hold state that outlives a pod when the user mounts a volume there that
/// does. Why this one does not.
pub(super) fn is_lost_with_pod(root: &str, pods: &Pods) -> Option<String> {
    let path = root.strip_prefix("file://").unwrap_or(root);
    let template = pods.template.spec.as_ref();
    let containers = template.into_iter().flat_map(|spec| &spec.containers);
    let theirs = containers.filter(|it| it.name == "worker");
    let theirs = theirs.flat_map(|it| it.volume_mounts.iter().flatten());
    let holds = |mount: &&VolumeMount| {
        let place = mount.mount_path.trim_end_matches('/');
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mounts = pods.volume_mounts.iter().chain(theirs).filter(holds);
    let Some(mount) = mounts.max_by_key(|mount| mount.mount_path.len()) else {
        return Some("is a directory of one pod".to_owned());
    };
    let theirs = template.into_iter().flat_map(|spec| spec.volumes.iter().flatten());
    let volume = pods.volumes.iter().chain(theirs).find(|it| it.name == mount.name)?;
    let kind = kind_lost_with_pod(volume)?;
    Some(format!("is on volume {}, an {kind} of one pod", volume.name))
}

/// The kind of a volume that holds nothing beyond the life of its pod.
fn kind_lost_with_pod(volume: &Volume) -> Option<&'static str> {
    [
        ("emptyDir", volume.empty_dir.is_some()),
        ("ephemeral", volume.ephemeral.is_some()),
        ("configMap", volume.config_map.is_some()),
        ("secret", volume.secret.is_some()),
        ("projected", volume.projected.is_some()),
        ("downwardAPI", volume.downward_api.is_some()),
    ]
    .into_iter()
    .find_map(|(kind, is)| is.then_some(kind))
}

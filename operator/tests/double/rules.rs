//! What the server checks and fills in for each type by itself.

use serde_json::{Value, json};

use super::kinds::Kind;
use super::refuse::Refusal;
use super::store::{Key, Store};

type Faults = Vec<(String, String)>;

/// Checks a new object and fills in what the server decides.
pub(super) fn complete_new(store: &mut Store, key: &Key, value: &mut Value) -> Result<(), Refusal> {
    let mut faults = Faults::new();
    check_name(key, &mut faults);
    check_metadata(&value["metadata"], "metadata", &mut faults);
    match key.kind.kind {
        "Service" => {
            let spec = &mut value["spec"];
            default(spec, "type", json!("ClusterIP"));
            default(spec, "sessionAffinity", json!("None"));
            if spec["clusterIP"].is_null() {
                let address = store.address(96);
                spec["clusterIP"] = address.as_str().into();
                spec["clusterIPs"] = json!([address]);
            }
        }
        "StatefulSet" | "Deployment" => {
            default(&mut value["spec"], "replicas", json!(1));
            check_set(&value["spec"], &mut faults);
        }
        "Pod" => {
            default(&mut value["spec"], "restartPolicy", json!("Always"));
            default(&mut value["spec"], "terminationGracePeriodSeconds", json!(30));
            value["status"] = json!({"phase": "Pending"});
            if value["spec"]["containers"].as_array().is_none_or(Vec::is_empty) {
                faults.push(("spec.containers".into(), "Required value".into()));
            }
        }
        "Namespace" => value["status"] = json!({"phase": "Active"}),
        "StreamJob" => check_stream_job(&key.kind, value, None)?,
        _ => {}
    }
    refuse(key, faults)
}

/// Checks the change of an object.
pub(super) fn check_change(key: &Key, before: &Value, after: &mut Value) -> Result<(), Refusal> {
    let mut faults = Faults::new();
    check_metadata(&after["metadata"], "metadata", &mut faults);
    if !before["metadata"]["deletionTimestamp"].is_null() {
        let had = finalizers(before);
        let more: Vec<_> = finalizers(after).into_iter().filter(|f| !had.contains(f)).collect();
        if !more.is_empty() {
            let why = format!(
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {more:?}"
            );
            faults.push(("metadata.finalizers".into(), why));
        }
    }
    match key.kind.kind {
        "ConfigMap" | "Secret" if before["immutable"] == true => {
            for field in ["data", "binaryData", "stringData"] {
                if before[field] != after[field] {
                    let why = "Forbidden: field is immutable when `immutable` is set";
                    faults.push((field.into(), why.into()));
                }
            }
            if after["immutable"] != true {
                let why = "Forbidden: field is immutable when `immutable` is set";
                faults.push(("immutable".into(), why.into()));
            }
        }
        "Service" => {
            for field in ["clusterIP", "clusterIPs", "type", "sessionAffinity"] {
                if after["spec"][field].is_null() && !before["spec"][field].is_null() {
                    after["spec"][field] = before["spec"][field].clone();
                }
            }
            if before["spec"]["clusterIP"] != after["spec"]["clusterIP"] {
                let why = "Invalid value: may not change once set";
                faults.push(("spec.clusterIPs[0]".into(), why.into()));
            }
        }
        "StatefulSet" => {
            default(&mut after["spec"], "replicas", json!(1));
            check_set(&after["spec"], &mut faults);
            let free = [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ];
            if without(&before["spec"], &free) != without(&after["spec"], &free) {
                let why = "Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
                faults.push(("spec".into(), why.into()));
            }
        }
        "Pod" => {
            // The scheduler's binding is the one change of a spec that others than users make.
            let mut spec = after["spec"].clone();
            if before["spec"]["nodeName"].is_null()
                && let Some(fields) = spec.as_object_mut()
            {
                fields.remove("nodeName");
            }
            if before["spec"] != spec {
                let why = "Forbidden: pod updates may not change fields other than `spec.containers[*].image`, `spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing tolerations) or `spec.terminationGracePeriodSeconds`";
                faults.push(("spec".into(), why.into()));
            }
        }
        "StreamJob" => check_stream_job(&key.kind, after, Some(before))?,
        _ => {}
    }
    refuse(key, faults)
}

/// What a generation counts the changes of: all that is neither metadata nor status.
pub(super) fn wanted(value: &Value) -> Value {
    without(value, &["metadata", "status"])
}

/// Seconds that a deleted object may stay.
pub(super) fn grace_period(key: &Key, value: &Value, options: &Value) -> i64 {
    if key.kind.kind != "Pod" || value["spec"]["nodeName"].is_null() {
        return 0;
    }
    let asked = options["gracePeriodSeconds"].as_i64();
    let own = value["spec"]["terminationGracePeriodSeconds"].as_i64();
    let ended = matches!(value["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    if ended { 0 } else { asked.or(own).unwrap_or(30) }
}

/// Whether a deleted object has nothing left to wait for.
pub(super) fn is_to_vanish(value: &Value) -> bool {
    let metadata = &value["metadata"];
    !metadata["deletionTimestamp"].is_null()
        && finalizers(value).is_empty()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        // A namespace goes when its controller has emptied it.
        && value["kind"] != "Namespace"
}

pub(super) fn finalizers(value: &Value) -> Vec<String> {
    let listed = value["metadata"]["finalizers"].as_array();
    listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn refuse(key: &Key, faults: Faults) -> Result<(), Refusal> {
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Refusal::invalid(&key.kind, &key.name, &faults)),
    }
}

fn default(object: &mut Value, field: &str, value: Value) {
    if object[field].is_null() {
        object[field] = value;
    }
}

fn without(value: &Value, fields: &[&str]) -> Value {
    let mut value = value.clone();
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| !fields.contains(&name.as_str()));
    }
    value
}

fn check_name(key: &Key, faults: &mut Faults) {
    let name = &key.name;
    let (longest, dots) = match key.kind.kind {
        "Service" | "Namespace" => (63, false),
        _ => (253, true),
    };
    let inner =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (dots && c == '.');
    let end = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let starts = match key.kind.kind {
        "Service" => name.starts_with(|c: char| c.is_ascii_lowercase()),
        _ => name.starts_with(end),
    };
    if name.len() > longest || !name.chars().all(inner) || !starts || !name.ends_with(end) {
        let why = format!(
            "Invalid value: \"{name}\": a name must consist of lower case alphanumeric characters or '-', and be no more than {longest} characters"
        );
        faults.push(("metadata.name".into(), why));
    }
}

fn check_metadata(metadata: &Value, path: &str, faults: &mut Faults) {
    for (name, value) in metadata["labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or("?");
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = |c: char| c.is_ascii_alphanumeric();
        let good = text.is_empty()
            || text.len() <= 63
                && text.chars().all(inner)
                && text.starts_with(end)
                && text.ends_with(end);
        if !good || !value.is_string() {
            let why = format!(
                "Invalid value: \"{text}\": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', must be no more than 63 characters (label {name})"
            );
            faults.push((format!("{path}.labels"), why));
        }
    }
    for (name, value) in metadata["annotations"].as_object().into_iter().flatten() {
        if !value.is_string() {
            faults.push((format!("{path}.annotations.{name}"), "must be text".into()));
        }
    }
}

fn check_set(spec: &Value, faults: &mut Faults) {
    let labels = &spec["template"]["metadata"]["labels"];
    let selected = spec["selector"]["matchLabels"].as_object();
    let fits = selected
        .is_some_and(|wanted| wanted.iter().all(|(name, value)| labels[name.as_str()] == *value));
    if !fits {
        let why = "Invalid value: `selector` does not match template `labels`";
        faults.push(("spec.template.metadata.labels".into(), why.into()));
    }
    if spec["replicas"].as_i64().is_some_and(|replicas| replicas < 0) {
        let why = "Invalid value: must be greater than or equal to 0";
        faults.push(("spec.replicas".into(), why.into()));
    }
    check_metadata(&spec["template"]["metadata"], "spec.template", faults);
}

/// Does what the schema of the resource does: fills in defaults, drops what it does not know,
/// checks ranges, and what may not change. The checks are those of the manifest's reader.
fn check_stream_job(kind: &Kind, value: &mut Value, before: Option<&Value>) -> Result<(), Refusal> {
    let name = value["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let invalid = |faults: Faults| Err(Refusal::invalid(kind, &name, &faults));
    let read: Result<weir_crds::kube::StreamJob, _> = serde_json::from_value(value.clone());
    let job = match read {
        Ok(job) => job,
        Err(error) => return invalid(vec![("spec".into(), error.to_string())]),
    };
    let mut checked = job.clone();
    if let (true, Some(_)) = (checked.spec.sql.is_empty(), checked.spec.sql_from.take()) {
        "from a ConfigMap".clone_into(&mut checked.spec.sql);
    }
    checked.metadata.labels = None;
    checked.metadata.annotations = None;
    let text = checked.manifest_text().unwrap_or_default();
    let mut faults: Faults = match weir_crds::StreamJob::from_yaml(&text, "") {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|fault| (fault.path, fault.message)).collect(),
    };
    if job.spec.sql_from.is_some() && !job.spec.sql.is_empty() {
        faults.push(("spec".into(), "sql and sqlFrom are both given; keep one".into()));
    }
    value["spec"] = serde_json::to_value(&job.spec).unwrap_or_default();
    if let Some(status) = &job.status {
        value["status"] = serde_json::to_value(status).unwrap_or_default();
    }
    super::apply::drop_nulls(value);
    if let Some(before) = before {
        for pointer in ["/spec/maxParallelism", "/spec/state/root"] {
            if before.pointer(pointer) != value.pointer(pointer) {
                let field = pointer.trim_start_matches('/').replace('/', ".");
                faults.push((field, "cannot be changed".into()));
            }
        }
    }
    if faults.is_empty() { Ok(()) } else { invalid(faults) }
}

//! Changes of objects that exist: of the job itself and of its sets. They are merge patches and not
//! typed objects, since a patch has to say what is taken away.

use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt;
use serde_json::{Map, Value, json};
use weir_crds::kube::StreamJob;

use super::Owner;
use crate::decide::{Actions, Scale};
use crate::names;
use crate::validate::Accepted;

/// What is to change in the metadata of the job, if anything is.
pub(super) fn build_job(
    job: &StreamJob,
    accepted: Option<&Accepted>,
    actions: &Actions,
) -> Option<Value> {
    let mut finalizers = job.finalizers().to_vec();
    let mut metadata = if let Some(accepted) = accepted.filter(|_| actions.accept) {
        if !finalizers.iter().any(|it| it == names::FINALIZER) {
            finalizers.push(names::FINALIZER.to_owned());
        }
        json!({"finalizers": finalizers, "annotations": {names::RESOLVED: resolved(accepted)}})
    } else if let Some(root) = &actions.record_published {
        json!({"annotations": {names::PUBLISHED: root}})
    } else if actions.release {
        finalizers.retain(|it| it != names::FINALIZER);
        json!({"finalizers": finalizers})
    } else {
        return None;
    };
    metadata["uid"] = json!(job.uid());
    metadata["resourceVersion"] = json!(job.resource_version());
    Some(json!({"metadata": metadata}))
}

fn resolved(accepted: &Accepted) -> String {
    serde_json::to_string(&accepted.resolved).unwrap_or_default()
}

/// Replicas and the record of how the job ended change together, and what earlier versions did not
/// record of it. `set`: as it would be made now.
pub(super) fn build_scale(
    owner: &Owner,
    accepted: Option<&Accepted>,
    scale: &Scale,
    set: Option<StatefulSet>,
) -> Value {
    let stopped = scale.stopped.as_ref().and_then(|it| serde_json::to_string(it).ok());
    let mut patch = json!({
        "metadata": {
            "labels": {names::JOB_UID: owner.uid},
            "ownerReferences": null,
            "annotations": {
                names::STOPPED: stopped,
                names::SINCE: scale.since.to_string(),
                names::STOPPING: scale.stopping.map(|time| time.to_string()),
                names::STABLE: scale.stable,
                names::PUBLISHED: scale.published,
            },
        },
        "spec": {"replicas": scale.replicas},
    });
    if let Some(accepted) = accepted {
        patch["metadata"]["annotations"][names::RESOLVED] = json!(resolved(accepted));
    }
    // Pods that run are left alone: the set replaces none because of another template.
    let mut annotations = Map::new();
    if scale.published.is_some() {
        annotations.insert(names::MUST_EXIST.to_owned(), json!("true"));
    }
    if let Some(supersedes) = &scale.supersedes {
        annotations.insert(names::SUPERSEDES.to_owned(), json!(supersedes.join(",")));
    }
    if !annotations.is_empty() {
        patch["spec"]["template"] = json!({"metadata": {"annotations": annotations}});
    }
    // A set that is resumed gets the pods that it would get if it were made now.
    let template = set.and_then(|set| set.spec).and_then(|spec| spec.template.spec);
    if let (Some(_), Some(template)) = (&scale.supersedes, template) {
        patch["spec"]["template"]["spec"] = json!(template);
    }
    patch
}

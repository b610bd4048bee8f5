//! From objects of the API server to facts. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use weir_crds::kube::StreamJob;

use super::{Version, problem};
use crate::decide::{LastFailure, OneShot, PlanPod, Problem, SetFacts};
use crate::names;
use crate::ownership::{Whose, is_tied};

/// Whether anything else than a record of it says that the job has published: earlier versions made
/// none.
pub(super) fn has_published(job: &StreamJob, sets: &[(SetFacts, Version)]) -> bool {
    let shown = job.status.as_ref().and_then(|status| status.last_checkpoint.as_ref());
    let says = |set: &SetFacts| {
        let saved = set.stopped.as_ref().is_some_and(|stopped| stopped.epoch > 0);
        !set.former && (set.stable.is_some() || saved)
    };
    shown.is_some_and(|checkpoint| checkpoint.epoch > 0) || sets.iter().any(|(set, _)| says(set))
}

pub(super) fn read_set(
    set: &StatefulSet,
    whose: &Whose,
    now: Timestamp,
    problem: Option<Problem>,
) -> SetFacts {
    let annotations = set.annotations();
    let time = |key: &str| annotations.get(key).and_then(|text| text.parse::<Timestamp>().ok());
    let spec = set.spec.as_ref();
    let containers = spec
        .and_then(|spec| spec.template.spec.as_ref())
        .map(|spec| spec.containers.as_slice())
        .unwrap_or_default();
    let image = containers.iter().find(|container| container.name == "worker");
    // A set of an earlier job of this name is to go; until then it is in the way.
    let ours = *whose == Whose::Ours;
    let deleting = set.metadata.deletion_timestamp.is_some();
    let labels: &BTreeMap<String, String> = set.labels();
    SetFacts {
        name: set.name_any(),
        uid: set.uid().unwrap_or_default(),
        revision: labels.get(names::REVISION).cloned().unwrap_or_default(),
        image: image.and_then(|container| container.image.clone()).unwrap_or_default(),
        replicas: spec
            .and_then(|spec| spec.replicas)
            .and_then(|it| it.try_into().ok())
            .unwrap_or(0),
        deleting: !ours || deleting,
        former: !ours && !deleting,
        tied: is_tied(set),
        published: annotations.get(names::PUBLISHED).filter(|_| ours).cloned(),
        stopped: annotations.get(names::STOPPED).and_then(|text| serde_json::from_str(text).ok()),
        since: time(names::SINCE)
            .or_else(|| set.metadata.creation_timestamp.as_ref().map(|time| time.0))
            .unwrap_or(now),
        stopping: time(names::STOPPING),
        supersedes: spec
            .and_then(|spec| spec.template.metadata.as_ref()?.annotations.as_ref())
            .and_then(|annotations| annotations.get(names::SUPERSEDES))
            .map(|list| list.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default(),
        stable: annotations.get(names::STABLE).cloned(),
        problem,
    }
}

pub(super) fn read_plan_pod(pod: &Pod) -> PlanPod {
    PlanPod {
        name: pod.name_any(),
        revision: pod.labels().get(names::REVISION).cloned().unwrap_or_default(),
        outcome: read_one_shot(pod),
        problem: problem::pod_problem(pod, false),
        deleting: pod.metadata.deletion_timestamp.is_some(),
    }
}

pub(super) fn read_failure(pod: &Pod) -> Option<LastFailure> {
    let (reason, exit_code, message) = problem::last_end(pod)?;
    Some(LastFailure { pod: pod.name_any(), reason, exit_code, message })
}

pub(super) fn read_one_shot(pod: &Pod) -> OneShot {
    let status = pod.status.as_ref();
    match status.and_then(|status| status.phase.as_deref()) {
        Some("Succeeded") => OneShot::Succeeded,
        Some("Failed") => {
            let words = problem::last_end(pod).map(|(_, _, words)| words).unwrap_or_default();
            OneShot::Failed(words)
        }
        _ => OneShot::Running,
    }
}

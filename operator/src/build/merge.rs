//! A user's pod template below what Weir sets, as `k8s_openapi`'s [`DeepMerge`] merges: objects field
//! by field, lists of named things (containers, volumes, environment) name by name, and what both
//! say as Weir says it.
//!
//! `DeepMerge` replaces some lists and maps as a whole, as server-side apply does. Three of them a
//! user writes in two places, `workers` and `workers.podTemplate`, and means them together:
//! tolerations, the node selector, and where a worker's environment comes from. Those are joined
//! here first.

use k8s_openapi::DeepMerge;
use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec};

/// `ours` over `theirs`.
pub(super) fn merge(mut theirs: PodTemplateSpec, mut ours: PodTemplateSpec) -> PodTemplateSpec {
    if let (Some(theirs), Some(ours)) = (&theirs.spec, &mut ours.spec) {
        join(theirs, ours);
    }
    theirs.merge_from(ours);
    theirs
}

fn join(theirs: &PodSpec, ours: &mut PodSpec) {
    ours.tolerations = joined(&theirs.tolerations, ours.tolerations.take());
    if let (Some(theirs), Some(ours)) = (&theirs.node_selector, &mut ours.node_selector) {
        for (label, value) in theirs {
            ours.entry(label.clone()).or_insert_with(|| value.clone());
        }
    }
    for container in &mut ours.containers {
        let same = |it: &&Container| it.name == container.name;
        if let Some(theirs) = theirs.containers.iter().find(same) {
            container.env_from = joined(&theirs.env_from, container.env_from.take());
        }
    }
}

fn joined<T: Clone + PartialEq>(theirs: &Option<Vec<T>>, ours: Option<Vec<T>>) -> Option<Vec<T>> {
    let (Some(theirs), Some(ours)) = (theirs, &ours) else { return ours };
    let new = ours.iter().filter(|it| !theirs.contains(it));
    Some(theirs.iter().chain(new).cloned().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn named_things_are_merged_and_what_weir_sets_wins() {
        let theirs = json!({"spec": {
            "containers": [
                {"name": "side", "image": "a"},
                {
                    "name": "worker",
                    "image": "theirs",
                    "command": ["sh"],
                    "env": [{"name": "A", "value": "1"}],
                    "envFrom": [{"secretRef": {"name": "a"}}],
                },
            ],
            "affinity": {"podAntiAffinity": {}},
            "nodeSelector": {"disk": "slow", "zone": "a"},
            "tolerations": [{"key": "a"}],
        }});
        let ours = json!({"spec": {
            "containers": [{
                "name": "worker",
                "image": "ours",
                "command": ["weir"],
                "env": [{"name": "B", "value": "2"}],
                "envFrom": [{"secretRef": {"name": "b"}}],
            }],
            "nodeSelector": {"disk": "fast"},
            "tolerations": [{"key": "a"}, {"key": "b"}],
            "restartPolicy": "Always",
        }});
        let read = |value| serde_json::from_value::<PodTemplateSpec>(value).unwrap();
        assert_eq!(
            json!(merge(read(theirs), read(ours))),
            json!({"spec": {
                "containers": [
                    {"name": "side", "image": "a"},
                    {
                        "name": "worker",
                        "image": "ours",
                        "command": ["weir"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
                        "envFrom": [{"secretRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
                    },
                ],
                "affinity": {"podAntiAffinity": {}},
                "nodeSelector": {"disk": "fast", "zone": "a"},
                "tolerations": [{"key": "a"}, {"key": "b"}],
                "restartPolicy": "Always",
            }})
        );
    }
}

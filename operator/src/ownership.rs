//! Whose an object is. Pure.
//!
//! What belongs to a job says so by a label with the job's UID, and by no owner reference: the
//! garbage collector deletes what has one as soon as its owner is deleted in the foreground, as
//! Argo CD does by default, whatever finalizers the owner has. The pods would be gone before a
//! savepoint could be taken, and so would be the program and the addresses that it needs. So the
//! operator itself removes all that is a job's, after the savepoint and before it lets the job go;
//! what a job leaves behind that went without its operator is found by [`crate::orphans`].
//!
//! Rejected: a finalizer of our own on the children (pods end however many finalizers they have),
//! and a second owner that outlives the job (the collector then takes the reference to the job away,
//! so that an ownership that is asked for has to stand elsewhere all the same).
//!
//! Earlier versions set owner references. They count as well, and are taken away where they are
//! found; neither restarts a pod.

use kube::ResourceExt;

use crate::names;

/// Whose an object is, seen from a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The job's.
    Ours,
    /// That of an earlier job of the same name, which is gone.
    Former,
    /// Anybody else's; in words.
    Other(String),
}

/// Whose `object` is, seen from the job of this name and UID.
#[must_use]
pub fn whose(object: &impl ResourceExt, job: &str, uid: &str) -> Whose {
    let labels = object.labels();
    let controller = object.owner_references().iter().find(|it| it.controller == Some(true));
    let by_reference = controller.is_some_and(|owner| owner.uid == uid);
    let by_label = labels.get(names::JOB_UID);
    if by_reference || by_label.is_some_and(|label| label == uid) {
        return Whose::Ours;
    }
    let of_a_job = controller.is_some_and(|owner| owner.kind == "StreamJob" && owner.name == job);
    if labels.get(names::JOB).is_some_and(|it| it == job)
        && labels.get("app.kubernetes.io/managed-by").is_some_and(|it| it == names::MANAGER)
        && (of_a_job || by_label.is_some())
    {
        return Whose::Former;
    }
    Whose::Other(match (controller, labels.get("app.kubernetes.io/managed-by")) {
        (Some(owner), _) => format!("it belongs to {} {}", owner.kind, owner.name),
        (None, Some(manager)) if manager == names::MANAGER => {
            "it was left behind by a job that was deleted without what belonged to it".to_owned()
        }
        (None, Some(manager)) => format!("it is managed by {manager}"),
        (None, None) => "somebody else made it".to_owned(),
    })
}

/// Whether an owner reference has to go, for which a deletion in the foreground would not wait.
#[must_use]
pub fn is_tied(object: &impl ResourceExt) -> bool {
    object.labels().get(names::JOB_UID).is_none()
        || object.owner_references().iter().any(|owner| owner.kind == "StreamJob")
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Service;
    use serde_json::{Value, json};

    use super::*;

    fn service(labels: Value, owner: Value) -> Service {
        let owners: Vec<Value> = Some(owner).into_iter().filter(|it| !it.is_null()).collect();
        let metadata =
            json!({"name": "flights-workers", "labels": labels, "ownerReferences": owners});
        serde_json::from_value(json!({"metadata": metadata})).unwrap()
    }

    fn owner(kind: &str, name: &str, uid: &str) -> Value {
        json!({"apiVersion": "x/v1", "kind": kind, "name": name, "uid": uid, "controller": true})
    }

    fn ours(uid: Option<&str>) -> Value {
        let mut labels = json!(names::labels("flights"));
        labels[names::JOB_UID] = json!(uid);
        labels.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        labels
    }

    #[test]
    fn only_the_uid_makes_an_object_a_jobs_own() {
        let check = |labels, owner| whose(&service(labels, owner), "flights", "4be0");
        let reference = |uid| owner("StreamJob", "flights", uid);
        assert_eq!(check(ours(Some("4be0")), Value::Null), Whose::Ours);
        assert_eq!(check(ours(None), reference("4be0")), Whose::Ours);
        assert_eq!(check(ours(Some("77aa")), Value::Null), Whose::Former);
        assert_eq!(check(ours(None), reference("77aa")), Whose::Former);
        // Left behind by a deletion that orphaned it: nobody knows whether somebody counts on it.
        assert!(matches!(check(ours(None), Value::Null), Whose::Other(_)));
        // The name and our label are not enough.
        let copied = json!({names::JOB: "flights"});
        assert!(matches!(check(copied, Value::Null), Whose::Other(_)));
        let whose = check(json!({}), owner("Deployment", "web", "1"));
        assert_eq!(whose, Whose::Other("it belongs to Deployment web".to_owned()));
    }

    #[test]
    fn what_an_earlier_version_tied_to_its_job_is_to_be_untied() {
        assert!(is_tied(&service(ours(None), owner("StreamJob", "flights", "4be0"))));
        assert!(is_tied(&service(ours(Some("4be0")), owner("StreamJob", "flights", "4be0"))));
        assert!(!is_tied(&service(ours(Some("4be0")), Value::Null)));
    }
}

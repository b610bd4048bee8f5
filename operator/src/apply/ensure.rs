//! One child as it should be, and never over what is somebody else's.

use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::{DeleteParams, ListParams, Patch, PostParams};
use serde_json::{Value, json};

use super::{Applier, ApplyError, Child, delete, failed, manager};
use crate::names;
use crate::observe::{Version, component};
use crate::ownership::{Whose, is_tied, whose};
use crate::validate::Refusal;

impl Applier<'_> {
    /// What bears the job's label, whoever made it.
    pub(super) async fn list<K: Child>(&self, what: &'static str) -> Result<Vec<K>, ApplyError> {
        let label = format!("{}={}", names::JOB, self.owner.name);
        let found = self.api::<K>().list(&ListParams::default().labels(&label)).await;
        found.map(|found| found.items).map_err(failed(what, &self.owner.name))
    }

    pub(super) fn whose(&self, object: &impl ResourceExt) -> Whose {
        whose(object, &self.owner.name, &self.owner.uid)
    }

    /// Makes a child as it should be, unless it is so already.
    pub(super) async fn ensure<K: Child>(
        &self,
        what: &'static str,
        listed: &[K],
        desired: &K,
    ) -> Result<(), ApplyError> {
        let (name, mut desired) = (desired.name_any(), desired.clone());
        let hash = names::short_hash(&[&json!(desired).to_string()]);
        desired.annotations_mut().insert(names::APPLIED.to_owned(), hash);
        let Some(found) = listed.iter().find(|object| object.name_any() == name) else {
            return self.create(what, &desired).await;
        };
        match self.whose(found) {
            Whose::Ours => {}
            Whose::Former => {
                let version = Version::of(found);
                delete(&self.api::<K>(), what, &version, DeleteParams::background()).await?;
                return self.create(what, &desired).await;
            }
            Whose::Other(why) => return Err(self.in_the_way(what, &name, &why)),
        }
        let mut desired = without_kind(json!(desired));
        let is = json!(found);
        if !is_tied(found) && covers(&is, &desired) {
            return Ok(());
        }
        desired["metadata"]["ownerReferences"] = Value::Null;
        self.change(what, found, desired).await
    }

    /// Takes away what ties an object of ours to the job, if anything does.
    pub(super) async fn untie<K: Child>(
        &self,
        what: &'static str,
        object: &K,
    ) -> Result<(), ApplyError> {
        if !is_tied(object) {
            return Ok(());
        }
        let labels = json!({names::JOB_UID: self.owner.uid});
        let metadata = json!({"labels": labels, "ownerReferences": null});
        self.change(what, object, json!({"metadata": metadata})).await
    }

    /// A change of what was read. Lists become as they are here, also those of earlier versions.
    async fn change<K: Child>(
        &self,
        what: &'static str,
        object: &K,
        mut patch: Value,
    ) -> Result<(), ApplyError> {
        let Version { name, uid, resource_version } = Version::of(object);
        patch["metadata"]["uid"] = json!(uid);
        patch["metadata"]["resourceVersion"] = json!(resource_version);
        let written = self.api::<K>().patch(&name, &manager(), &Patch::Merge(&patch)).await;
        written.map(drop).map_err(failed(what, &name))
    }

    /// Creates what was not found. An object without our labels is not found, and yet there.
    pub(super) async fn create<K: Child>(
        &self,
        what: &'static str,
        object: &K,
    ) -> Result<(), ApplyError> {
        let name = object.name_any();
        let manager = Some(names::MANAGER.to_owned());
        let params = PostParams { field_manager: manager, dry_run: false };
        let created = self.api::<K>().create(&params, object).await;
        let Err(error) = created.map_err(failed(what, &name)) else { return Ok(()) };
        let exists = matches!(&error, ApplyError::Write { source: kube::Error::Api(status), .. }
            if status.code == 409 && status.reason == "AlreadyExists");
        if !exists {
            return Err(error);
        }
        let field = format!("metadata.name={name}");
        let found = self.api::<K>().list(&ListParams::default().fields(&field)).await;
        let found = found.map_err(failed(what, &name))?.items;
        match found.first().map(|object| self.whose(object)) {
            Some(Whose::Other(why)) => Err(self.in_the_way(what, &name, &why)),
            Some(Whose::Former) => {
                let version = found.first().map(Version::of).unwrap_or_default();
                delete(&self.api::<K>(), what, &version, DeleteParams::background()).await?;
                Err(error)
            }
            // Somebody was faster, or it is on its way out.
            Some(Whose::Ours) | None => Err(error),
        }
    }

    pub(super) fn in_the_way(&self, what: &str, name: &str, why: &str) -> ApplyError {
        let (kind, namespace) = (what.to_lowercase(), &self.owner.namespace);
        ApplyError::InTheWay(Refusal::new(
            "ObjectInTheWay",
            format!(
                "{what} {name} in namespace {namespace} is not this job's ({why}), and the job \
                 needs that name; it is left as it is. Delete it (kubectl delete {kind} {name} -n \
                 {namespace}), make it anew under another name, or give the job another name; \
                 the job goes on by itself then"
            ),
        ))
    }

    /// Removes all that is the job's, its sets and their pods apart, which have gone before.
    pub(super) async fn remove_children(&self) -> Result<(), ApplyError> {
        self.remove_listed::<Service>("Service", |_| true).await?;
        self.remove_listed::<PodDisruptionBudget>("PodDisruptionBudget", |_| true).await?;
        self.remove_listed::<NetworkPolicy>("NetworkPolicy", |_| true).await?;
        self.remove_listed::<Pod>("Pod", |pod| component(pod) != Some("worker")).await?;
        self.remove_listed::<ConfigMap>("ConfigMap", |_| true).await
    }

    async fn remove_listed<K: Child>(
        &self,
        what: &'static str,
        chosen: impl Fn(&K) -> bool,
    ) -> Result<(), ApplyError> {
        self.remove_all(what, &self.list::<K>(what).await?, chosen).await
    }

    /// Removes those that are the job's and chosen.
    pub(super) async fn remove_all<K: Child>(
        &self,
        what: &'static str,
        listed: &[K],
        chosen: impl Fn(&K) -> bool,
    ) -> Result<(), ApplyError> {
        for object in listed.iter().filter(|object| chosen(object)) {
            let ours = self.whose(object) == Whose::Ours;
            if ours && object.meta().deletion_timestamp.is_none() {
                let version = Version::of(object);
                delete(&self.api::<K>(), what, &version, DeleteParams::background()).await?;
            }
        }
        Ok(())
    }
}

/// Items of a list do not say their kind.
fn without_kind(mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("apiVersion");
        fields.remove("kind");
    }
    object
}

/// Whether everything that is desired is as observed. What the API server adds does not count.
fn covers(observed: &Value, desired: &Value) -> bool {
    match (observed, desired) {
        (Value::Object(observed), Value::Object(desired)) => desired
            .iter()
            .all(|(key, value)| observed.get(key).is_some_and(|observed| covers(observed, value))),
        (Value::Array(observed), Value::Array(desired)) => {
            observed.len() == desired.len()
                && observed.iter().zip(desired).all(|(observed, desired)| covers(observed, desired))
        }
        (observed, desired) => observed == desired,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_adds_is_no_difference_and_what_it_lacks_is() {
        let desired = json!({"spec": {"ports": [{"port": 1}], "a": "b"}});
        let more = json!({"spec": {"ports": [{"port": 1, "protocol": "TCP"}], "a": "b", "c": 1}});
        assert!(covers(&more, &desired));
        assert!(!covers(&json!({"spec": {"ports": [], "a": "b"}}), &desired));
        assert!(!covers(&json!({"spec": {"ports": [{"port": 2}], "a": "b"}}), &desired));
    }
}

//! Children that only follow the spec: services, budget, network policy, programs.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::Value;
use weir_crds::StreamJobSpec;

use super::{Applier, ApplyError, Child, delete, failed};
use crate::build;
use crate::decide::Decision;
use crate::names;
use crate::observe::{Observed, Version};
use crate::validate::Accepted;

impl Applier<'_> {
    /// What the children that only follow the spec should be, in few characters; which of them
    /// exist is not part of it.
    #[must_use]
    pub fn children(
        &self,
        decision: &Decision,
        observed: &Observed,
        accepted: Option<&Accepted>,
    ) -> String {
        let mut parts: Vec<String> = vec![
            self.owner.uid.clone(),
            format!("{:?}", observed.job.metadata.deletion_timestamp.is_some()),
            accepted.map(|accepted| accepted.revision.clone()).unwrap_or_default(),
            format!("{:?}", (&decision.serve, decision.create, decision.plan_pod)),
        ];
        parts.extend(observed.sets.iter().map(|(set, _)| set.revision.clone()));
        if let Some(revision) = &decision.serve {
            let served = self.served(revision, &observed.job.spec);
            parts.extend(served.into_iter().map(|object| object.to_string()));
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        names::short_hash(&parts)
    }

    /// Makes them so.
    ///
    /// # Errors
    /// The first read or write that failed; what came before it stands.
    pub async fn apply_children(
        &self,
        decision: &Decision,
        observed: &Observed,
        accepted: Option<&Accepted>,
    ) -> Result<(), ApplyError> {
        if observed.job.metadata.deletion_timestamp.is_none() {
            self.keep_configs(decision, observed, accepted).await?;
        }
        if let Some(revision) = &decision.serve {
            self.serve(revision, &observed.job.spec).await?;
        }
        Ok(())
    }

    /// Services, budget and network policy.
    fn served(&self, revision: &str, spec: &StreamJobSpec) -> [Value; 4] {
        let most = spec.workers.disruption_budget.max_unavailable;
        let policy = spec.network_policy.enabled.then(|| build::build_network_policy(self.owner));
        [
            build::build_workers(self.owner),
            build::build_coordinator(self.owner, revision),
            build::build_budget(self.owner, most),
            policy.unwrap_or_default(),
        ]
    }

    /// Services, budget and network policy as the spec says, pointing at `revision`.
    async fn serve(&self, revision: &str, spec: &StreamJobSpec) -> Result<(), ApplyError> {
        let [workers, coordinator, budget, policy] = self.served(revision, spec);
        let (services, budgets, policies) = futures::join!(
            self.list::<Service>("Service"),
            self.list::<PodDisruptionBudget>("PodDisruptionBudget"),
            self.list::<NetworkPolicy>("NetworkPolicy"),
        );
        let (services, budgets, policies) = (services?, budgets?, policies?);
        self.ensure("Service", &services, workers).await?;
        self.ensure("Service", &services, coordinator).await?;
        self.ensure("PodDisruptionBudget", &budgets, budget).await?;
        if !policy.is_null() {
            return self.ensure("NetworkPolicy", &policies, policy).await;
        }
        for policy in &policies {
            let version = Version::of(policy);
            let api: Api<NetworkPolicy> = self.api();
            delete(&api, "NetworkPolicy", &version, DeleteParams::default()).await?;
        }
        Ok(())
    }

    /// Programs: the one of the spec's revision exists before its pods do, those of revisions
    /// without a set go. An immutable ConfigMap is created once and never changed.
    async fn keep_configs(
        &self,
        decision: &Decision,
        observed: &Observed,
        accepted: Option<&Accepted>,
    ) -> Result<(), ApplyError> {
        let configs = self.list::<ConfigMap>("ConfigMap").await?;
        let revision = accepted.map(|accepted| accepted.revision.as_str());
        if let Some(accepted) = accepted
            && (decision.create.is_some()
                || decision.plan_pod
                || decision.serve.as_deref() == revision)
        {
            let name = names::revisioned(&self.owner.name, &accepted.revision);
            if configs.iter().all(|config| config.name_any() != name) {
                let config = build::build_config(self.owner, accepted);
                self.create::<ConfigMap>("ConfigMap", config).await?;
            }
        }
        for config in configs {
            let of = config.labels().get(names::REVISION).map(String::as_str);
            let owners = config.owner_references();
            let ours = owners.iter().any(|owner| owner.uid == self.owner.uid);
            let used = observed.sets.iter().any(|(set, _)| Some(set.revision.as_str()) == of);
            if ours && !used && of != revision {
                let version = Version::of(&config);
                let api: Api<ConfigMap> = self.api();
                delete(&api, "ConfigMap", &version, DeleteParams::default()).await?;
            }
        }
        Ok(())
    }

    async fn list<K: Child>(&self, what: &'static str) -> Result<Vec<K>, ApplyError> {
        let label = format!("{}={}", names::JOB, self.owner.name);
        let found = self.api::<K>().list(&ListParams::default().labels(&label)).await;
        found.map(|found| found.items).map_err(failed(what, &self.owner.name))
    }

    /// Applies `desired` unless it is so already.
    async fn ensure<K: Child>(
        &self,
        what: &'static str,
        observed: &[K],
        mut desired: Value,
    ) -> Result<(), ApplyError> {
        let name = desired["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let hash = names::short_hash(&[&desired.to_string()]);
        desired["metadata"]["annotations"][names::APPLIED] = Value::String(hash);
        let found = observed.iter().find(|object| object.name_any() == name);
        let found = found.and_then(|object| serde_json::to_value(object).ok());
        if found.is_some_and(|found| covers(&found, &without_kind(&desired))) {
            return Ok(());
        }
        let params = PatchParams::apply(names::MANAGER).force();
        let written = self.api::<K>().patch(&name, &params, &Patch::Apply(&desired)).await;
        written.map(drop).map_err(failed(what, &name))
    }
}

/// Items of a list do not say their kind.
fn without_kind(object: &Value) -> Value {
    let mut object = object.clone();
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

//! Children that only follow the spec: services, budget, network policy, programs.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::DeleteParams;
use kube::{Api, ResourceExt};
use serde_json::Value;
use weir_crds::StreamJobSpec;

use super::{Applier, ApplyError, delete};
use crate::build;
use crate::decide::Decision;
use crate::names;
use crate::observe::{Observed, Version};
use crate::ownership::Whose;
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
        let mut kept = Kept::default();
        kept.note(self.ensure("Service", &services, workers).await)?;
        kept.note(self.ensure("Service", &services, coordinator).await)?;
        kept.note(self.ensure("PodDisruptionBudget", &budgets, budget).await)?;
        if !policy.is_null() {
            kept.note(self.ensure("NetworkPolicy", &policies, policy).await)?;
        }
        // Those under the names of earlier versions, and what is not wanted any more. A pod that
        // two budgets select cannot be evicted.
        let wanted = names::workers(&self.owner.name);
        let other = |name: String| name != wanted;
        let budget = |it: &PodDisruptionBudget| other(it.name_any());
        self.remove_all::<PodDisruptionBudget>("PodDisruptionBudget", &budgets, budget).await?;
        let closed = spec.network_policy.enabled;
        let policy = |it: &NetworkPolicy| !closed || other(it.name_any());
        self.remove_all::<NetworkPolicy>("NetworkPolicy", &policies, policy).await?;
        kept.done()
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
            let found = configs.iter().find(|config| config.name_any() == name);
            if let Some(Whose::Other(why)) = found.map(|it| self.whose(it)) {
                return Err(self.in_the_way("ConfigMap", &name, &why));
            }
            // One of an earlier job goes first.
            if found.is_none_or(|it| self.whose(it) == Whose::Former) {
                if let Some(former) = found {
                    let version = Version::of(former);
                    let api = self.api::<ConfigMap>();
                    delete(&api, "ConfigMap", &version, DeleteParams::background()).await?;
                }
                let config = build::build_config(self.owner, accepted);
                self.create::<ConfigMap>("ConfigMap", config).await?;
            }
        }
        for config in configs.iter().filter(|config| self.whose(*config) == Whose::Ours) {
            let of = config.labels().get(names::REVISION).map(String::as_str);
            let used = observed.sets.iter().any(|(set, _)| Some(set.revision.as_str()) == of);
            if used || of == revision {
                self.untie("ConfigMap", config).await?;
            } else {
                let version = Version::of(config);
                let api: Api<ConfigMap> = self.api();
                delete(&api, "ConfigMap", &version, DeleteParams::default()).await?;
            }
        }
        Ok(())
    }
}

/// What the cluster refuses of one child keeps no other from being made.
#[derive(Default)]
struct Kept {
    refused: Option<ApplyError>,
}

impl Kept {
    fn note(&mut self, made: Result<(), ApplyError>) -> Result<(), ApplyError> {
        match made {
            Err(error) if error.refusal().is_some() => {
                self.refused.get_or_insert(error);
                Ok(())
            }
            other => other,
        }
    }

    fn done(self) -> Result<(), ApplyError> {
        self.refused.map_or(Ok(()), Err)
    }
}

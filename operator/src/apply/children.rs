//! Children that only follow the spec: services, budget, network policy, programs.

use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::ResourceExt;
use kube::api::DeleteParams;
use serde_json::json;

use super::{Applier, ApplyError, delete};
use crate::build::{Children, Prepared, Served};
use crate::decide::Actions;
use crate::names;
use crate::observe::{Observed, Version};
use crate::ownership::Whose;

/// What the children that only follow the spec should be, in few characters; which of them exist
/// is not part of it.
pub(super) fn fingerprint(
    observed: &Observed,
    actions: &Actions,
    children: &Children<Prepared>,
) -> String {
    let leaving = observed.job.metadata.deletion_timestamp.is_some();
    let wanted = (leaving, &actions.serve, actions.create, actions.plan_pod, &children.revision);
    let mut parts = vec![observed.owner.uid.clone(), format!("{wanted:?}")];
    parts.extend(observed.sets.iter().map(|(set, _)| set.revision.clone()));
    if let Some(Served { workers, coordinator, budget, network_policy }) = &children.served {
        parts.push(json!([workers, coordinator, budget, network_policy]).to_string());
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    names::short_hash(&parts)
}

impl Applier<'_> {
    /// Makes them as they should be.
    ///
    /// # Errors
    /// The first read or write that failed; what came before it stands.
    pub(super) async fn apply_children(
        &self,
        observed: &Observed,
        children: &Children<Prepared>,
    ) -> Result<(), ApplyError> {
        if observed.job.metadata.deletion_timestamp.is_none() {
            self.keep_programs(observed, children).await?;
        }
        match &children.served {
            Some(served) => self.serve(served).await,
            None => Ok(()),
        }
    }

    /// Services, budget and network policy.
    async fn serve(&self, served: &Served) -> Result<(), ApplyError> {
        let Served { workers, coordinator, budget, network_policy } = served;
        let (services, budgets, policies) = futures::join!(
            self.list::<Service>("Service"),
            self.list::<PodDisruptionBudget>("PodDisruptionBudget"),
            self.list::<NetworkPolicy>("NetworkPolicy"),
        );
        let (services, budgets, policies) = (services?, budgets?, policies?);
        let mut kept = Kept::default();
        kept.keep(self.ensure("Service", &services, workers).await)?;
        kept.keep(self.ensure("Service", &services, coordinator).await)?;
        kept.keep(self.ensure("PodDisruptionBudget", &budgets, budget).await)?;
        if let Some(policy) = network_policy {
            kept.keep(self.ensure("NetworkPolicy", &policies, policy).await)?;
        }
        // Those under the names of earlier versions, and what is not wanted any more. A pod that
        // two budgets select cannot be evicted.
        let wanted = names::workers(&self.owner.name);
        let other = |name: String| name != wanted;
        let budget = |it: &PodDisruptionBudget| other(it.name_any());
        self.remove_all::<PodDisruptionBudget>("PodDisruptionBudget", &budgets, budget).await?;
        let policy = |it: &NetworkPolicy| network_policy.is_none() || other(it.name_any());
        self.remove_all::<NetworkPolicy>("NetworkPolicy", &policies, policy).await?;
        kept.done()
    }

    /// Programs: the one of the spec's revision exists before its pods do, those of revisions
    /// without a set go. An immutable ConfigMap is created once and never changed.
    async fn keep_programs(
        &self,
        observed: &Observed,
        children: &Children<Prepared>,
    ) -> Result<(), ApplyError> {
        let configs = self.list::<ConfigMap>("ConfigMap").await?;
        let api = self.api::<ConfigMap>();
        if let Some(program) = &children.program {
            let name = program.name_any();
            let found = configs.iter().find(|config| config.name_any() == name);
            if let Some(Whose::Other(why)) = found.map(|it| self.whose(it)) {
                return Err(self.in_the_way("ConfigMap", &name, &why));
            }
            // One of an earlier job goes first.
            if found.is_none_or(|it| self.whose(it) == Whose::Former) {
                if let Some(former) = found {
                    let version = Version::of(former);
                    delete(&api, "ConfigMap", &version, DeleteParams::background()).await?;
                }
                self.create("ConfigMap", program).await?;
            }
        }
        for config in configs.iter().filter(|config| self.whose(*config) == Whose::Ours) {
            let of = config.labels().get(names::REVISION);
            let used = observed.sets.iter().any(|(set, _)| Some(&set.revision) == of);
            if used || of == children.revision.as_ref() {
                self.untie("ConfigMap", config).await?;
            } else {
                let version = Version::of(config);
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
    fn keep(&mut self, made: Result<(), ApplyError>) -> Result<(), ApplyError> {
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

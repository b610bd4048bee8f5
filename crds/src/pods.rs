//! `spec.workers` in Kubernetes' own types.
//!
//! - **In**: [`Workers`], where those types stand as they were written. **Out**: [`Pods`], or the
//!   place of the first thing that does not fit.
//! - **Always**: this happens job by job. The definition of `StreamJob` leaves open what would be
//!   several times as long as all of ours (sources of variables, volumes, the pod template), so an
//!   API server takes a typing mistake in there; a list of jobs whose fields had these types could
//!   then not be read at all, because of one of them.
//! - **Deliberately absent**: what Weir allows in pods, which whoever builds them knows.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    EnvFromSource, EnvVar, PodTemplateSpec, ResourceRequirements, Toleration, Volume, VolumeMount,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Workers;

/// A field of `spec.workers` is nothing that a pod can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}; write it as in a pod")]
pub struct PodFieldError {
    /// The field, from the resource's root, such as `spec.workers.env[1]`.
    pub path: String,
    /// What does not fit.
    pub message: String,
}

/// What a user says about the pods of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pods {
    /// Resources of each worker.
    pub resources: Option<ResourceRequirements>,
    /// Their service account.
    pub service_account_name: Option<String>,
    /// Variables.
    pub env: Vec<EnvVar>,
    /// Secrets and ConfigMaps whose keys become variables.
    pub env_from: Vec<EnvFromSource>,
    /// Volumes.
    pub volumes: Vec<Volume>,
    /// Where they are seen.
    pub volume_mounts: Vec<VolumeMount>,
    /// Labels that a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints that are accepted.
    pub tolerations: Vec<Toleration>,
    /// Whether the page that they serve may show rows.
    pub show_rows: bool,
    /// The rest.
    pub template: PodTemplateSpec,
}

impl Pods {
    /// Reads what `workers` says.
    ///
    /// # Errors
    /// The first field that is nothing that a pod can have.
    pub fn read(workers: &Workers) -> Result<Self, PodFieldError> {
        // Destructured without `..`, so that a new field cannot be forgotten here.
        let Workers {
            resources,
            service_account_name,
            env,
            env_from,
            volumes,
            volume_mounts,
            node_selector,
            tolerations,
            pod_template,
            disruption_budget: _,
            show_rows,
        } = workers;
        Ok(Self {
            resources: resources.as_ref().map(|it| read(it, "resources")).transpose()?,
            service_account_name: service_account_name.clone(),
            env: read_all(env, "env")?,
            env_from: read_all(env_from, "envFrom")?,
            volumes: read_all(volumes, "volumes")?,
            volume_mounts: read_all(volume_mounts, "volumeMounts")?,
            node_selector: node_selector.clone(),
            tolerations: read_all(tolerations, "tolerations")?,
            show_rows: *show_rows,
            template: match pod_template {
                Some(template) => read(template, "podTemplate")?,
                None => PodTemplateSpec::default(),
            },
        })
    }

    /// Which variables workers have, and where others come from: those of `workers`, and those
    /// that the template gives to their container.
    pub(crate) fn variables(&self) -> (Vec<&str>, Vec<&EnvFromSource>) {
        let containers = self.template.spec.iter().flat_map(|spec| &spec.containers);
        let theirs: Vec<_> = containers.filter(|it| it.name == "worker").collect();
        let env = self.env.iter().chain(theirs.iter().flat_map(|it| it.env.iter().flatten()));
        let from = theirs.iter().flat_map(|it| it.env_from.iter().flatten());
        (env.map(|it| it.name.as_str()).collect(), self.env_from.iter().chain(from).collect())
    }
}

fn read<T: DeserializeOwned>(value: &Value, field: &str) -> Result<T, PodFieldError> {
    T::deserialize(value).map_err(|error| PodFieldError {
        path: format!("spec.workers.{field}"),
        message: error.to_string(),
    })
}

fn read_all<T: DeserializeOwned>(values: &[Value], field: &str) -> Result<Vec<T>, PodFieldError> {
    let values = values.iter().enumerate();
    values.map(|(index, value)| read(value, &format!("{field}[{index}]"))).collect()
}

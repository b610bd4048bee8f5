//! What the operator's installation decides for jobs that do not say it themselves.

use clap::Parser;
use serde::{Deserialize, Serialize};

/// Keeps streaming jobs of a Kubernetes cluster as their manifests say.
#[derive(Clone, Debug, Parser)]
#[command(name = "weir-operator", version)]
pub struct Options {
    /// Image of worker pods for jobs without spec.image.
    #[arg(long, env = "WEIR_WORKER_IMAGE", default_value = "")]
    pub worker_image: String,
    /// Pull policy of worker images; empty leaves it to Kubernetes.
    #[arg(long, env = "WEIR_IMAGE_PULL_POLICY", default_value = "")]
    pub image_pull_policy: String,
    /// Place of state for jobs without spec.state.root.
    #[arg(long, env = "WEIR_STATE_ROOT", default_value = "")]
    pub state_root: String,
    /// Endpoint of an S3-compatible store; empty for AWS.
    #[arg(long, env = "WEIR_STATE_ENDPOINT", default_value = "")]
    pub state_endpoint: String,
    /// Region of the store.
    #[arg(long, env = "WEIR_STATE_REGION", default_value = "")]
    pub state_region: String,
    /// Secret in a job's namespace whose keys become its environment, for jobs without
    /// workers.envFrom; empty for access without keys.
    #[arg(long, env = "WEIR_CREDENTIALS_SECRET", default_value = "weir-s3")]
    pub credentials_secret: String,
    /// Service account of workers for jobs without workers.serviceAccountName.
    #[arg(long, env = "WEIR_WORKER_SERVICE_ACCOUNT", default_value = "default")]
    pub worker_service_account: String,
    /// The only namespace that is looked at; empty for all.
    #[arg(long, env = "WEIR_WATCH_NAMESPACE", default_value = "")]
    pub watch_namespace: String,
    /// Name of this pod, by which it holds the Lease.
    #[arg(long, env = "POD_NAME", default_value = "weir-operator")]
    pub pod_name: String,
    /// Namespace of this pod and of the Lease.
    #[arg(long, env = "POD_NAMESPACE", default_value = "default")]
    pub pod_namespace: String,
    /// Address of /livez, /readyz and /metrics.
    #[arg(long, env = "WEIR_HTTP", default_value = "0.0.0.0:8080")]
    pub http: String,
    /// Name of the Lease by which one of several operators is active.
    #[arg(long, env = "WEIR_LEASE", default_value = "weir-operator")]
    pub lease: String,
    /// Do nothing but fail while jobs exist, with their names: asked before an uninstall.
    #[arg(long)]
    pub refuse_while_jobs_exist: bool,
}

impl Options {
    /// The defaults that a job accepted now is given.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        Defaults {
            image: self.worker_image.clone(),
            image_pull_policy: self.image_pull_policy.clone(),
            state_root: self.state_root.trim_end_matches('/').to_owned(),
            endpoint: self.state_endpoint.clone(),
            region: self.state_region.clone(),
            credentials_secret: self.credentials_secret.clone(),
            service_account: self.worker_service_account.clone(),
        }
    }
}

/// What a job is given where its spec is silent. Fixed in an annotation of the job when it is
/// accepted: a later change of the installation moves and restarts nothing that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Defaults {
    /// Image of worker pods.
    pub image: String,
    /// Its pull policy; empty leaves it to Kubernetes.
    pub image_pull_policy: String,
    /// Place of state.
    pub state_root: String,
    /// Endpoint of the store; empty for AWS.
    pub endpoint: String,
    /// Region of the store; empty for the client's default.
    pub region: String,
    /// Secret with the store's keys; empty for none.
    pub credentials_secret: String,
    /// Service account of the pods.
    pub service_account: String,
}

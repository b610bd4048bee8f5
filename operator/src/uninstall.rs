//! The question that the chart asks before it is uninstalled: does any job still need an operator?
//!
//! - **In**: the jobs that this operator looks after.
//! - **Out**: nothing while there is none, otherwise an error that names them and the ways out.
//! - **Always**: it changes nothing.
//! - **Deliberately absent**: ending jobs. Whoever wants that deletes them, and sees what becomes
//!   of their state.

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use weir_crds::kube::StreamJob;

use crate::config::Options;

/// How many jobs a refusal names.
const NAMED: usize = 5;

/// The chart may not be uninstalled, or it is not known whether it may.
#[derive(Debug, thiserror::Error)]
pub enum UninstallError {
    /// Jobs exist.
    #[error(
        "{count} StreamJobs exist ({names}): without an operator nobody would end them and their \
         deletion would hang; delete them first (kubectl delete sj --all -A), or uninstall with \
         `helm uninstall --no-hooks` and leave them running unattended"
    )]
    JobsExist {
        /// How many.
        count: usize,
        /// The first of them, as namespace/name.
        names: String,
    },
    /// The API server did not tell.
    #[error("listing StreamJobs: {0}")]
    Unknown(#[from] kube::Error),
}

/// Refuses while jobs exist that this operator looks after.
///
/// # Errors
/// Jobs exist, or it is not known whether any do.
pub async fn refuse_while_jobs_exist(
    client: Client,
    options: &Options,
) -> Result<(), UninstallError> {
    let jobs: Api<StreamJob> = if options.watch_namespace.is_empty() {
        Api::all(client)
    } else {
        Api::namespaced(client, &options.watch_namespace)
    };
    let jobs = match jobs.list(&ListParams::default()).await {
        Ok(jobs) => jobs.items,
        // Without the definition there are no jobs.
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let names = jobs
        .iter()
        .map(|job| format!("{}/{}", job.namespace().unwrap_or_default(), job.name_any()));
    decide(&names.collect::<Vec<_>>())
}

fn decide(jobs: &[String]) -> Result<(), UninstallError> {
    if jobs.is_empty() {
        return Ok(());
    }
    let mut names = jobs[..jobs.len().min(NAMED)].join(", ");
    if jobs.len() > NAMED {
        names.push_str(", …");
    }
    Err(UninstallError::JobsExist { count: jobs.len(), names })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chart_may_go_when_no_job_is_left() {
        assert!(decide(&[]).is_ok());
    }

    #[test]
    fn a_refusal_names_the_first_jobs_and_the_way_out() {
        let jobs: Vec<_> = (0..7).map(|i| format!("team/job-{i}")).collect();
        let text = decide(&jobs).expect_err("jobs exist").to_string();
        assert!(text.starts_with("7 StreamJobs exist (team/job-0, "), "{text}");
        assert!(text.contains("team/job-4, …)") && text.contains("kubectl delete sj"), "{text}");
    }
}

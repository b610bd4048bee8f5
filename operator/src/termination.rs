//! Tells the processes of pods that are being deleted, instead of leaving it to the kubelet.
//!
//! - **In**: every state of a worker's pod that a watch brings. **Out**: one call to each whose
//!   deletion has begun.
//! - **Always**: a deletion is never taken back, so the process will be ended in any case; when it
//!   hands its work on at once, that goes on elsewhere while the kubelet still gets round to it,
//!   which takes from 0.1 s to a second, and longer on a busy node. A call that is lost costs that
//!   time and nothing else: none is repeated, and nothing is recorded.

use std::collections::HashSet;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use parking_lot::Mutex;

use crate::observe::component;
use crate::workers::Workers;

/// Pods that are remembered; being told twice does no harm.
const MOST_TOLD: usize = 10_000;

/// The pods that were told.
pub struct TerminationNotices {
    workers: Arc<dyn Workers>,
    told: Mutex<HashSet<String>>,
}

impl TerminationNotices {
    /// Nobody has been told yet.
    #[must_use]
    pub fn new(workers: Arc<dyn Workers>) -> Self {
        Self { workers, told: Mutex::default() }
    }

    /// Looks at a pod; in the background its process is told, once, when it is being deleted. Must
    /// be called within a tokio runtime.
    pub fn notice(&self, pod: &Pod) {
        let Some((ip, uid)) = whom_to_tell(pod) else { return };
        {
            let mut told = self.told.lock();
            if told.len() >= MOST_TOLD {
                told.clear();
            }
            if !told.insert(uid.clone()) {
                return;
            }
        }
        let (workers, pod) = (Arc::clone(&self.workers), pod.name_any());
        tokio::spawn(async move {
            match workers.terminate(&ip, &uid).await {
                Ok(reply) if reply.refused.is_empty() => {
                    tracing::info!(
                        pod,
                        "its process hands its work on, since the pod is being deleted"
                    );
                }
                Ok(reply) => tracing::debug!(pod, refused = reply.refused, "it stays"),
                Err(error) => tracing::debug!(pod, %error, "not told of its deletion"),
            }
        });
    }
}

/// Address and UID of a worker's pod that is being deleted and may still run.
fn whom_to_tell(pod: &Pod) -> Option<(String, String)> {
    pod.metadata.deletion_timestamp.as_ref()?;
    let ip = pod.status.as_ref()?.pod_ip.clone()?;
    Some((ip, pod.uid()?)).filter(|_| component(pod) == Some("worker"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::names;

    fn pod(component: &str, ip: Option<&str>, deleted: bool) -> Pod {
        let deleted = deleted.then_some("2030-01-01T00:00:00Z");
        let pod = json!({
            "metadata": {
                "name": "a-r1-0",
                "uid": "u",
                "labels": {names::COMPONENT: component},
                "deletionTimestamp": deleted,
            },
            "status": {"podIP": ip},
        });
        serde_json::from_value(pod).expect("a pod")
    }

    #[test]
    fn only_a_workers_pod_that_is_being_deleted_is_told() {
        let told = whom_to_tell(&pod("worker", Some("10.0.0.1"), true));
        assert_eq!(told, Some(("10.0.0.1".to_owned(), "u".to_owned())));
        for stays in [
            pod("worker", Some("10.0.0.1"), false),
            pod("plan", Some("10.0.0.1"), true),
            pod("worker", None, true),
        ] {
            assert_eq!(whom_to_tell(&stays), None);
        }
    }
}

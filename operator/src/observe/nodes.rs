//! Whether a node is lost: its heartbeat has stood still by this process's own monotonic clock.
//!
//! The time written in a Lease is the node's, and may be wrong. Only that it changes counts, and
//! how long it has not is measured here. A new operator measures anew: it gives up a node later,
//! never sooner.

use std::collections::HashMap;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client};
use parking_lot::Mutex;

use crate::clock::Clock;

/// Where kubelets renew their Leases.
const NAMESPACE: &str = "kube-node-lease";
/// What the node controller puts on a node that does not answer.
const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Nodes that are remembered; more than a cluster has.
const MOST: usize = 20_000;

/// The heartbeats of nodes under suspicion, and since when each has stood still.
#[derive(Debug, Default)]
pub struct Heartbeats {
    seen: Mutex<HashMap<String, (Option<Timestamp>, Duration)>>,
}

impl Heartbeats {
    /// Whether `node` is gone, or has been silent for `timeout` and is known as unreachable. A
    /// read that fails proves nothing.
    pub async fn is_lost(
        &self,
        client: &Client,
        clock: &Clock,
        node: &str,
        timeout: Duration,
    ) -> bool {
        let nodes: Api<Node> = Api::all(client.clone());
        let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
        let (found, lease) = futures::join!(nodes.get_opt(node), leases.get_opt(node));
        let (Ok(found), Ok(lease)) = (found, lease) else { return false };
        let renewed =
            lease.and_then(|lease| lease.spec).and_then(|spec| spec.renew_time).map(|time| time.0);
        let still = self.still_for(clock.elapsed(), node, renewed);
        let unreachable = found.is_none_or(|node| {
            let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
            taints.iter().any(|taint| taint.key == UNREACHABLE)
        });
        unreachable && still >= timeout
    }

    fn still_for(&self, now: Duration, node: &str, renewed: Option<Timestamp>) -> Duration {
        let mut seen = self.seen.lock();
        if seen.len() >= MOST {
            seen.clear();
        }
        let entry = seen.entry(node.to_owned()).or_insert((renewed, now));
        if entry.0 != renewed {
            *entry = (renewed, now);
        }
        now.saturating_sub(entry.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_heartbeat_that_stands_still_by_our_own_clock_counts_as_silence() {
        let beats = Heartbeats::default();
        let at = |second: i64| Some(Timestamp::from_second(second).unwrap());
        let secs = Duration::from_secs;
        // A Lease an hour old at the first look proves nothing yet.
        assert_eq!(beats.still_for(secs(100), "a", at(1)), secs(0));
        assert_eq!(beats.still_for(secs(130), "a", at(1)), secs(30));
        // It beats again, even with a time that lies before.
        assert_eq!(beats.still_for(secs(140), "a", at(0)), secs(0));
        assert_eq!(beats.still_for(secs(180), "a", at(0)), secs(40));
        assert_eq!(beats.still_for(secs(180), "b", None), secs(0));
    }
}

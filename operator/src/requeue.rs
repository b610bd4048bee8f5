//! What a process need not do again: reads whose answer cannot have changed by its own doing, and
//! looks at jobs in which nothing happens.
//!
//! - **Always**: a decision rests on what its own round has read. What is remembered here only puts
//!   off repairing what others have changed behind the operator's back, and a fresh process
//!   remembers nothing.

use std::collections::HashMap;
use std::time::Duration;

use kube::ResourceExt;
use parking_lot::Mutex;

use crate::decide::{Facts, POLL, Plan};
use crate::names;
use crate::observe::Observed;

/// Children that were found as they should be are looked at again after this time. They are not
/// watched: every watch more makes all of them slower to come back, since after an error the
/// controller waits for all of them together, longer each time.
const CHILDREN_HOLD: Duration = Duration::from_secs(60);
/// Longest time between two looks at a job in which nothing happens. Its pods are watched: what
/// stops it is seen at once.
const LONGEST: Duration = Duration::from_secs(30);

/// What is remembered about jobs, by namespace and name.
#[derive(Debug, Default)]
pub struct RequeueCache {
    jobs: Mutex<HashMap<String, Job>>,
}

#[derive(Debug, Default)]
struct Job {
    /// What its children should be, and when they were last seen to be so.
    children: Option<(String, Duration)>,
    /// What the last round saw, and how long it waited after it.
    seen: Option<(String, Duration)>,
}

fn key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

impl RequeueCache {
    /// Whether the children were seen to be as `wanted` not long ago.
    #[must_use]
    pub fn knows_children(&self, namespace: &str, name: &str, wanted: &str, now: Duration) -> bool {
        let jobs = self.jobs.lock();
        let children = jobs.get(&key(namespace, name)).and_then(|job| job.children.as_ref());
        children.is_some_and(|(was, at)| was == wanted && now.saturating_sub(*at) < CHILDREN_HOLD)
    }

    /// The children are as `wanted`.
    pub fn remember_children(&self, namespace: &str, name: &str, wanted: String, now: Duration) {
        let mut jobs = self.jobs.lock();
        jobs.entry(key(namespace, name)).or_default().children = Some((wanted, now));
    }

    /// When to look again at a job after `plan`: as it says, and ever less often at one that runs
    /// while nothing happens in it.
    #[must_use]
    pub fn after(&self, observed: &Observed, facts: &Facts, plan: &Plan) -> Duration {
        if plan.again != POLL || plan.view.operation.is_some() {
            return plan.again;
        }
        self.next(&facts.job.namespace, &facts.job.name, seen(observed, facts), plan.again)
    }

    /// When to look again at a job that is as `seen`: later each time that it has not changed.
    #[must_use]
    pub fn next(&self, namespace: &str, name: &str, seen: String, first: Duration) -> Duration {
        let mut jobs = self.jobs.lock();
        let job = jobs.entry(key(namespace, name)).or_default();
        let pause = match &job.seen {
            Some((was, pause)) if *was == seen => (*pause * 2).min(LONGEST).max(first),
            _ => first,
        };
        job.seen = Some((seen, pause));
        pause
    }

    /// The job is gone.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.jobs.lock().remove(&key(namespace, name));
    }
}

/// Everything that changes when something happens in a job that runs.
fn seen(observed: &Observed, facts: &Facts) -> String {
    let version = observed.job.resource_version();
    let versions = observed.sets.iter().map(|(_, it)| &it.resource_version);
    let versions: Vec<&String> =
        versions.chain(observed.pods.iter().map(|(_, it)| &it.resource_version)).collect();
    let reports = facts.pods.iter().map(|pod| {
        let report = pod.report.as_ref()?;
        let coordinates = report.coordinating.as_ref().map(|coordinating| {
            let status = coordinating.status.as_ref();
            let status = status.map(|it| (it.term, it.state, it.parallelism, it.restarts));
            let problems = [
                &coordinating.source_problem,
                &coordinating.task_problem,
                &coordinating.checkpoint_problem,
            ];
            (coordinating.head, coordinating.published, &coordinating.end, problems, status)
        });
        Some((report.attached, &report.incarnation, coordinates))
    });
    let reports: Vec<_> = reports.collect();
    names::short_hash(&[&format!("{version:?} {versions:?} {reports:?}")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_does_not_change_is_looked_at_less_and_less_often() {
        let pace = RequeueCache::default();
        let first = Duration::from_secs(5);
        let looks = |seen: &str| pace.next("shop", "flights", seen.to_owned(), first).as_secs();
        let quiet: Vec<u64> = (0..5).map(|_| looks("epoch 1")).collect();
        assert_eq!(quiet, [5, 10, 20, 30, 30]);
        assert_eq!(looks("epoch 2"), 5);
    }

    #[test]
    fn children_are_looked_at_again_when_they_are_to_change_and_after_a_while() {
        let pace = RequeueCache::default();
        let knows = |wanted, now| pace.knows_children("shop", "flights", wanted, now);
        let (early, late) = (Duration::from_secs(1), Duration::from_secs(61));
        assert!(!knows("a", early));
        pace.remember_children("shop", "flights", "a".to_owned(), early);
        assert!(knows("a", early) && !knows("b", early) && !knows("a", late));
    }
}

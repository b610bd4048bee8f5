//! Who coordinates a job, by the reports of its pods.

use weir_crds::kube::CoordinatorStatus;

use super::facts::{Facts, SetFacts};
use crate::workers::{CoordinatorReport, JobEnd, RunState, job_end};

impl Facts {
    /// The process that coordinates a revision's job: of those that say so the newest term, and
    /// not one that was fenced.
    #[must_use]
    pub fn coordinator(&self, revision: &str) -> Option<Coordinator<'_>> {
        self.pods
            .iter()
            .filter(|pod| pod.revision == revision)
            .filter_map(|pod| {
                let report = pod.report.as_ref()?;
                let view = report.coordinating.as_ref()?;
                let status = view.status.as_ref()?;
                let ours = report.job_uid.is_empty() || report.job_uid == self.job.uid;
                let end = view.end.as_ref();
                let fenced = end.is_some_and(|end| end.kind() == job_end::Kind::Fenced);
                (ours && !fenced).then_some(Coordinator {
                    ip: pod.ip.as_deref()?,
                    pod: &pod.name,
                    incarnation: &report.incarnation,
                    term: status.term.max(report.term),
                    view,
                    end,
                    state: status.state(),
                    parallelism: status.parallelism,
                })
            })
            .max_by_key(|coordinator| coordinator.term)
    }

    /// Whether anything says that the job has published.
    #[must_use]
    pub fn has_published(&self) -> bool {
        let by_its_coordinator = |set: &SetFacts| {
            let coordinator = self.coordinator(&set.revision);
            !set.deleting && coordinator.is_some_and(|it| it.has_published())
        };
        self.published || self.sets.iter().any(by_its_coordinator)
    }

    /// The coordinator that the status shows, where `now` had to take the job over from it: the
    /// same revision runs, in another process, under a later term.
    #[must_use]
    pub fn predecessor(
        &self,
        running: Option<&str>,
        now: &Coordinator<'_>,
    ) -> Option<&CoordinatorStatus> {
        let was = &self.status;
        let before = was.coordinator.as_ref()?;
        let current = was.revisions.as_ref().and_then(|revisions| revisions.current.as_deref());
        let later = was.term.is_some_and(|term| term < now.term) && now.view.restored_epoch > 0;
        let same = running.is_some() && current == running;
        (same && later && before.process != now.incarnation).then_some(before)
    }
}

/// A job's coordinator, as it reports itself.
#[derive(Clone, Copy, Debug)]
pub struct Coordinator<'a> {
    /// Where it can be called.
    pub ip: &'a str,
    /// Its pod.
    pub pod: &'a str,
    /// Its process.
    pub incarnation: &'a str,
    /// Its term.
    pub term: u64,
    /// What it says.
    pub view: &'a CoordinatorReport,
    /// How the job ended in it.
    pub end: Option<&'a JobEnd>,
    /// `Running`, `Starting`, …
    pub state: RunState,
    /// Subtasks that every operator has.
    pub parallelism: u32,
}

impl Coordinator<'_> {
    /// The job does its work and has a checkpoint that it could be restored from.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let saved = self.view.checkpoint_at_ms > 0 || self.view.restored_epoch > 0;
        self.end.is_none()
            && saved
            && matches!(self.state, RunState::Running | RunState::Rescaling | RunState::Stopping)
    }

    /// It holds a chain of its own: one that it was refused, because it is another job's or gone,
    /// is not.
    #[must_use]
    pub fn has_published(&self) -> bool {
        self.is_ready() || self.view.published > 0 || self.view.restored_epoch > 0
    }

    /// Pods that the job needs: one more than the highest ordinal that runs tasks.
    #[must_use]
    pub fn needs(&self) -> u32 {
        self.view.assigned.iter().map(|ordinal| ordinal + 1).max().unwrap_or(0)
    }
}

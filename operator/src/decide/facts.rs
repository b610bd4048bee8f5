//! Everything that a plan rests on, read before it and never during it.

use k8s_openapi::jiff::Timestamp;
use serde::{Deserialize, Serialize};
use weir_crds::kube::StreamJobStatus;
use weir_crds::{Deletion, DesiredState};

use crate::validate::Refusal;
use crate::workers::WorkerReport;

/// What is known about a job and everything that belongs to it.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The time of day.
    pub now: Timestamp,
    /// What is asked for.
    pub job: JobFacts,
    /// Nothing can be created in the job's namespace any more.
    pub namespace_terminating: bool,
    /// The revision that the spec stands for, or why it is refused.
    pub target: Result<Target, Refusal>,
    /// The job's StatefulSets.
    pub sets: Vec<SetFacts>,
    /// Worker pods, of all revisions.
    pub pods: Vec<PodFacts>,
    /// The pod that deletes the state of a deleted job.
    pub state_pod: Option<OneShot>,
    /// Pods that plan a program in its own image.
    pub plan_pods: Vec<PlanPod>,
    /// What of the job's children the cluster does not let it have, such as a name that is taken.
    pub blocked: Option<Refusal>,
    /// An operation that its coordinator did not begin when it was asked last.
    pub not_begun: Option<NotBegun>,
    /// The last end of a worker process that Kubernetes knows of.
    pub last_failure: Option<LastFailure>,
    /// The status that stands. It says what has been said, and when; no action rests on it.
    pub status: StreamJobStatus,
    /// It is known from elsewhere than the coordinators that the job has published.
    pub published: bool,
}

/// What a user asks of a job, apart from its program.
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its UID.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// Whether it is to run.
    pub desired: DesiredState,
    /// Subtasks that are wanted of every operator.
    pub parallelism: u32,
    /// A start that takes longer counts as failed.
    pub progress_deadline: std::time::Duration,
    /// What is to be done before it goes.
    pub deletion: Deletion,
    /// Since when it is being deleted.
    pub deleted_at: Option<Timestamp>,
    /// The finalizer stands, so it was accepted once.
    pub has_finalizer: bool,
    /// It says itself with which defaults it was accepted.
    pub defaults_recorded: bool,
    /// It says itself that it has published.
    pub published_recorded: bool,
    /// A job without a checkpoint for so long is not well.
    pub unhealthy_after: std::time::Duration,
}

/// What the spec stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Hash over what needs a restart.
    pub revision: String,
    /// Its image.
    pub image: String,
    /// The root of its state.
    pub root: String,
    /// What a running coordinator said about it; a program in another image is planned by a pod.
    pub check: PlanCheck,
}

/// What is known about a revision's program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanCheck {
    /// Nobody was asked yet.
    Unknown,
    /// It can take the running job's place.
    Fits,
    /// It cannot.
    Refused(Refusal),
}

/// A StatefulSet: the pods of one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetFacts {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The revision that its pods run.
    pub revision: String,
    /// The image that its pods run.
    pub image: String,
    /// Pods that are asked for.
    pub replicas: u32,
    /// It is being deleted, or is to be.
    pub deleting: bool,
    /// It belongs to an earlier job of this name, and nobody has deleted it yet.
    pub former: bool,
    /// It bears an owner reference of earlier versions.
    pub tied: bool,
    /// It records that the job has published, below this root.
    pub published: Option<String>,
    /// How its job ended; only meaningful with 0 replicas.
    pub stopped: Option<Stopped>,
    /// When its pods were asked for.
    pub since: Timestamp,
    /// Since when it is to be stopped although nobody coordinates it.
    pub stopping: Option<Timestamp>,
    /// Revisions that its pods may take the job over from, newest first.
    pub supersedes: Vec<String>,
    /// The newest revision known to be stable when this was written, itself or an older one.
    pub stable: Option<String>,
    /// Why Kubernetes creates no pods for it, when it says so.
    pub problem: Option<Problem>,
}

/// Predecessors that a set remembers. The chain's head names one revision only; more than one is
/// in question where successors never came to run.
const MAX_SUPERSEDED: usize = 16;

/// Revisions that pods of `revision` may take the job over from: those of the other sets, and
/// those that any set was made to supersede, since a successor may never have come to run.
#[must_use]
pub fn predecessors<'a>(
    revision: &str,
    sets: impl IntoIterator<Item = &'a SetFacts>,
) -> Vec<String> {
    let mut sets: Vec<&SetFacts> = sets.into_iter().collect();
    sets.sort_by_key(|set| std::cmp::Reverse(set.since));
    let known = sets.iter().map(|set| &set.revision);
    let known = known.chain(sets.iter().flat_map(|set| &set.supersedes));
    let mut found: Vec<String> = Vec::new();
    for other in known.filter(|other| *other != revision) {
        if !found.contains(other) && found.len() < MAX_SUPERSEDED {
            found.push(other.clone());
        }
    }
    found
}

/// How a job ended: what its coordinator said last, kept on its StatefulSet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stopped {
    /// Finished, Stopped, Drained, or Lost where nobody could be asked.
    pub kind: StopKind,
    /// Name of the savepoint; empty without one.
    pub savepoint: String,
    /// Its place.
    pub path: String,
    /// Its epoch.
    pub epoch: u64,
    /// What its coordinator said of it; empty where nobody could be asked.
    pub message: String,
    /// The parallelism that the job had.
    pub parallelism: u32,
    /// When it was seen to have ended, in milliseconds since 1970.
    pub at_ms: i64,
}

/// The ways in which pods come to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopKind {
    /// All sources have ended and everything is committed.
    Finished,
    /// Behind a savepoint.
    Stopped,
    /// Behind the last result, because Drained was asked for.
    Drained,
    /// Without one: it had never run, had failed, or could not be reached.
    #[default]
    Lost,
}

/// A worker pod.
#[derive(Clone, Debug, Default)]
pub struct PodFacts {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// The revision that it runs.
    pub revision: String,
    /// Its place in the set.
    pub ordinal: u32,
    /// Its readiness probe succeeds.
    pub ready: bool,
    /// It is being deleted.
    pub deleting: bool,
    /// Where it can be called; none before it has an address.
    pub ip: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// Its node has been silent for longer than the job bears.
    pub node_lost: bool,
    /// What keeps it from working.
    pub problem: Option<Problem>,
    /// Container restarts.
    pub restarts: u32,
    /// What it answered this round.
    pub report: Option<WorkerReport>,
}

/// What keeps a pod from working.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The pod or set.
    pub object: String,
    /// One word, such as `ImagePullBackOff`.
    pub reason: String,
    /// Place, cause and fix.
    pub message: String,
    /// How long it may last.
    pub class: ProblemClass,
    /// The process's exit code, when it ended.
    pub exit_code: Option<i32>,
}

/// How long a problem lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProblemClass {
    /// It may pass by itself: no room on any node, a restart.
    Passing,
    /// It stays until a person acts: an image that does not exist, a missing Secret.
    Lasting,
    /// The worker refused its program or manifest.
    Refused,
}

/// The pod that plans a revision's program in the revision's own image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanPod {
    /// Its name.
    pub name: String,
    /// The revision.
    pub revision: String,
    /// How it fares.
    pub outcome: OneShot,
    /// What keeps it from an answer, or the answer that the program does not fit.
    pub problem: Option<Problem>,
    /// It is being deleted.
    pub deleting: bool,
}

/// A pod that runs one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OneShot {
    /// It has not ended.
    Running,
    /// It has done its work.
    Succeeded,
    /// It has not; its last words.
    Failed(String),
}

/// The end of a worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastFailure {
    /// Its pod.
    pub pod: String,
    /// One word.
    pub reason: String,
    /// Its exit code.
    pub exit_code: i32,
    /// Its words.
    pub message: String,
}

/// An operation that a coordinator did not begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotBegun {
    /// Its id.
    pub id: String,
    /// The coordinator's words.
    pub message: String,
}

impl Facts {
    /// The job was taken: whatever it becomes, its state is seen to, and its defaults are fixed.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.job.has_finalizer && self.job.defaults_recorded
    }

    /// The set of a revision, unless it is being deleted.
    #[must_use]
    pub fn set(&self, revision: &str) -> Option<&SetFacts> {
        self.sets.iter().find(|set| set.revision == revision && !set.deleting)
    }

    /// The set whose pods do, or should do, the work: the spec's own, or the one it replaces.
    #[must_use]
    pub fn acting(&self) -> Option<&SetFacts> {
        let alive = |set: &&SetFacts| set.replicas > 0 && !set.deleting;
        // A set to be replaced comes first: the spec's own starts only after it.
        let wanted = self.target.as_ref().ok().map(|target| target.revision.as_str());
        let old = self.sets.iter().filter(alive).find(|set| Some(set.revision.as_str()) != wanted);
        old.or_else(|| self.sets.iter().find(alive))
    }

    /// The newest revision that has published checkpoints for a while.
    #[must_use]
    pub fn stable(&self) -> Option<&str> {
        let known = self.sets.iter().filter(|set| set.stable.is_some());
        known.max_by_key(|set| set.since)?.stable.as_deref()
    }

    /// The revision of a set, by the set's name.
    #[must_use]
    pub fn revision_of(&self, set: &str) -> Option<&String> {
        self.sets.iter().find(|it| it.name == set).map(|it| &it.revision)
    }

    /// Pods of a revision.
    pub fn pods_of<'a>(&'a self, revision: &'a str) -> impl Iterator<Item = &'a PodFacts> {
        self.pods.iter().filter(move |pod| pod.revision == revision)
    }

    /// The worst that keeps a revision's pods from working.
    #[must_use]
    pub fn problem(&self, revision: &str) -> Option<&Problem> {
        let of_set = self.set(revision).and_then(|set| set.problem.as_ref());
        self.pods
            .iter()
            .filter(|pod| pod.revision == revision)
            .filter_map(|pod| pod.problem.as_ref())
            .chain(of_set)
            .max_by_key(|problem| problem.class)
    }

    /// Revisions that pods of `revision` may take the job over from.
    #[must_use]
    pub fn predecessors(&self, revision: &str) -> Vec<String> {
        predecessors(revision, &self.sets)
    }
}

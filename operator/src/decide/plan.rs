//! What a decision consists of: the actions, the conditions and the events of one round.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use weir_crds::kube::JobState;

use super::facts::{SetFacts, Stopped};
use super::{IDLE, SOON};
use crate::validate::Refusal;
use crate::workers::Operation;

/// What is to be done now, and what is to be said about the job.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is to be done.
    pub actions: Actions,
    /// What the status is to say, in the words of conditions.
    pub conditions: Vec<Condition>,
    /// What is to be told once.
    pub events: Vec<Event>,
    /// What the status shows beside its conditions, and what they are made from.
    pub view: View,
    /// When to look again, if nothing happens before.
    pub again: Duration,
}

/// What is to be done, carried out in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Actions {
    /// The job is to be taken: it gets its finalizer, and its defaults are fixed. Nothing else is
    /// done then, since everything else rests on it.
    pub accept: bool,
    /// It is to be recorded on the job that it has published, below this root. Nothing else is done
    /// then either.
    pub record_published: Option<String>,
    /// Services, budget and network policy are to exist, pointing at this revision.
    pub serve: Option<String>,
    /// Changes of existing sets.
    pub scale: Vec<Scale>,
    /// A set to be created for the spec's revision, with this many pods.
    pub create: Option<u32>,
    /// Sets to be deleted, by name.
    pub delete_sets: Vec<String>,
    /// Pods of dead nodes, by name, to be deleted without waiting for their node.
    pub give_up: Vec<String>,
    /// Pods that plan, by name, to be deleted: their answers have been heard, or are not wanted.
    pub delete_plans: Vec<String>,
    /// The pod that plans the spec's program in its own image is to exist.
    pub plan_pod: bool,
    /// The pod that deletes the state is to exist.
    pub collect_state: bool,
    /// The finalizer is to be removed.
    pub release: bool,
    /// An operation to be begun, and where.
    pub begin: Option<(String, Operation)>,
}

/// A change of a set that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    /// The set.
    pub name: String,
    /// Pods that it is to have.
    pub replicas: u32,
    /// How its job ended, written together with 0 replicas.
    pub stopped: Option<Stopped>,
    /// When its pods were asked for; set anew when it is resumed.
    pub since: Timestamp,
    /// Since when it is to be stopped although nobody coordinates it.
    pub stopping: Option<Timestamp>,
    /// Set when the set is resumed: revisions that its new pods take the job over from.
    pub supersedes: Option<Vec<String>>,
    /// The newest revision known to be stable.
    pub stable: Option<String>,
    /// The root below which the job has published; its next pods do not start without that state.
    pub published: Option<String>,
}

impl Scale {
    /// The set as it is.
    #[must_use]
    pub fn keep(set: &SetFacts) -> Self {
        Self {
            name: set.name.clone(),
            replicas: set.replicas,
            stopped: set.stopped.clone(),
            since: set.since,
            stopping: set.stopping,
            supersedes: None,
            stable: set.stable.clone(),
            published: set.published.clone(),
        }
    }
}

/// What the status shows beside its conditions, and what they are made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// What the job is doing, in one word.
    pub state: JobState,
    /// The operation that is under way.
    pub operation: Option<OperationView>,
    /// Why the spec is not carried out.
    pub refusal: Option<Refusal>,
    /// What keeps it from doing well, for the condition `Degraded`.
    pub degraded: Option<Degraded>,
    /// It does not get better without a person, for the condition `Stalled`.
    pub stalled: bool,
    /// The revision that runs.
    pub running: Option<String>,
}

/// Why a job does not do as well as it should, as its condition says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degraded {
    /// One word for machines.
    pub reason: &'static str,
    /// For people: place, cause and fix.
    pub message: String,
}

impl Degraded {
    /// Degraded for `reason`.
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl From<Refusal> for Degraded {
    fn from(refusal: Refusal) -> Self {
        let Refusal { reason, message } = refusal;
        Self { reason, message }
    }
}

/// An operation that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationView {
    /// A function of what it goes from and to.
    pub id: String,
    /// Start, Rescale, Upgrade, Suspend, Drain, Delete.
    pub kind: &'static str,
    /// The step that it is at.
    pub step: &'static str,
    /// How often the step has been tried.
    pub attempt: u32,
    /// What it waits for.
    pub message: String,
    /// When it is given up.
    pub deadline: Option<Timestamp>,
}

/// Something to be told once, as an event of the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// It needs a person's attention.
    pub warning: bool,
    /// One word for machines.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Events of the same reason, key and message are the same event.
    pub key: String,
}

impl Event {
    /// Good or neutral news.
    pub fn normal(reason: &'static str, key: &str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, message: message.into(), key: key.to_owned() }
    }

    /// Something that needs a person's attention.
    pub fn warning(reason: &'static str, key: &str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, message: message.into(), key: key.to_owned() }
    }
}

impl Plan {
    /// Does nothing and says `state`.
    #[must_use]
    pub(super) fn rest(state: JobState) -> Self {
        Self {
            actions: Actions::default(),
            conditions: Vec::new(),
            events: Vec::new(),
            view: View {
                state,
                operation: None,
                refusal: None,
                degraded: None,
                stalled: false,
                running: None,
            },
            again: IDLE,
        }
    }

    /// Shows an operation that is under way.
    pub(super) fn operation(
        &mut self,
        id: String,
        (kind, step): (&'static str, &'static str),
        message: impl Into<String>,
    ) {
        let message = message.into();
        let view = OperationView { id, kind, step, attempt: 1, message, deadline: None };
        self.view.operation = Some(view);
        self.again = SOON;
    }

    /// Says how often the step of the operation has been tried.
    pub(super) fn attempt(&mut self, attempt: u32) {
        if let Some(operation) = &mut self.view.operation {
            operation.attempt = attempt;
        }
    }
}

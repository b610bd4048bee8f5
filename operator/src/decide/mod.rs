//! The lifecycle: from what is known about a job to what is to be done next. Pure.
//!
//! - **In**: [`Facts`]. **Out**: one [`Decision`].
//! - **Always**: a decision follows from facts that outlive this process, so another operator, or
//!   this one after a crash, decides the same. Taking the same decision twice does no harm.
//! - **Deliberately absent**: waiting. What takes time is looked at again in the next round.
//!
//! ```text
//!            no set           set alive                  set at 0 replicas
//!  Running   create ────────► rescale, replace ◄──────── resume (unless Finished)
//!  Suspended nothing          stop with savepoint ─────► stays
//!  Drained   nothing          drain ───────────────────► stays
//!  deleted   release          stop with savepoint ─────► delete set, state, release
//!
//!  stop: Begin(op-…) ─► coordinator reports its end ─► one write: end noted, 0 replicas
//! ```

mod delete;
mod facts;
mod plan;
mod run;
mod stop;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use facts::{
    Coordinator, Facts, JobFacts, OneShot, Plan, PlanPod, PodFacts, SetFacts, StopKind, Stopped,
    Target, Trouble, TroubleClass, predecessors,
};
use k8s_openapi::jiff::Timestamp;
use weir_crds::DesiredState;
use weir_crds::kube::JobState;

use crate::names::operation_id;
use crate::validate::Refusal;
use crate::workers::Operation;

/// The next look while something is under way.
pub const SOON: Duration = Duration::from_millis(500);
/// The next look at a job that runs.
pub const POLL: Duration = Duration::from_secs(5);
/// The next look at a job that ends by itself: somebody may wait for its end.
pub const BOUNDED: Duration = Duration::from_secs(2);
/// The next look at a job that neither runs nor changes.
pub const IDLE: Duration = Duration::from_secs(60);

/// What to do now. Carried out in the order of the fields.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Services, budget and network policy are to exist, pointing at this revision.
    pub serve: Option<String>,
    /// Changes of existing sets.
    pub scale: Vec<Scale>,
    /// A set to be created for the spec's revision, with this many pods.
    pub create: Option<u32>,
    /// Sets to be deleted, by name.
    pub delete_sets: Vec<String>,
    /// Ask the coordinator at this address to plan the spec's manifest.
    pub ask_plan: Option<String>,
    /// The pod that plans the spec's program in its own image is to exist.
    pub plan_pod: bool,
    /// Pods that plan, by name, to be deleted: their answers have been heard, or are not wanted.
    pub delete_plans: Vec<String>,
    /// An operation to be begun, and where.
    pub begin: Option<(String, Operation)>,
    /// Pods of dead nodes, by name, to be deleted without waiting for their node.
    pub give_up: Vec<String>,
    /// The pod that deletes the state is to exist.
    pub collect_state: bool,
    /// The finalizer is to be removed.
    pub release: bool,
    /// What to say about the job.
    pub view: View,
    /// What to tell the user once.
    pub notes: Vec<Note>,
    /// When to look again, if nothing happens before.
    pub again: Duration,
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

/// What to say about the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// In one word.
    pub state: JobState,
    /// The operation that is under way.
    pub operation: Option<OperationView>,
    /// Why the spec is not carried out.
    pub refusal: Option<Refusal>,
    /// What a person has to look at.
    pub problem: Option<Refusal>,
    /// It does not get better without a person.
    pub stuck: bool,
    /// The revision that runs.
    pub running: Option<String>,
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

/// Something to be told once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// It needs a person's attention.
    pub warning: bool,
    /// One word for machines.
    pub reason: &'static str,
    /// For people.
    pub message: String,
    /// Notes of the same reason and key are the same note.
    pub key: String,
}

impl Note {
    /// Good or neutral news.
    pub fn normal(reason: &'static str, key: &str, message: impl Into<String>) -> Self {
        Self { warning: false, reason, message: message.into(), key: key.to_owned() }
    }

    /// Something that needs a person's attention.
    pub fn warning(reason: &'static str, key: &str, message: impl Into<String>) -> Self {
        Self { warning: true, reason, message: message.into(), key: key.to_owned() }
    }
}

impl Decision {
    /// Does nothing and says `state`.
    #[must_use]
    pub fn rest(state: JobState) -> Self {
        Self {
            serve: None,
            scale: Vec::new(),
            create: None,
            delete_sets: Vec::new(),
            ask_plan: None,
            plan_pod: false,
            delete_plans: Vec::new(),
            begin: None,
            give_up: Vec::new(),
            collect_state: false,
            release: false,
            view: View {
                state,
                operation: None,
                refusal: None,
                problem: None,
                stuck: false,
                running: None,
            },
            notes: Vec::new(),
            again: IDLE,
        }
    }

    fn operation(
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

    fn attempt(&mut self, attempt: u32) {
        if let Some(operation) = &mut self.view.operation {
            operation.attempt = attempt;
        }
    }
}

/// Decides what to do next.
#[must_use]
pub fn decide(facts: &Facts) -> Decision {
    let mut decision = decide_lifecycle(facts);
    decision.delete_plans = plan::not_wanted(facts, decision.plan_pod);
    let former = facts.sets.iter().filter(|set| set.former).map(|set| set.name.clone());
    decision.delete_sets.extend(former);
    note_on_sets(facts, &mut decision);
    decision
}

/// What has to stand on a set and does not: that the job has published, for its next pods, and
/// whose it is, where an earlier version said so in a way for which no deletion waits. One change
/// of a set a round.
fn note_on_sets(facts: &Facts, decision: &mut Decision) {
    let root = facts.target.as_ref().ok().map(|target| target.root.clone());
    let stays = |set: &&SetFacts| !set.deleting && !decision.delete_sets.contains(&set.name);
    let sets: Vec<&SetFacts> = facts.sets.iter().filter(stays).collect();
    for set in sets {
        let has_published = facts.coordinator(&set.revision).is_some_and(|it| it.has_published());
        let mut known = (facts.published || has_published) && facts.job.deleted_at.is_none();
        let scale = decision.scale.iter_mut().find(|scale| scale.name == set.name);
        if let Some(stopped) = scale.as_ref().and_then(|scale| scale.stopped.as_ref()) {
            known |= stopped.epoch > 0;
        }
        let published = set.published.clone().or_else(|| root.clone().filter(|_| known));
        match scale {
            Some(scale) => scale.published = published,
            None if set.tied || published != set.published => {
                decision.scale.push(Scale { published, ..Scale::keep(set) });
            }
            None => {}
        }
    }
}

fn decide_lifecycle(facts: &Facts) -> Decision {
    if facts.job.deleted_at.is_some() {
        return delete::decide(facts);
    }
    let mut decision = match facts.job.desired {
        DesiredState::Running => run::decide(facts),
        DesiredState::Suspended => stop::decide(facts, stop::Goal::Suspend),
        DesiredState::Drained => stop::decide(facts, stop::Goal::Drain),
    };
    if let Err(refusal) = &facts.target {
        decision.view.refusal = Some(refusal.clone());
    }
    if let Some(blocked) = &facts.blocked {
        decision.notes.push(Note::warning(blocked.reason, &facts.job.uid, blocked.message.clone()));
        decision.view.problem.get_or_insert(blocked.clone());
        decision.view.stuck |= facts.job.desired == DesiredState::Running;
        decision.again = decision.again.min(POLL);
    }
    decision.give_up.extend(lost_pods(facts));
    for pod in &decision.give_up {
        decision.notes.push(Note::warning(
            "NodeLost",
            pod,
            format!(
                "pod {pod} is given up: its node has been silent for longer than \
                 spec.nodeLostTimeout; a new one starts on another node"
            ),
        ));
    }
    decision
}

/// Id of an operation that the coordinator has not refused yet, and which attempt it is. Its refusals stand in its reports,
/// of which it keeps a bounded number, so that a later attempt has an id of its own and yet needs
/// no record here.
fn unrefused(coordinator: &Coordinator<'_>, parts: &[&str]) -> (String, u32) {
    let refused = |id: &str| {
        let status = coordinator.view.status.as_ref();
        status.is_some_and(|status| {
            status.operations.iter().any(|report| report.id == id && !report.refused.is_empty())
        })
    };
    let (mut id, mut tries) = (operation_id(parts), 1);
    for attempt in 1..ATTEMPTS {
        if !refused(&id) {
            break;
        }
        tries = attempt + 1;
        let attempt = attempt.to_string();
        let again: Vec<&str> = parts.iter().copied().chain([attempt.as_str()]).collect();
        id = operation_id(&again);
    }
    (id, tries)
}

/// Attempts of one operation that have ids of their own.
const ATTEMPTS: u32 = 64;

/// Pods of dead nodes: nobody there would end them, and a StatefulSet never replaces a pod whose
/// end it has not seen. The fence in the chain keeps such a pod from doing harm if it lives.
fn lost_pods(facts: &Facts) -> impl Iterator<Item = String> {
    facts
        .pods
        .iter()
        .filter(|pod| pod.node_lost && pod.report.is_none())
        .map(|pod| pod.name.clone())
}

//! The coordinator's core: one event in, actions out; no I/O, no clock, no randomness.
//!
//! [`JobMaster`] owns the machines that a job's coordinator is made of. Each decides about its own
//! and knows none of the others; here an event goes to the one that it is for, and what comes of it
//! becomes an action, or the next one's event. What is deliberately absent: state of its own, but
//! for the chain's head, the time, and notes for others to see.
//!
//! | file | in which |
//! |---|---|
//! | [`messages`] | workers speak |
//! | [`change`] | one term follows another |
//! | [`running`] | the tasks run, or are held |
//! | [`attempts`] | a checkpoint comes about, or does not |
//! | [`failure`] | workers go, tasks fail, the work ends |
//! | [`status`] | all of it is shown |

mod attempts;
mod change;
mod failure;
mod messages;
mod running;
mod status;

use std::collections::BTreeSet;
use std::sync::Arc;

use weir_engine::EngineError;
use weir_protocol::control::{ToWorker, to_worker};
use weir_protocol::{OperatorUid, Term, VertexId, WorkerId};

use super::checkpoints::{self, Checkpoints};
use super::commits::{self, Commits};
use super::config::MasterConfig;
use super::event::{Action, Ending, Event, Found, Reply};
use super::head::Head;
use super::lifecycle::{self, Cause, Due, Facts, Lifecycle};
use super::placement::{self, Placement};
use super::plan::Plan;
use super::requests::{self, Requests};
use super::restorable::validate_restore;
use super::sources::{self, Sources};
use super::workers::Workers;
use failure::describe;
use status::Notes;

/// The coordinator of one job.
#[derive(Debug)]
pub struct JobMaster {
    config: Arc<MasterConfig>,
    plan: Arc<Plan>,
    /// The sinks that stage output.
    committers: BTreeSet<OperatorUid>,
    /// The newest manifest.
    head: Head,
    lifecycle: Lifecycle,
    workers: Workers,
    placement: Placement,
    sources: Sources,
    checkpoints: Checkpoints,
    commits: Commits,
    requests: Requests,
    notes: Notes,
    now: u64,
    out: Vec<Action>,
}

impl JobMaster {
    /// A coordinator that has heard nothing yet. `committers` are the sinks that stage output.
    #[must_use]
    pub fn new(config: MasterConfig, plan: Plan, committers: BTreeSet<OperatorUid>) -> Self {
        let (config, plan) = (Arc::new(config), Arc::new(plan));
        Self {
            committers,
            head: Head::default(),
            lifecycle: Lifecycle::new(config.clone()),
            workers: Workers::new(config.silence_ms),
            placement: Placement::new(config.parallelism.max(1), config.least_workers),
            sources: Sources::default(),
            checkpoints: Checkpoints::new(config.clone(), plan.clone()),
            commits: Commits::default(),
            requests: Requests::new(config.clone(), plan.max_parallelism),
            notes: Notes::default(),
            now: 0,
            out: Vec::new(),
            config,
            plan,
        }
    }

    /// Takes one event. `now_ms` is monotonic; the actions are to be done in order.
    pub fn on(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        self.now = self.now.max(now_ms);
        if let Some(ending) = self.lifecycle.ending() {
            if let Event::Request { id, .. } = event {
                let reply = Reply::Refused(format!("the job has ended: {}", describe(ending)));
                self.out.push(Action::Reply { id, reply });
            }
        } else {
            self.take(event);
            self.advance();
        }
        self.notes.mark(self.lifecycle.step_name(), self.now);
        let replies = self.out.iter().filter_map(|action| match action {
            Action::Reply { id, reply } => Some((*id, reply.clone())),
            _ => None,
        });
        for (id, reply) in replies.collect::<Vec<_>>() {
            self.tell_requests(requests::Event::Answered { id, reply });
        }
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Opened { head } => self.on_opened(head),
            Event::Message { link, message } => self.on_message(link, message),
            Event::LinkClosed { link } => {
                if let Some(worker) = self.workers.of_link(link) {
                    self.lose(worker, "its connection ended");
                }
            }
            Event::Sealed { head } => self.on_sealed(head),
            Event::SealFailed { message } => self.on_seal_failed(message),
            Event::Published { attempt, head } => self.on_published(attempt, head),
            Event::Voided { attempt, version, message } => {
                self.head.repeated_at(version);
                self.tell_checkpoints(checkpoints::Event::Failed { attempt, why: message });
            }
            Event::NotPublished { attempt, message } => {
                self.tell_checkpoints(checkpoints::Event::Failed { attempt, why: message });
            }
            Event::Undecided { attempt, message } => {
                self.tell_checkpoints(checkpoints::Event::Undecided { attempt, why: message });
            }
            Event::StoreProblem { message } => self.notes.failure = message,
            Event::Unusable { message } => self.end(Ending::Failed(message)),
            Event::Fenced { message } => self.end(Ending::Fenced(message)),
            Event::Look { looks } => self.notes.looks = looks,
            Event::StepDown => self.end(Ending::SteppedDown),
            Event::SavepointDone { name, result } => self.on_savepoint_done(name, result),
            Event::Discovered { term, vertex, result } if term == self.term() => {
                self.on_discovered(vertex, result);
            }
            Event::NotDiscovered { term, vertex, message } if term == self.term() => {
                let problem = format!("source \"{}\": {message}", self.plan.vertex_name(vertex));
                self.tell_sources(sources::Event::NotFound { vertex, problem });
            }
            Event::Discovered { .. } | Event::NotDiscovered { .. } | Event::Tick => {}
            Event::Request { id, request, operation } => {
                self.tell_requests(requests::Event::Asked { id, request, operation });
            }
        }
    }

    /// Does everything that has become possible or is due.
    fn advance(&mut self) {
        for worker in self.workers.find_silent(self.now) {
            self.lose(worker, &format!("it was silent for {} ms", self.config.silence_ms));
        }
        for worker in self.workers.find_late(self.now) {
            self.lose(worker, "its tasks did not stop in time");
        }
        // Each turn changes the state, and no cycle of states is possible without an event.
        while self.advance_once() {}
        self.dispatch_commits();
    }

    /// One transition; false when nothing is due.
    fn advance_once(&mut self) -> bool {
        if self.lifecycle.ending().is_some() {
            return false;
        }
        let late = self.checkpoints.on(checkpoints::Event::Tick, self.now);
        if late.is_some() {
            self.follow_checkpoints(late);
            return true;
        }
        let Some(due) = self.lifecycle.decide_due(self.facts(), self.now) else {
            return false;
        };
        match due {
            Due::Seal(why) => self.seal(why),
            Due::Deploy => self.deploy(),
            Due::Run => self.tell_lifecycle(lifecycle::Event::Running),
            Due::Fail { message, cause } => self.fail_tasks(message, cause),
            Due::Choose => return self.choose_next(),
            Due::Resume { attempt } => self.give_up_commits(attempt),
            Due::Finish => self.end(Ending::Finished),
            Due::Copy { name } => self.copy_last_savepoint(name),
        }
        true
    }

    fn facts(&self) -> Facts {
        Facts {
            workers: self.workers.len(),
            slots: self.workers.total_slots(),
            parallelism: self.placement.parallelism(),
            is_committed: self.commits.is_empty(),
            have_stopped: self.workers.have_stopped(),
        }
    }

    /// When to send [`Event::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        if self.lifecycle.ending().is_some() {
            return None;
        }
        let is_running = self.lifecycle.is_running();
        let may_begin = is_running && self.may_checkpoint() && !self.requests.is_draining();
        let mut at: Vec<u64> = self.workers.next_ms().collect();
        at.extend(self.lifecycle.next_ms(self.workers.len() > 0));
        at.extend(self.checkpoints.next_ms(may_begin, self.now));
        if self.lifecycle.is_in_term() {
            at.extend(self.commits.next_ms());
        }
        if is_running {
            at.extend(self.requests.next_ms());
            at.extend(self.wants_rebalance().then_some(self.requests.rebalance_after_ms()));
        }
        // A deadline that has passed and could not be acted on must not spin.
        at.into_iter().min().map(|at| if at <= self.now { self.now + 100 } else { at })
    }

    /// How the work ended, once it has.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        self.lifecycle.ending()
    }

    /// The term in force.
    #[must_use]
    pub fn term(&self) -> Term {
        self.head.manifest.term
    }

    /// Milliseconds since the coordinator began, at the newest event.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    fn on_opened(&mut self, head: Option<Head>) {
        if !self.lifecycle.is_opening() {
            return;
        }
        if let Some(head) = head {
            self.head = head;
            self.checkpoints.on(checkpoints::Event::Opened(&self.head), self.now);
            if let Some(refused) = self.refuse_restore() {
                self.end(Ending::Failed(refused));
                return;
            }
            self.notes.finished_before = self.head.finished_before(&self.plan);
            let stored = self.head.manifest.assignment.parallelism;
            if self.config.keep_parallelism && stored > 0 {
                self.placement.on(placement::Event::Parallelism(stored));
            }
        }
        let has_workers = self.workers.len() > 0;
        self.tell_lifecycle(lifecycle::Event::Opened { has_workers });
    }

    /// Why the program cannot go on from the head, if it cannot.
    fn refuse_restore(&self) -> Option<String> {
        let allowed = &self.config.allow_dropped_state;
        let valid = validate_restore(&self.plan, &self.head.manifest, &self.committers, allowed);
        valid.err().map(|refused| refused.to_string())
    }

    fn on_discovered(&mut self, vertex: VertexId, result: Result<Found, EngineError>) {
        match result {
            Ok(found) => self.tell_sources(sources::Event::Found { vertex, found }),
            Err(error) => {
                let message = format!("source \"{}\": {error}", self.plan.vertex_name(vertex));
                self.fail_tasks(message, Cause::error(error.fault));
            }
        }
    }

    fn tell_sources(&mut self, event: sources::Event) {
        for outcome in self.sources.on(event) {
            match outcome {
                sources::Outcome::Enumerate { vertex, snapshot, returned, look } => {
                    let term = self.term();
                    let enumerate = Action::Enumerate { term, vertex, snapshot, returned, look };
                    self.out.push(enumerate);
                }
                sources::Outcome::TakeBack { vertex, splits } => {
                    self.out.push(Action::TakeBack { vertex, splits });
                }
                sources::Outcome::Tell { vertex, told } => self.tell_readers(vertex, told),
            }
        }
    }

    fn tell_commits(&mut self, event: commits::Event<'_>) {
        let outcomes = self.commits.on(event, self.now);
        self.follow_commits(outcomes);
    }

    fn follow_commits(&mut self, outcomes: Vec<commits::Outcome>) {
        for outcome in outcomes {
            match outcome {
                commits::Outcome::Send { worker, commit } => {
                    self.step("commit dispatched");
                    self.send(worker, to_worker::Kind::Commit(commit));
                }
                commits::Outcome::Acknowledged { epoch, indices } => {
                    self.step("commits acknowledged");
                    self.out.push(Action::Acknowledged { epoch, indices });
                }
                commits::Outcome::Lost { epoch, lost } => {
                    let sink = self.plan.operator(&lost.sink).map(|(_, o)| o.name.clone());
                    let sink = sink.unwrap_or_else(|| lost.sink.0.clone());
                    self.end(Ending::Failed(format!(
                        "sink \"{sink}\": output of checkpoint {epoch} can no longer be made \
                         visible: {}; the checkpoint still lists it",
                        lost.why
                    )));
                }
            }
        }
    }

    fn dispatch_commits(&mut self) {
        if self.lifecycle.is_in_term() && !self.lifecycle.is_sealing() {
            let workers = self.workers.ids();
            self.tell_commits(commits::Event::Dispatch(&workers));
        }
    }

    fn send(&mut self, worker: WorkerId, kind: to_worker::Kind) {
        if let Some(link) = self.workers.link(worker) {
            let message = ToWorker { term: self.term().0, kind: Some(kind) };
            self.out.push(Action::Send { link, message });
        }
    }

    /// Sends to every worker that has tasks.
    fn broadcast(&mut self, kind: &to_worker::Kind) {
        for worker in self.placement.workers() {
            self.send(worker, kind.clone());
        }
    }

    fn step(&mut self, name: &'static str) {
        self.notes.step(name);
    }
}

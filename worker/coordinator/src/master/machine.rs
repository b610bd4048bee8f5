//! The coordinator's core: one event in, actions out; no I/O, no clock, no randomness.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weir_engine::Fault;
use weir_protocol::control::{self, OperationKind, OperationOutcome};
use weir_protocol::{
    Attempt, Epoch, OperatorCounts, OperatorUid, Subtask, Term, VertexId, WorkerId,
};

use super::attempt::TaskId;
use super::backoff::Backoff;
use super::commits::Commits;
use super::config::MasterConfig;
use super::event::{Action, Ending, Event, LinkId, Reply, RequestId};
use super::failure::{Cause, describe};
use super::head::Head;
use super::incarnations::Incarnations;
use super::operations::Named;
use super::place::SlotAssignment;
use super::plan::Plan;
use super::restorable::{find_renewed, validate_restore};
use super::splits::SourceSplits;
use super::state::{
    Ahead, Ask, Copying, HoldPhase, Live, Phase, Rescale, Saving, State, Stats, Why, Worker,
};

/// The coordinator of one job.
#[derive(Debug)]
pub struct JobMaster {
    pub(super) config: MasterConfig,
    pub(super) plan: Plan,
    pub(super) committers: BTreeSet<OperatorUid>,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    pub(super) links: BTreeMap<LinkId, WorkerId>,
    pub(super) incarnations: Incarnations,
    pub(super) head: Head,
    /// What operators had counted at the cut that the term's tasks go on from. Not the head's
    /// once that is a checkpoint of the same term.
    pub(super) counted_before: BTreeMap<OperatorUid, OperatorCounts>,
    pub(super) parallelism: u32,
    /// Where the tasks of the newest deployment run.
    pub(super) assigned: Option<SlotAssignment>,
    pub(super) splits: BTreeMap<VertexId, SourceSplits>,
    pub(super) commits: Commits,
    pub(super) next_attempt: Attempt,
    /// Prefetches asked for so far.
    pub(super) prefetches: u64,
    pub(super) asks: VecDeque<Ask>,
    pub(super) copying: BTreeMap<String, Copying>,
    /// Sources have been told to end; the savepoint to stop behind once every task has.
    pub(super) draining: Option<Saving>,
    /// Requests that are reported as operations.
    pub(super) named: BTreeMap<RequestId, Named>,
    /// Tasks of the newest deployment that have nothing left to do.
    pub(super) finished: BTreeSet<TaskId>,
    /// Workers that were told to stop and have not answered; each is told once.
    pub(super) stopping: BTreeSet<WorkerId>,
    pub(super) stopping_until_ms: u64,
    /// After a rebalance that failed, when the next one may be tried.
    pub(super) rebalance_after_ms: u64,
    /// After an attempt that failed, when the next one may be tried.
    pub(super) retry_at_ms: u64,
    pub(super) backoff: Backoff,
    /// The first of the user errors that are being counted.
    pub(super) first_user_error: String,
    pub(super) state: State,
    pub(super) stats: Stats,
    pub(super) now: u64,
    pub(super) out: Vec<Action>,
}

impl JobMaster {
    /// A coordinator that has heard nothing yet. `committers` are the sinks that stage output.
    #[must_use]
    pub fn new(config: MasterConfig, plan: Plan, committers: BTreeSet<OperatorUid>) -> Self {
        Self {
            parallelism: config.parallelism.max(1),
            config,
            plan,
            committers,
            workers: BTreeMap::new(),
            links: BTreeMap::new(),
            incarnations: Incarnations::default(),
            head: Head::default(),
            counted_before: BTreeMap::new(),
            assigned: None,
            splits: BTreeMap::new(),
            commits: Commits::default(),
            next_attempt: Attempt(1),
            prefetches: 0,
            asks: VecDeque::new(),
            copying: BTreeMap::new(),
            draining: None,
            named: BTreeMap::new(),
            finished: BTreeSet::new(),
            stopping: BTreeSet::new(),
            stopping_until_ms: 0,
            rebalance_after_ms: 0,
            retry_at_ms: 0,
            backoff: Backoff::default(),
            first_user_error: String::new(),
            state: State::Opening,
            stats: Stats::default(),
            now: 0,
            out: Vec::new(),
        }
    }

    /// Takes one event. `now_ms` is monotonic; the actions are to be done in order.
    pub fn on(&mut self, event: Event, now_ms: u64) -> Vec<Action> {
        self.now = self.now.max(now_ms);
        if let State::Ended(ending) = &self.state {
            if let Event::Request { id, .. } = event {
                let reply = Reply::Refused(format!("the job has ended: {}", describe(ending)));
                self.out.push(Action::Reply { id, reply });
            }
        } else {
            self.take(event);
            self.advance();
        }
        self.note_operations();
        std::mem::take(&mut self.out)
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Opened { head } => self.on_opened(head),
            Event::Message { link, message } => self.on_message(link, message),
            Event::LinkClosed { link } => {
                if let Some(worker) = self.links.get(&link).copied() {
                    self.lose(worker, "its connection ended");
                }
            }
            Event::Sealed { head } => self.on_sealed(head),
            Event::SealFailed { message } => self.on_seal_failed(message),
            Event::Published { attempt, head } => self.on_published(attempt, head),
            Event::Voided { attempt, version, message } => {
                self.head.repeated_at(version);
                self.abandon(attempt, &message);
            }
            Event::NotPublished { attempt, message } => self.abandon(attempt, &message),
            Event::Undecided { attempt, message } => self.on_undecided(attempt, &message),
            Event::StoreProblem { message } => self.stats.failure = message,
            Event::Unusable { message } => self.end(Ending::Failed(message)),
            Event::Fenced { message } => self.end(Ending::Fenced(message)),
            Event::StepDown => self.end(Ending::SteppedDown),
            Event::SavepointDone { name, result } => self.on_savepoint_done(&name, result),
            Event::Discovered { term, vertex, result } if term == self.term() => {
                self.on_discovered(vertex, result);
            }
            Event::NotDiscovered { term, vertex, message } if term == self.term() => {
                self.note_source_problem(vertex, &message);
            }
            Event::Discovered { .. } | Event::NotDiscovered { .. } | Event::Tick => {}
            Event::Request { id, request, operation } => {
                self.name_operation(id, &request, operation);
                self.on_request(id, request);
            }
        }
    }

    /// When to send [`Event::Tick`] if nothing else happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<u64> {
        let mut at: Vec<u64> =
            self.workers.values().map(|w| w.heard_ms + self.config.silence_ms).collect();
        if !self.stopping.is_empty() {
            at.push(self.stopping_until_ms);
        }
        match &self.state {
            State::Ended(_) => return None,
            State::Opening => {}
            State::Starting { since_ms } => {
                at.extend(since_ms.map(|since| since + self.config.patience_ms));
            }
            State::Recovering { until_ms, .. } if !self.workers.is_empty() => at.push(*until_ms),
            State::Recovering { .. } => {}
            State::Changing { phase: Phase::Deploying { until_ms, .. }, .. } => at.push(*until_ms),
            State::Changing { .. } => at.extend(self.commits.next_retry_ms()),
            State::Running(live) => {
                at.extend(self.commits.next_retry_ms());
                match &live.checkpoint {
                    Some(checkpoint) => {
                        at.push(checkpoint.began_ms + self.config.checkpoint_timeout_ms)
                    }
                    None if self.may_checkpoint() && self.draining.is_none() => {
                        at.push(live.next_checkpoint_ms.max(self.retry_at_ms));
                        if self.retry_at_ms > self.now {
                            at.push(self.retry_at_ms);
                        }
                    }
                    None => {}
                }
                at.extend(self.asks.iter().filter_map(|ask| match ask {
                    Ask::Rescale(Rescale { ahead: Ahead::Reading(p), .. }) => Some(p.until_ms),
                    Ask::Rescale(r) => Some(r.began_ms + self.config.rescale_wait_ms),
                    _ => None,
                }));
                if self.wants_rebalance().is_some() {
                    at.push(self.rebalance_after_ms);
                }
            }
            State::Rescaling { live, phase, .. } | State::Stopping { live, phase, .. } => {
                at.extend(self.commits.next_retry_ms());
                if let Some(checkpoint) = &live.checkpoint {
                    at.push(checkpoint.began_ms + self.config.checkpoint_timeout_ms);
                }
                if let HoldPhase::Commits { until_ms, .. } = phase {
                    at.push(*until_ms);
                }
            }
        }
        // A deadline that has passed and could not be acted on must not spin.
        at.into_iter().min().map(|at| if at <= self.now { self.now + 100 } else { at })
    }

    /// How the work ended, once it has.
    #[must_use]
    pub fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            _ => None,
        }
    }

    fn on_opened(&mut self, head: Option<Head>) {
        if !matches!(self.state, State::Opening) {
            return;
        }
        if let Some(head) = head {
            self.stats.published_at_ms = u64::try_from(head.written_ms).unwrap_or(0);
            self.head = head;
            self.counted_before = self.head.counts(&self.plan);
            if let Some(refused) = self.refuse_restore() {
                self.end(Ending::Failed(refused));
                return;
            }
            self.stats.finished_before = self.finished_before();
            let stored = self.head.manifest.assignment.parallelism;
            if self.config.keep_parallelism && stored > 0 {
                self.parallelism = stored;
            }
        }
        let since_ms = (!self.workers.is_empty()).then_some(self.now);
        self.state = State::Starting { since_ms };
    }

    fn finished_before(&self) -> Option<Epoch> {
        let sources: Vec<_> = self.plan.sources().map(|(vertex, _)| vertex.head()).collect();
        let bounded = self.plan.sources().all(|(_, source)| source.bounded);
        let head = &self.head.manifest;
        let changed = head.plan_hash != self.plan.hash;
        (bounded && changed && head.has_finished(&sources)).then(|| self.epoch())
    }

    /// Why the program cannot go on from the head, if it cannot.
    pub(super) fn refuse_restore(&self) -> Option<String> {
        let allowed = &self.config.allow_dropped_state;
        let valid = validate_restore(&self.plan, &self.head.manifest, &self.committers, allowed);
        valid.err().map(|refused| refused.to_string())
    }

    /// Lets go of stored state that the program's operators cannot read and that may be dropped.
    /// The first manifest takes nothing of it over; until then every term begins like this.
    pub(super) fn renew(&mut self) {
        let allowed = &self.config.allow_dropped_state;
        for uid in find_renewed(&self.plan, &self.head.manifest, allowed) {
            self.head.renew(uid);
        }
    }

    /// Does everything that has become possible or is due.
    fn advance(&mut self) {
        let deadline = self.now.saturating_sub(self.config.silence_ms);
        let silent = |w: &Worker| w.heard_ms <= deadline && self.now >= self.config.silence_ms;
        let lost: Vec<WorkerId> =
            self.workers.iter().filter(|(_, w)| silent(w)).map(|(id, _)| *id).collect();
        for worker in lost {
            self.lose(worker, &format!("it was silent for {} ms", self.config.silence_ms));
        }
        if self.now >= self.stopping_until_ms {
            for worker in std::mem::take(&mut self.stopping) {
                self.lose(worker, "its tasks did not stop in time");
            }
        }
        // Each turn changes the state, and no cycle of states is possible without an event.
        while self.advance_once() {}
        self.dispatch_commits();
    }

    /// One transition; false when nothing is due.
    fn advance_once(&mut self) -> bool {
        match &self.state {
            State::Opening | State::Ended(_) => false,
            State::Starting { since_ms } => {
                let slots: u32 = self.workers.values().map(|w| w.slots).sum();
                let tired = since_ms.is_some_and(|s| self.now >= s + self.config.patience_ms);
                let enough = slots >= self.parallelism
                    && self.workers.len() >= self.config.least_workers as usize;
                let all = self.config.survivors.is_some_and(|n| self.workers.len() >= n as usize);
                let ready = !self.workers.is_empty() && (enough || all || tired);
                if ready {
                    self.seal(Why::Start);
                }
                ready
            }
            State::Recovering { until_ms, why } => {
                let ready = self.now >= *until_ms && !self.workers.is_empty();
                if ready {
                    let why = why.clone();
                    self.seal(why);
                }
                ready
            }
            State::Changing { phase, .. } => match phase {
                Phase::Sealing { .. } => false,
                Phase::Committing => {
                    let ready = self.commits.is_empty()
                        && self.stopping.is_empty()
                        && !self.workers.is_empty();
                    if ready {
                        self.deploy();
                    }
                    ready
                }
                Phase::Deploying { waiting, .. } if waiting.is_empty() => {
                    self.run();
                    true
                }
                Phase::Deploying { waiting, until_ms } => {
                    let late = self.now >= *until_ms;
                    if late {
                        let first = waiting.first().copied().unwrap_or_default();
                        self.fail_tasks(
                            format!(
                                "worker {first} has not restored its tasks within {} s",
                                self.config.deploy_timeout_ms / 1000
                            ),
                            Cause::Error { fault: Fault::External, blamed: None },
                        );
                    }
                    late
                }
            },
            State::Running(live) => match &live.checkpoint {
                Some(_) => self.check_timeout(),
                None => self.choose_next(),
            },
            State::Rescaling { .. } | State::Stopping { .. } => {
                self.check_timeout() || self.advance_hold()
            }
        }
    }

    pub(super) fn live_mut(&mut self) -> Option<&mut Live> {
        match &mut self.state {
            State::Running(live) | State::Rescaling { live, .. } | State::Stopping { live, .. } => {
                Some(live)
            }
            _ => None,
        }
    }

    pub(super) fn task_name(&self, vertex: VertexId, subtask: Subtask) -> String {
        let name = self.plan.vertices.get(vertex.0 as usize).map_or("?", |v| v.name.as_str());
        format!("task \"{name}\" {subtask}")
    }

    pub(super) fn step(&mut self, name: &'static str) {
        *self.stats.steps.entry(name).or_default() += 1;
    }

    pub(super) fn report(
        &mut self,
        (kind, outcome): (OperationKind, OperationOutcome),
        message: String,
        total_ms: u64,
        pause_ms: u64,
    ) {
        self.push_report(control::OperationReport {
            kind: kind.into(),
            outcome: outcome.into(),
            message,
            total_ms,
            pause_ms,
            ..control::OperationReport::default()
        });
    }

    /// The term in force.
    #[must_use]
    pub fn term(&self) -> Term {
        self.head.manifest.term
    }

    /// The checkpoint whose state the head holds; 0 before the first.
    pub(super) fn epoch(&self) -> Epoch {
        self.head.manifest.epoch().unwrap_or_default()
    }
}

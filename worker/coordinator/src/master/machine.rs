//! The coordinator's core: one event in, actions out; no I/O, no clock, no randomness.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weir_engine::Fault;
use weir_protocol::control::{self, FromWorker, ToWorker, from_worker, to_worker};
use weir_protocol::{Attempt, Epoch, OperatorUid, Subtask, Term, VertexId, WorkerId};

use super::attempt::TaskId;
use super::backoff::{Backoff, Restart};
use super::commits::{Commits, Outcome};
use super::config::MasterConfig;
use super::cut::{Head, validate_restore};
use super::event::{Action, Ending, Event, Found, LinkId, Reply, Request, RequestId};
use super::place::Spread;
use super::plan::Plan;
use super::splits::{SourceSplits, ToReader};
use super::state::{
    Ask, Copying, HoldPhase, Live, Phase, Rescale, Saving, State, Stats, Stop, Why, Worker,
};

/// Requests that may wait at a time.
const MAX_ASKS: usize = 16;
/// Reports of finished operations that status keeps.
const MAX_REPORTS: usize = 16;

/// The coordinator of one job.
#[derive(Debug)]
pub struct Master {
    pub(super) config: MasterConfig,
    pub(super) plan: Plan,
    pub(super) committers: BTreeSet<OperatorUid>,
    pub(super) workers: BTreeMap<WorkerId, Worker>,
    links: BTreeMap<LinkId, WorkerId>,
    pub(super) head: Head,
    pub(super) parallelism: u32,
    /// Where the tasks of the newest deployment run.
    pub(super) spread: Option<Spread>,
    pub(super) splits: BTreeMap<VertexId, SourceSplits>,
    pub(super) commits: Commits,
    pub(super) next_attempt: Attempt,
    pub(super) asks: VecDeque<Ask>,
    pub(super) copying: BTreeMap<String, Copying>,
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
    pub(super) state: State,
    pub(super) stats: Stats,
    pub(super) now: u64,
    pub(super) out: Vec<Action>,
}

impl Master {
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
            head: Head::default(),
            spread: None,
            splits: BTreeMap::new(),
            commits: Commits::default(),
            next_attempt: Attempt(1),
            asks: VecDeque::new(),
            copying: BTreeMap::new(),
            finished: BTreeSet::new(),
            stopping: BTreeSet::new(),
            stopping_until_ms: 0,
            rebalance_after_ms: 0,
            retry_at_ms: 0,
            backoff: Backoff::default(),
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
            return std::mem::take(&mut self.out);
        }
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
                self.head.version = version;
                self.abandon(attempt, &message);
            }
            Event::NotPublished { attempt, message } => self.abandon(attempt, &message),
            Event::StoreTrouble { message } => self.stats.failure = message,
            Event::Unusable { message } => self.end(Ending::Failed(message)),
            Event::Fenced { message } => self.end(Ending::Fenced(message)),
            Event::SavepointDone { name, result } => self.on_savepoint_done(&name, result),
            Event::Discovered { term, vertex, result } if term == self.head.term => {
                self.on_discovered(vertex, result);
            }
            Event::Discovered { .. } | Event::Tick => {}
            Event::Request { id, request } => self.on_request(id, request),
        }
        self.advance();
        std::mem::take(&mut self.out)
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
                match &live.flight {
                    Some(flight) => at.push(flight.began_ms + self.config.checkpoint_timeout_ms),
                    None if self.may_checkpoint() => {
                        at.push(live.next_checkpoint_ms.max(self.retry_at_ms));
                        if self.retry_at_ms > self.now {
                            at.push(self.retry_at_ms);
                        }
                    }
                    None => {}
                }
                at.extend(self.asks.iter().filter_map(|ask| match ask {
                    Ask::Rescale(r) => Some(r.began_ms + self.config.rescale_wait_ms),
                    _ => None,
                }));
                if self.wants_rebalance().is_some() {
                    at.push(self.rebalance_after_ms);
                }
            }
            State::Rescaling { live, phase, .. } | State::Stopping { live, phase, .. } => {
                at.extend(self.commits.next_retry_ms());
                if let Some(flight) = &live.flight {
                    at.push(flight.began_ms + self.config.checkpoint_timeout_ms);
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
            self.head = head;
            if let Some(refused) = self.refuse_restore() {
                self.end(Ending::Failed(refused));
                return;
            }
            if self.config.keep_parallelism && self.head.cut.parallelism > 0 {
                self.parallelism = self.head.cut.parallelism;
            }
        }
        let since_ms = (!self.workers.is_empty()).then_some(self.now);
        self.state = State::Starting { since_ms };
    }

    /// Why the program cannot go on from the head, if it cannot.
    pub(super) fn refuse_restore(&self) -> Option<String> {
        let allowed = &self.config.allow_dropped_state;
        let valid = validate_restore(&self.plan, &self.head, &self.committers, allowed);
        valid.err().map(|refused| refused.to_string())
    }

    fn on_message(&mut self, link: LinkId, message: FromWorker) {
        let Some(kind) = message.kind else { return };
        if let from_worker::Kind::Hello(hello) = kind {
            self.on_hello(link, hello);
            return;
        }
        let Some(id) = self.links.get(&link).copied() else {
            return;
        };
        let Some(worker) = self.workers.get_mut(&id) else {
            return;
        };
        worker.heard_ms = self.now;
        if let from_worker::Kind::Stopped(_) = kind {
            self.stopping.remove(&id);
            return;
        }
        if message.term != self.head.term.0 {
            return;
        }
        match kind {
            from_worker::Kind::Heartbeat(heartbeat) => {
                worker.stats = heartbeat.tasks;
                worker.state_bytes = heartbeat.state_bytes;
            }
            from_worker::Kind::Deployed(_) => {
                if let State::Changing { phase: Phase::Deploying { waiting, .. }, .. } =
                    &mut self.state
                {
                    waiting.remove(&id);
                }
            }
            from_worker::Kind::Ack(ack) => self.on_ack(&ack),
            from_worker::Kind::Declined(declined) => {
                let task = self.task_name(VertexId(declined.vertex), Subtask(declined.subtask));
                let reason = format!("{task} declined: {}", declined.reason);
                self.abandon(Attempt(declined.attempt), &reason);
            }
            from_worker::Kind::SplitRequest(request) => {
                let vertex = VertexId(request.vertex);
                if let Some(splits) = self.splits.get_mut(&vertex) {
                    let told = splits.requested(Subtask(request.subtask));
                    self.tell_readers(vertex, told);
                }
            }
            from_worker::Kind::TaskFinished(task) => {
                self.finished.insert((VertexId(task.vertex), Subtask(task.subtask)));
            }
            from_worker::Kind::Failed(failed) => {
                let fault = match failed.fault() {
                    control::Fault::User => Fault::User,
                    control::Fault::Ours => Fault::Ours,
                    control::Fault::Outside | control::Fault::Unspecified => Fault::Outside,
                };
                self.fail_tasks(failed.message, Some(fault));
            }
            from_worker::Kind::Committed(committed) => self.on_committed(id, committed),
            from_worker::Kind::Hello(_) | from_worker::Kind::Stopped(_) => {}
        }
    }

    fn on_hello(&mut self, link: LinkId, hello: control::Hello) {
        let id = WorkerId(hello.worker);
        if hello.plan_hash != self.plan.hash {
            let reason = format!(
                "worker {id} built plan {}, the coordinator {}; run the same program and options \
                 in every process of the job",
                short(&hello.plan_hash),
                short(&self.plan.hash)
            );
            let kind = to_worker::Kind::Shutdown(control::Shutdown { reason });
            let message = ToWorker { term: self.head.term.0, kind: Some(kind) };
            self.out.push(Action::Send { link, message });
            self.out.push(Action::Disconnect { link });
            return;
        }
        if let Some(before) = self.workers.get(&id)
            && before.link != link
        {
            let why = if before.incarnation == hello.incarnation {
                "it connected again"
            } else {
                "its process was started anew"
            };
            self.lose(id, why);
        }
        let worker = Worker {
            link,
            incarnation: hello.incarnation,
            address: hello.exchange_address,
            slots: hello.slots.max(1),
            heard_ms: self.now,
            stats: Vec::new(),
            state_bytes: 0,
        };
        self.links.insert(link, id);
        self.workers.insert(id, worker);
        let welcome =
            control::Welcome { job: self.config.job.0.clone(), lineage: self.head.lineage.clone() };
        self.send(id, to_worker::Kind::Welcome(welcome));
        if let State::Starting { since_ms: since_ms @ None } = &mut self.state {
            *since_ms = Some(self.now);
        }
    }

    fn on_committed(&mut self, worker: WorkerId, committed: control::Committed) {
        let outcomes = committed.results.into_iter().map(|result| {
            let outcome = if !result.lost.is_empty() {
                Outcome::Lost(result.lost)
            } else if !result.retry.is_empty() {
                Outcome::Retry(result.retry)
            } else {
                Outcome::Committed
            };
            (result.index, outcome)
        });
        let epoch = Epoch(committed.epoch);
        match self.commits.answered(worker, epoch, outcomes.collect(), self.now) {
            Ok(indices) if indices.is_empty() => {}
            Ok(indices) => {
                self.step("commits acknowledged");
                self.out.push(Action::Acknowledged { epoch, indices });
            }
            Err(lost) => {
                let sink = self.plan.operator(&lost.sink).map(|(_, o)| o.name.clone());
                let sink = sink.unwrap_or_else(|| lost.sink.0.clone());
                self.end(Ending::Failed(format!(
                    "sink \"{sink}\": output of checkpoint {epoch} can no longer be made visible: \
                     {}; the checkpoint still lists it",
                    lost.why
                )));
            }
        }
    }

    fn on_discovered(&mut self, vertex: VertexId, result: Result<Found, weir_engine::EngineError>) {
        match result {
            Ok(found) => {
                self.stats.total += found.splits.iter().map(|s| s.size).sum::<u64>();
                if let Some(splits) = self.splits.get_mut(&vertex) {
                    let told = splits.discovered(found.splits, found.snapshot, found.again);
                    self.tell_readers(vertex, told);
                }
            }
            Err(error) => {
                let name = self.plan.vertices.get(vertex.0 as usize).map(|v| v.name.clone());
                let name = name.unwrap_or_default();
                self.fail_tasks(format!("source \"{name}\": {error}"), Some(error.fault));
            }
        }
    }

    fn on_request(&mut self, id: RequestId, request: Request) {
        let refused = match &request {
            _ if self.asks.len() >= MAX_ASKS => {
                Some(format!("{MAX_ASKS} requests wait already; try again later"))
            }
            Request::Rescale { parallelism }
                if *parallelism == 0 || *parallelism > self.plan.max_parallelism =>
            {
                Some(format!(
                    "parallelism {parallelism} is not possible; it can be 1 to {} for this job \
                     (maxParallelism)",
                    self.plan.max_parallelism
                ))
            }
            _ => None,
        };
        if let Some(why) = refused {
            self.out.push(Action::Reply { id, reply: Reply::Refused(why) });
            return;
        }
        let ask = match request {
            Request::Savepoint { name, stop } => {
                let saving = Saving { name, request: id, tries: 0 };
                if stop { Ask::Stop(saving) } else { Ask::Save(saving) }
            }
            Request::Rescale { parallelism } => {
                // The newest wish counts.
                let superseded = |ask: &Ask| matches!(ask, Ask::Rescale(_));
                for ask in self.asks.iter().filter(|a| superseded(a)).cloned().collect::<Vec<_>>() {
                    self.refuse(&ask, &format!("superseded by a rescale to {parallelism}"));
                }
                self.asks.retain(|ask| !superseded(ask));
                Ask::Rescale(Rescale {
                    request: Some(id),
                    target: parallelism,
                    began_ms: self.now,
                    frozen_ms: self.now,
                    tries: 0,
                    moved: 0,
                })
            }
        };
        self.asks.push_back(ask);
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
                let ready = !self.workers.is_empty() && (enough || tired);
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
                Phase::Sealing => false,
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
                            Some(Fault::Outside),
                        );
                    }
                    late
                }
            },
            State::Running(live) => match &live.flight {
                Some(_) => self.check_timeout(),
                None => self.choose_next(),
            },
            State::Rescaling { .. } | State::Stopping { .. } => {
                self.check_timeout() || self.advance_hold()
            }
        }
    }

    fn dispatch_commits(&mut self) {
        let may = match &self.state {
            State::Changing { phase, .. } => *phase != Phase::Sealing,
            State::Running(_) | State::Rescaling { .. } | State::Stopping { .. } => true,
            _ => false,
        };
        if !may {
            return;
        }
        let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
        for sent in self.commits.dispatch(&workers, self.now) {
            let committables = sent.items.iter().map(|item| {
                serde_json::to_vec(item).unwrap_or_default() // names and bytes always encode
            });
            let commit = control::Commit {
                epoch: sent.epoch.0,
                committables: committables.collect(),
                lineage: sent.lineage,
            };
            self.step("commit dispatched");
            self.send(sent.worker, to_worker::Kind::Commit(commit));
        }
    }

    /// A worker is no longer there.
    pub(super) fn lose(&mut self, id: WorkerId, why: &str) {
        let Some(worker) = self.workers.remove(&id) else {
            return;
        };
        self.links.remove(&worker.link);
        self.out.push(Action::Disconnect { link: worker.link });
        self.commits.worker_gone(id);
        self.stopping.remove(&id);
        if self.spread.as_ref().is_some_and(|s| s.workers().contains(&id)) {
            self.fail_tasks(format!("worker {id} was lost: {why}"), None);
        }
    }

    /// The term's tasks cannot go on. `fault` is `None` when a worker was lost: then survivors go
    /// on at once.
    pub(super) fn fail_tasks(&mut self, message: String, fault: Option<Fault>) {
        let began = match std::mem::replace(&mut self.state, State::Opening) {
            // No task runs: nothing of theirs can fail. A late cause says more than its effect.
            other @ (State::Opening
            | State::Starting { .. }
            | State::Ended(_)
            | State::Recovering { .. }
            | State::Changing { phase: Phase::Sealing | Phase::Committing, .. }) => {
                self.state = other;
                return;
            }
            State::Changing { why, phase: Phase::Deploying { .. } } => match why {
                Why::Recover { began_ms, .. } => began_ms,
                Why::Start => self.now,
                Why::Rescale(rescale) => {
                    // Sealed: it goes forward at the new parallelism.
                    let why =
                        format!("the job restarts at parallelism {}: {message}", rescale.target);
                    self.refuse(&Ask::Rescale(rescale), &why);
                    self.now
                }
            },
            State::Running(live) => {
                if let Some(saving) = live.saving {
                    self.ask_again(Ask::Save(saving), &message);
                }
                self.now
            }
            State::Rescaling { rescale, .. } => {
                self.ask_again(Ask::Rescale(rescale), &message);
                self.now
            }
            State::Stopping { stop, .. } => {
                if let Stop::Save(saving) = stop {
                    self.ask_again(Ask::Stop(saving), &message);
                }
                self.now
            }
        };
        self.stats.restarts += 1;
        self.stats.failure.clone_from(&message);
        self.step("tasks failed");
        let restart = match fault {
            Some(fault) => self.backoff.failed(&self.config.restart, fault, self.now),
            None => self.backoff.lost_worker(&self.config.restart, self.now),
        };
        match restart {
            Restart::GiveUp => self.end(Ending::Failed(message)),
            Restart::After(wait) => {
                self.stop_tasks();
                let why = Why::Recover { began_ms: began, message };
                self.state = State::Recovering { until_ms: self.now + wait, why };
            }
        }
    }

    /// Tells every worker with tasks to end them.
    pub(super) fn stop_tasks(&mut self) {
        let Some(spread) = &self.spread else { return };
        for worker in spread.workers() {
            if self.workers.contains_key(&worker) && self.stopping.insert(worker) {
                self.send(worker, to_worker::Kind::Stop(control::Stop {}));
            }
        }
        self.stopping_until_ms = self.now + self.config.stop_timeout_ms;
    }

    /// The coordinator's work is over.
    pub(super) fn end(&mut self, ending: Ending) {
        let reason = describe(&ending);
        for ask in std::mem::take(&mut self.asks) {
            self.refuse(&ask, &format!("the job has ended: {reason}"));
        }
        for (_, copy) in std::mem::take(&mut self.copying) {
            let reply = Reply::Refused(format!("the job has ended: {reason}"));
            self.out.push(Action::Reply { id: copy.request, reply });
        }
        // A fenced coordinator's workers are its successor's: they are let go, not shut down.
        if !matches!(ending, Ending::Fenced(_)) {
            let workers: Vec<WorkerId> = self.workers.keys().copied().collect();
            for worker in workers {
                let shutdown = control::Shutdown { reason: reason.clone() };
                self.send(worker, to_worker::Kind::Shutdown(shutdown));
            }
        }
        if let Ending::Failed(message) = &ending {
            self.stats.failure.clone_from(message);
        }
        self.step("ended");
        self.out.push(Action::End(ending.clone()));
        self.state = State::Ended(ending);
    }

    /// Puts a request back in front, unless it has been tried often enough.
    pub(super) fn ask_again(&mut self, mut ask: Ask, why: &str) {
        let tries = match &mut ask {
            Ask::Save(saving) | Ask::Stop(saving) => &mut saving.tries,
            Ask::Rescale(rescale) => &mut rescale.tries,
        };
        *tries += 1;
        if *tries >= 3 {
            self.refuse(&ask, why);
        } else if ask.request().is_some() {
            self.asks.push_front(ask);
        } else {
            self.rebalance_after_ms = self.now + 30_000;
        }
    }

    pub(super) fn refuse(&mut self, ask: &Ask, why: &str) {
        match ask.request() {
            Some(id) => self.out.push(Action::Reply { id, reply: Reply::Refused(why.to_owned()) }),
            None => self.rebalance_after_ms = self.now + 30_000,
        }
    }

    pub(super) fn tell_readers(&mut self, vertex: VertexId, told: Vec<ToReader>) {
        let Some(spread) = &self.spread else { return };
        let addressed: Vec<_> =
            told.into_iter().filter_map(|(s, a)| Some((spread.worker(s)?, s, a))).collect();
        for (worker, subtask, assignment) in addressed {
            let assign = control::AssignSplits {
                vertex: vertex.0,
                subtask: subtask.0,
                // Names, numbers and bytes always encode.
                assignment_json: serde_json::to_vec(&assignment).unwrap_or_default(),
            };
            self.send(worker, to_worker::Kind::AssignSplits(assign));
        }
    }

    pub(super) fn send(&mut self, worker: WorkerId, kind: to_worker::Kind) {
        if let Some(w) = self.workers.get(&worker) {
            let message = ToWorker { term: self.head.term.0, kind: Some(kind) };
            self.out.push(Action::Send { link: w.link, message });
        }
    }

    /// Sends to every worker that has tasks.
    pub(super) fn broadcast(&mut self, kind: &to_worker::Kind) {
        let workers = self.spread.as_ref().map(Spread::workers).unwrap_or_default();
        for worker in workers {
            self.send(worker, kind.clone());
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

    pub(super) fn report(&mut self, kind: &str, message: String, total_ms: u64, pause_ms: u64) {
        let kind = kind.to_owned();
        if self.stats.operations.len() >= MAX_REPORTS {
            self.stats.operations.remove(0);
        }
        let report = control::OperationReport { kind, message, total_ms, pause_ms };
        self.stats.operations.push(report);
    }

    /// The term in force.
    #[must_use]
    pub fn term(&self) -> Term {
        self.head.term
    }
}

/// An ending in words.
pub(super) fn describe(ending: &Ending) -> String {
    match ending {
        Ending::Finished => "finished".to_owned(),
        Ending::Stopped { savepoint } => format!("stopped with savepoint {savepoint}"),
        Ending::Failed(message) => format!("failed: {message}"),
        Ending::Fenced(message) => format!("another coordinator has taken over: {message}"),
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

//! One connection to the coordinator, and the tasks that live and die with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};
use weir_checkpoint::{DataError, DataWriter};
use weir_engine::graph::Node;
use weir_engine::source::SplitAssignment;
use weir_engine::task::{FrozenTask, TaskCommand, TaskEvent, TaskReport, TriggerRequest};
use weir_engine::{EngineError, Fault};
use weir_protocol::control::{self, FromWorker, ToWorker, from_worker, to_worker};
use weir_protocol::{Attempt, Epoch, Subtask, Term, VertexId};

use super::freeze::{Frozen, Prepared, TaskId, Upload, prepare};
use super::host::HostedTasks;
use super::restore::{build_deployment, own_tasks};
use super::{Member, commit};
use crate::link::{LinkBroken, WorkerLink};

/// Time between heartbeats; four missed ones end the worker's part in the term.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The coordinator ended the worker.
    Shutdown(String),
    /// It broke; `served` tells whether anything was ever received over it.
    Broken { served: bool },
}

/// An attempt that was stored, or was not.
type Uploaded = (Attempt, Result<Vec<control::Ack>, DataError>);

/// Tasks that were built.
type Built = Result<Box<dyn HostedTasks>, EngineError>;

/// The tasks of one term.
struct Running {
    term: Term,
    tasks: Box<dyn HostedTasks>,
    all: BTreeSet<TaskId>,
    sources: BTreeSet<TaskId>,
    frozen: Frozen,
    writer: DataWriter,
    /// Frozen tasks that wait for their task's earlier attempt to be prepared: the ledger has to
    /// see a task's pieces in order.
    queued: BTreeMap<TaskId, VecDeque<FrozenTask>>,
    preparing: FuturesUnordered<BoxFuture<'static, (TaskId, Result<Prepared, EngineError>)>>,
    /// One object at a time; an upload that waits behind another is of a later attempt.
    uploads: VecDeque<Upload>,
    uploading: Option<BoxFuture<'static, Uploaded>>,
    failed: bool,
}

/// What the worker is at.
enum Work {
    /// No tasks.
    Idle,
    /// State is fetched and tasks are built.
    Building { term: Term, all: BTreeSet<TaskId>, built: BoxFuture<'static, Built> },
    /// Tasks run.
    Running(Box<Running>),
    /// Tasks end; then `next` is built, if set.
    Ending {
        ended: BoxFuture<'static, ()>,
        answer: Option<Term>,
        next: Option<Box<control::Deploy>>,
    },
}

pub(super) struct Session<'a> {
    member: &'a Member,
    link: WorkerLink,
    term: Term,
    work: Work,
    events: mpsc::UnboundedReceiver<TaskEvent>,
    commits: FuturesUnordered<BoxFuture<'a, (Term, control::Committed)>>,
    heartbeat: Interval,
    served: bool,
}

/// Something that the session has to deal with.
enum Turn {
    Message(Option<ToWorker>),
    Event(TaskEvent),
    Built(Built),
    Ended,
    Prepared(TaskId, Result<Prepared, EngineError>),
    Uploaded(Attempt, Result<Vec<control::Ack>, DataError>),
    Committed(Term, control::Committed),
    Heartbeat,
}

impl<'a> Session<'a> {
    pub(super) fn new(member: &'a Member, link: WorkerLink) -> Self {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            member,
            link,
            term: Term(0),
            work: Work::Idle,
            events: mpsc::unbounded_channel().1,
            commits: FuturesUnordered::new(),
            heartbeat,
            served: false,
        }
    }

    /// Serves until the connection ends; the tasks have ended then, too.
    pub(super) async fn serve(mut self) -> SessionEnd {
        let end = self.serve_link().await;
        match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Running(running) => running.tasks.stop().await,
            Work::Ending { ended, .. } => ended.await,
            // Dropped before a task was built, or with the tasks it has just built.
            Work::Building { built, .. } => {
                if let Ok(tasks) = built.await {
                    tasks.stop().await;
                }
            }
            Work::Idle => {}
        }
        end
    }

    async fn serve_link(&mut self) -> SessionEnd {
        let config = &self.member.config;
        let hello = control::Hello {
            worker: config.worker.0,
            incarnation: config.incarnation.clone(),
            plan_hash: self.member.graph.hash.clone(),
            exchange_address: config.exchange_address.clone(),
            slots: config.slots,
        };
        if self.send(Term(0), from_worker::Kind::Hello(hello)).is_err() {
            return SessionEnd::Broken { served: false };
        }
        loop {
            let done = match self.next_turn().await {
                Turn::Message(None) => Err(LinkBroken),
                Turn::Message(Some(ToWorker {
                    kind: Some(to_worker::Kind::Shutdown(s)), ..
                })) => {
                    return SessionEnd::Shutdown(s.reason);
                }
                Turn::Message(Some(message)) => {
                    self.served = true;
                    self.on_message(message)
                }
                Turn::Event(event) => self.on_event(event),
                Turn::Built(built) => self.on_built(built),
                Turn::Ended => self.on_ended(),
                Turn::Prepared(task, result) => self.on_prepared(task, result),
                Turn::Uploaded(attempt, result) => self.on_uploaded(attempt, result),
                Turn::Committed(term, committed) => {
                    self.send(term, from_worker::Kind::Committed(committed))
                }
                Turn::Heartbeat => self.beat(),
            };
            if done.is_err() {
                return SessionEnd::Broken { served: self.served };
            }
        }
    }

    /// Waits for the next thing to do. Every branch loses nothing when another one wins.
    async fn next_turn(&mut self) -> Turn {
        // Tasks may speak before they are known to be built; they are heard after that.
        let running = matches!(self.work, Work::Running(_));
        let work = async {
            match &mut self.work {
                Work::Idle => std::future::pending().await,
                Work::Building { built, .. } => Turn::Built(built.await),
                Work::Ending { ended, .. } => {
                    ended.await;
                    Turn::Ended
                }
                Work::Running(running) => {
                    let Running { preparing, uploading, .. } = running.as_mut();
                    tokio::select! {
                        biased;
                        Some((task, result)) = preparing.next() => Turn::Prepared(task, result),
                        (attempt, result) = poll_option(uploading) => Turn::Uploaded(attempt, result),
                    }
                }
            }
        };
        tokio::select! {
            biased;
            message = self.link.receive() => Turn::Message(message),
            Some(event) = self.events.recv(), if running => Turn::Event(event),
            turn = work => turn,
            Some((term, committed)) = self.commits.next() => Turn::Committed(term, committed),
            _ = self.heartbeat.tick() => Turn::Heartbeat,
        }
    }

    fn on_message(&mut self, message: ToWorker) -> Result<(), LinkBroken> {
        let term = Term(message.term);
        if term < self.term {
            return Ok(());
        }
        self.term = term;
        let Some(kind) = message.kind else {
            return Ok(());
        };
        match kind {
            to_worker::Kind::Welcome(_) | to_worker::Kind::Shutdown(_) => Ok(()),
            to_worker::Kind::Deploy(deploy) => {
                self.end_work(None, Some(Box::new(deploy)));
                Ok(())
            }
            to_worker::Kind::Stop(_) => {
                self.end_work(Some(term), None);
                Ok(())
            }
            to_worker::Kind::Commit(commit) => {
                let (graph, steps) = (&*self.member.graph, &self.member.config.steps);
                let work = commit::execute(graph, steps, commit);
                self.commits.push(work.map(move |committed| (term, committed)).boxed());
                Ok(())
            }
            to_worker::Kind::Trigger(trigger) => {
                self.command_sources(&TaskCommand::Trigger(TriggerRequest {
                    attempt: Attempt(trigger.attempt),
                    freeze: trigger.freeze,
                    full: !trigger.full.is_empty(),
                    last: trigger.last,
                }));
                Ok(())
            }
            to_worker::Kind::Published(published) => {
                let attempt = Attempt(published.attempt);
                if let Work::Running(running) = &mut self.work {
                    running.frozen.published(attempt);
                }
                let epoch = Epoch(published.epoch);
                self.command_all(&TaskCommand::Published { attempt, epoch });
                Ok(())
            }
            to_worker::Kind::Abandon(abandon) => {
                let attempt = Attempt(abandon.attempt);
                if let Work::Running(running) = &mut self.work {
                    running.frozen.abandon(attempt);
                }
                self.command_all(&TaskCommand::Abandon(attempt));
                Ok(())
            }
            to_worker::Kind::Resume(resume) => {
                self.command_all(&TaskCommand::Resume(Attempt(resume.attempt)));
                Ok(())
            }
            to_worker::Kind::AssignSplits(assign) => self.on_assign(&assign),
        }
    }

    fn on_assign(&mut self, assign: &control::AssignSplits) -> Result<(), LinkBroken> {
        let Work::Running(running) = &mut self.work else {
            return Ok(());
        };
        match serde_json::from_slice::<SplitAssignment>(&assign.assignment_json) {
            Ok(assignment) => {
                let (vertex, subtask) = (VertexId(assign.vertex), Subtask(assign.subtask));
                running.tasks.command(vertex, subtask, TaskCommand::AddSplits(assignment));
                Ok(())
            }
            Err(error) => {
                let error =
                    EngineError::ours(format!("a split assignment cannot be read: {error}"));
                self.fail(error, None)
            }
        }
    }

    fn on_event(&mut self, event: TaskEvent) -> Result<(), LinkBroken> {
        let Work::Running(running) = &mut self.work else {
            return Ok(());
        };
        let term = running.term;
        match event {
            TaskEvent::Frozen(frozen) => {
                running.freeze(*frozen);
                Ok(())
            }
            TaskEvent::SplitRequest { vertex, subtask } => {
                let request = control::SplitRequest { vertex: vertex.0, subtask: subtask.0 };
                self.send(term, from_worker::Kind::SplitRequest(request))
            }
            TaskEvent::Finished { vertex, subtask } => {
                // The last counts of a task that has ended must not wait for the next beat: the
                // job may be over by then.
                self.beat()?;
                let finished = control::TaskFinished { vertex: vertex.0, subtask: subtask.0 };
                self.send(term, from_worker::Kind::TaskFinished(finished))
            }
            TaskEvent::Failed { vertex, subtask, error } => {
                let name = self.member.graph.vertex(vertex).map_or("", |v| v.name.as_str());
                let error = error.at(format!("task \"{name}\" {subtask}"));
                self.fail(error, None)
            }
            TaskEvent::PeerLost { worker, error } => self.fail(error, Some(worker.0)),
        }
    }

    fn on_built(&mut self, built: Built) -> Result<(), LinkBroken> {
        let Work::Building { term, all, .. } = std::mem::replace(&mut self.work, Work::Idle) else {
            return Ok(());
        };
        match built {
            Ok(tasks) => {
                let graph = &self.member.graph;
                let is_source = |task: &&TaskId| {
                    let chain = graph.vertex(task.0).map(|v| v.chain.as_slice());
                    matches!(chain, Some([(_, Node::Source(_)), ..]))
                };
                let sources = all.iter().filter(is_source).copied().collect();
                let nonces = self.member.config.nonces.clone();
                let writer = DataWriter::new(self.member.store.clone(), term, nonces);
                self.work = Work::Running(Box::new(Running {
                    term,
                    tasks,
                    frozen: Frozen::new(all.clone()),
                    all,
                    sources,
                    writer,
                    queued: BTreeMap::new(),
                    preparing: FuturesUnordered::new(),
                    uploads: VecDeque::new(),
                    uploading: None,
                    failed: false,
                }));
                self.send(term, from_worker::Kind::Deployed(control::Deployed {}))
            }
            Err(error) => self.send(term, failed_message(error, None)),
        }
    }

    /// Ends what runs; then answers `Stopped`, builds the next tasks, or both.
    fn end_work(&mut self, answer: Option<Term>, next: Option<Box<control::Deploy>>) {
        let (ended, before) = match std::mem::replace(&mut self.work, Work::Idle) {
            Work::Idle => (std::future::ready(()).boxed(), None),
            Work::Running(running) => (running.tasks.stop(), None),
            Work::Building { built, .. } => {
                let end = async {
                    if let Ok(tasks) = built.await {
                        tasks.stop().await;
                    }
                };
                (end.boxed(), None)
            }
            Work::Ending { ended, answer, .. } => (ended, answer),
        };
        // Events of the tasks that end are of no interest any more.
        self.events = mpsc::unbounded_channel().1;
        self.work = Work::Ending { ended, answer: answer.or(before), next };
    }

    fn on_ended(&mut self) -> Result<(), LinkBroken> {
        let Work::Ending { answer, next, .. } = std::mem::replace(&mut self.work, Work::Idle)
        else {
            return Ok(());
        };
        if let Some(deploy) = next {
            let all = own_tasks(&deploy, self.member.config.worker);
            let (events, receiver) = mpsc::unbounded_channel();
            self.events = receiver;
            let built = self.build(*deploy, events);
            self.work = Work::Building { term: self.term, all, built };
        }
        match answer {
            Some(term) => self.send(term, from_worker::Kind::Stopped(control::Stopped {})),
            None => Ok(()),
        }
    }

    fn build(
        &self,
        deploy: control::Deploy,
        events: mpsc::UnboundedSender<TaskEvent>,
    ) -> BoxFuture<'static, Built> {
        let (graph, reader) = (self.member.graph.clone(), self.member.reader.clone());
        let (host, worker, term) = (self.member.host.clone(), self.member.config.worker, self.term);
        let build = async move {
            let deployment = build_deployment(graph, reader, worker, term, deploy).await?;
            // Restoring decodes state: not on a thread that carries heartbeats.
            let built = weir_engine::env::blocking(move || host.deploy(deployment, events)).await;
            built.unwrap_or_else(|e| Err(EngineError::ours(e)))
        };
        build.boxed()
    }

    fn on_prepared(
        &mut self,
        task: TaskId,
        result: Result<Prepared, EngineError>,
    ) -> Result<(), LinkBroken> {
        let Work::Running(running) = &mut self.work else {
            return Ok(());
        };
        running.prepare_next(task);
        match result.and_then(|prepared| running.frozen.add(prepared)) {
            Ok(Some(upload)) => {
                running.uploads.push_back(upload);
                running.upload_next();
                Ok(())
            }
            Ok(None) => Ok(()),
            Err(error) => self.fail(error, None),
        }
    }

    fn on_uploaded(
        &mut self,
        attempt: Attempt,
        result: Result<Vec<control::Ack>, DataError>,
    ) -> Result<(), LinkBroken> {
        let Work::Running(running) = &mut self.work else {
            return Ok(());
        };
        running.uploading = None;
        running.upload_next();
        let (term, first) = (running.term, running.all.first().copied().unwrap_or_default());
        if !running.frozen.is_open(attempt) {
            return Ok(());
        }
        match result {
            Ok(acks) => {
                acks.into_iter().try_for_each(|ack| self.send(term, from_worker::Kind::Ack(ack)))
            }
            Err(error) => {
                let declined = control::Declined {
                    attempt: attempt.0,
                    vertex: first.0.0,
                    subtask: first.1.0,
                    reason: error.to_string(),
                };
                self.send(term, from_worker::Kind::Declined(declined))
            }
        }
    }

    fn beat(&mut self) -> Result<(), LinkBroken> {
        let (term, reports) = match &self.work {
            Work::Running(running) => (running.term, running.tasks.reports()),
            _ => (self.term, Vec::new()),
        };
        let tasks: Vec<_> = reports.iter().map(task_stats).collect();
        let state_bytes = tasks.iter().flat_map(|t| &t.operators).map(|o| o.state_bytes).sum();
        self.send(term, from_worker::Kind::Heartbeat(control::Heartbeat { tasks, state_bytes }))
    }

    /// The tasks cannot go on; the coordinator is told once, and will say `Stop`.
    fn fail(&mut self, error: EngineError, peer: Option<u32>) -> Result<(), LinkBroken> {
        let Work::Running(running) = &mut self.work else {
            return Ok(());
        };
        if std::mem::replace(&mut running.failed, true) {
            return Ok(());
        }
        let term = running.term;
        self.send(term, failed_message(error, peer))
    }

    fn command_sources(&self, command: &TaskCommand) {
        let Work::Running(running) = &self.work else {
            return;
        };
        for (vertex, subtask) in &running.sources {
            running.tasks.command(*vertex, *subtask, command.clone());
        }
    }

    fn command_all(&self, command: &TaskCommand) {
        let Work::Running(running) = &self.work else {
            return;
        };
        for (vertex, subtask) in &running.all {
            running.tasks.command(*vertex, *subtask, command.clone());
        }
    }

    fn send(&self, term: Term, kind: from_worker::Kind) -> Result<(), LinkBroken> {
        self.link.send(FromWorker { term: term.0, kind: Some(kind) })
    }
}

impl Running {
    fn freeze(&mut self, frozen: FrozenTask) {
        let task = (frozen.vertex, frozen.subtask);
        let queue = self.queued.entry(task).or_default();
        queue.push_back(frozen);
        if queue.len() == 1 {
            self.prepare_first(task);
        }
    }

    /// The queue's first entry stays in it, empty-handed, while it is being prepared.
    fn prepare_first(&mut self, task: TaskId) {
        let Some(first) = self.queued.get_mut(&task).and_then(VecDeque::front_mut) else {
            return;
        };
        let taken = std::mem::replace(first, placeholder(task));
        self.preparing.push(prepare(taken).map(move |result| (task, result)).boxed());
    }

    fn prepare_next(&mut self, task: TaskId) {
        if let Some(queue) = self.queued.get_mut(&task) {
            queue.pop_front();
        }
        self.prepare_first(task);
    }

    fn upload_next(&mut self) {
        if self.uploading.is_some() {
            return;
        }
        if let Some(upload) = self.uploads.pop_front() {
            let (attempt, writer) = (upload.attempt, self.writer.clone());
            let store = async move { (attempt, upload.store(&writer).await) };
            self.uploading = Some(store.boxed());
        }
    }
}

fn placeholder((vertex, subtask): TaskId) -> FrozenTask {
    FrozenTask {
        attempt: Attempt(0),
        vertex,
        subtask,
        operators: Vec::new(),
        splits: None,
        watermark: None,
        align_us: 0,
        freeze_us: 0,
    }
}

async fn poll_option<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn failed_message(error: EngineError, peer: Option<u32>) -> from_worker::Kind {
    let fault = match error.fault {
        Fault::User => control::Fault::User,
        Fault::Outside => control::Fault::Outside,
        Fault::Ours => control::Fault::Ours,
    };
    from_worker::Kind::Failed(control::Failed { message: error.message, fault: fault.into(), peer })
}

fn task_stats(report: &TaskReport) -> control::TaskStats {
    let operators =
        report.operators.iter().map(|(uid, metrics, state_bytes)| control::OperatorStats {
            uid: uid.0.clone(),
            rows_in: metrics.rows_in.load(Ordering::Relaxed),
            rows_out: metrics.rows_out.load(Ordering::Relaxed),
            late: metrics.late.load(Ordering::Relaxed),
            malformed: metrics.malformed.load(Ordering::Relaxed),
            bytes: metrics.bytes.load(Ordering::Relaxed),
            state_bytes: *state_bytes as u64,
        });
    control::TaskStats {
        vertex: report.vertex.0,
        subtask: report.subtask.0,
        operators: operators.collect(),
        watermark: report.watermark.map(|w| w.0),
        remaining: report.remaining,
        busy_us: report.time.busy,
        backpressured_us: report.time.backpressured,
        idle_us: report.time.idle,
        aligning_us: report.time.aligning,
    }
}

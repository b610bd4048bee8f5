//! One connection to the coordinator, and the tasks that live and die with it.

use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use weir_checkpoint::DataError;
use weir_engine::EngineError;
use weir_engine::source::SplitAssignment;
use weir_engine::task::{TaskCommand, TaskEvent, TriggerRequest};
use weir_protocol::control::{self, FromWorker, ToWorker, from_worker, to_worker};
use weir_protocol::{Attempt, CONTROL_VERSION, Subtask, Term, VertexId};

use super::compaction::{MergeFailed, Merged};
use super::freeze::{Prepared, TaskId};
use super::prefetch::prefetch;
use super::report::{failed_message, shown, task_stats};
use super::work::{Built, Followed, Running, Work};
use super::{Member, MemberView, commit};
use crate::link::{LinkBroken, WorkerLink};

/// Time between heartbeats; four missed ones end the worker's part in the term.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// A coordinator that is silent for so long has given the worker up, or has been replaced:
/// heartbeats are answered.
const SILENCE: Duration = Duration::from_secs(4);

/// How a connection ended.
#[derive(Debug)]
pub(super) enum SessionEnd {
    /// The coordinator ended the worker.
    Shutdown(control::Shutdown),
    /// It broke; `served` tells whether anything was ever received over it.
    Broken { served: bool },
}

pub(super) struct Session<'a> {
    pub(super) member: &'a Member,
    pub(super) link: WorkerLink,
    pub(super) term: Term,
    pub(super) work: Work,
    pub(super) events: mpsc::UnboundedReceiver<TaskEvent>,
    commits: FuturesUnordered<BoxFuture<'a, (Term, control::Committed)>>,
    /// The newest one that was asked for; what it has read stays when it is given up.
    prefetching: Option<BoxFuture<'static, (Term, control::Prefetched)>>,
    heartbeat: Interval,
    /// When the coordinator last said something.
    heard: Instant,
    served: bool,
    /// The other end closed the connection, which a machine that is cut off does not.
    closed: bool,
    /// The coordinator was told that the worker leaves.
    left: bool,
}

/// Something that the session has to deal with.
enum Turn {
    Message(Option<ToWorker>),
    Event(TaskEvent),
    Built(Built),
    Ended,
    Prepared(TaskId, Result<Prepared, EngineError>),
    Uploaded(Attempt, Result<Vec<control::Ack>, DataError>),
    Merged(Result<Merged, MergeFailed>),
    Followed(Followed),
    Committed(Term, control::Committed),
    Prefetched(Term, control::Prefetched),
    Heartbeat,
    Silence,
    Leave,
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
            prefetching: None,
            heartbeat,
            heard: Instant::now(),
            served: false,
            closed: false,
            left: false,
        }
    }

    /// Serves until the connection ends; the tasks have ended then, too.
    pub(super) async fn serve(mut self) -> SessionEnd {
        self.member.show(|view| {
            view.attached = true;
            view.closed = None;
        });
        let end = self.serve_link().await;
        self.member.show(|view| {
            let (heard, term, released) = (view.heard, view.term, view.released);
            let closed = self.closed.then(Instant::now);
            *view = MemberView { heard, term, released, closed, ..MemberView::default() };
        });
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
            control_address: config.control_address.clone(),
            version: CONTROL_VERSION,
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
                    return SessionEnd::Shutdown(s);
                }
                Turn::Message(Some(ToWorker {
                    kind: Some(to_worker::Kind::HandOver(_)),
                    term,
                })) => {
                    // One that had not sealed yet leaves the term before it as free as it was.
                    self.member.show(|view| view.released = view.released.max(Some(Term(term))));
                    return SessionEnd::Broken { served: true };
                }
                Turn::Message(Some(message)) => {
                    self.served = true;
                    self.heard = Instant::now();
                    self.on_message(message)
                }
                Turn::Event(event) => self.on_event(event),
                Turn::Built(built) => self.on_built(built),
                Turn::Ended => self.on_ended(),
                Turn::Prepared(task, result) => self.on_prepared(task, result),
                Turn::Uploaded(attempt, result) => self.on_uploaded(attempt, result),
                Turn::Followed(followed) => {
                    if let Work::Running(running) = &mut self.work {
                        running.on_followed(followed);
                    }
                    Ok(())
                }
                Turn::Merged(result) => {
                    if let Work::Running(running) = &mut self.work {
                        running.on_merged(result);
                    }
                    Ok(())
                }
                Turn::Committed(term, committed) => {
                    self.send(term, from_worker::Kind::Committed(committed))
                }
                Turn::Prefetched(term, prefetched) => {
                    self.prefetching = None;
                    self.send(term, from_worker::Kind::Prefetched(prefetched))
                }
                Turn::Heartbeat => self.beat(),
                Turn::Leave => {
                    self.left = true;
                    self.send(self.term, from_worker::Kind::Leaving(control::Leaving {}))
                }
                Turn::Silence => {
                    tracing::warn!("the coordinator is silent; its tasks end here");
                    Err(LinkBroken)
                }
            };
            if done.is_err() {
                self.closed = self.link.is_closed();
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
                    let Running { preparing, uploading, merging, telling, .. } = running.as_mut();
                    tokio::select! {
                        biased;
                        Some((task, result)) = preparing.next() => Turn::Prepared(task, result),
                        (attempt, result) = poll_option(uploading) => Turn::Uploaded(attempt, result),
                        result = poll_option(merging) => Turn::Merged(result),
                        followed = poll_option(telling) => Turn::Followed(followed),
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
            (term, done) = poll_option(&mut self.prefetching) => Turn::Prefetched(term, done),
            _ = self.heartbeat.tick() => Turn::Heartbeat,
            () = sleep_until(self.heard + SILENCE) => Turn::Silence,
            () = self.member.leaves(), if !self.left => Turn::Leave,
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
            // The last two end the session before they come here.
            to_worker::Kind::Welcome(_)
            | to_worker::Kind::Shutdown(_)
            | to_worker::Kind::HandOver(_) => {
                self.member.show(|view| view.term = term);
                Ok(())
            }
            to_worker::Kind::Heard(heard) => {
                let now = self.heard;
                self.member.show(|view| {
                    view.heard = Some(now);
                    view.term = term;
                    view.state = heard.state();
                });
                if let Work::Running(running) = &mut self.work {
                    running.look(&heard.looks);
                }
                Ok(())
            }
            to_worker::Kind::Drain(_) => {
                self.command_sources(&TaskCommand::Drain);
                Ok(())
            }
            to_worker::Kind::Deploy(deploy) => {
                // The restore reads the same, and has the store to itself.
                self.prefetching = None;
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
                    running.published(attempt);
                }
                self.forget(published.dropped);
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
            to_worker::Kind::Prefetch(wanted) => {
                let (graph, reader) = (self.member.graph.clone(), self.member.reader.clone());
                let work = prefetch(graph, reader, wanted);
                self.prefetching = Some(work.map(move |done| (term, done)).boxed());
                Ok(())
            }
        }
    }

    /// Gives up what the head no longer lists, beside the work.
    fn forget(&self, dropped: Vec<String>) {
        if !dropped.is_empty() && !self.member.cache.is_none() {
            let cache = self.member.cache.clone();
            tokio::spawn(async move { cache.forget(&dropped).await });
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
                    EngineError::internal(format!("a split assignment cannot be read: {error}"));
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
            TaskEvent::CheckpointWanted => {
                let wanted = control::CheckpointWanted {};
                self.send(term, from_worker::Kind::CheckpointWanted(wanted))
            }
            TaskEvent::SplitRequest { vertex, subtask, returned } => {
                // Names, numbers and bytes always encode.
                let encode = |split| serde_json::to_vec(split).unwrap_or_default();
                let returned_json = returned.iter().map(encode).collect();
                let (vertex, subtask) = (vertex.0, subtask.0);
                let request = control::SplitRequest { vertex, subtask, returned_json };
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

    fn beat(&mut self) -> Result<(), LinkBroken> {
        let (term, reports, shown) = match &mut self.work {
            Work::Running(running) => {
                running.tell_tables();
                let reports = running.tasks.reports();
                let shown = shown(&reports, &running.looks);
                (running.term, reports, shown)
            }
            _ => (self.term, Vec::new(), Vec::new()),
        };
        let tasks: Vec<_> = reports.iter().map(task_stats).collect();
        self.member.show(|view| view.tasks.clone_from(&tasks));
        let state_bytes = tasks.iter().flat_map(|t| &t.operators).map(|o| o.state_bytes).sum();
        let heartbeat = control::Heartbeat { tasks, state_bytes, shown };
        self.send(term, from_worker::Kind::Heartbeat(heartbeat))
    }

    /// The tasks cannot go on; the coordinator is told once, and will say `Stop`.
    pub(super) fn fail(&mut self, error: EngineError, peer: Option<u32>) -> Result<(), LinkBroken> {
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

    pub(super) fn send(&self, term: Term, kind: from_worker::Kind) -> Result<(), LinkBroken> {
        self.link.send(FromWorker { term: term.0, kind: Some(kind) })
    }
}

async fn poll_option<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

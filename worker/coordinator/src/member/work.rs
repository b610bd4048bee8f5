//! The tasks of one term: built, running, ending; and the state they froze on its way to the
//! store.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use weir_checkpoint::{DataError, DataReader, DataWriter};
use weir_engine::EngineError;
use weir_engine::graph::{JobGraph, Node};
use weir_engine::runtime::Pool;
use weir_engine::task::{Follow, FrozenTask, Look, TaskCommand, TaskEvent};
use weir_protocol::control::{self, from_worker};
use weir_protocol::{Attempt, Term};
use weir_state::table::Layer;

use super::compaction::{MergeFailed, Merged, StoredTables, TableId, Told};
use super::freeze::{Frozen, Prepared, TaskId, Upload, prepare};
use super::host::HostedTasks;
use super::report::failed_message;
use super::restore::{Deploy, build_deployment};
use super::segments::OpenSegments;
use super::session::Session;
use crate::link::LinkBroken;

/// An attempt that was stored, or was not.
pub(super) type Uploaded = (Attempt, Result<Vec<control::Ack>, DataError>);

/// Tasks that were built.
pub(super) type Built = Result<Box<dyn HostedTasks>, EngineError>;

/// The tasks of one term.
pub(super) struct Running {
    /// For the names of operators.
    pub(super) graph: Arc<JobGraph>,
    pub(super) term: Term,
    pub(super) tasks: Box<dyn HostedTasks>,
    pub(super) all: BTreeSet<TaskId>,
    pub(super) sources: BTreeSet<TaskId>,
    /// Those that were asked to show something, until they are told that nobody looks any more.
    pub(super) looked: BTreeSet<TaskId>,
    /// The operators that somebody looks at, by their uids.
    pub(super) looks: BTreeSet<String>,
    pub(super) frozen: Frozen,
    pub(super) writer: DataWriter,
    /// Frozen tasks that wait for their task's earlier attempt to be prepared: the ledger has to
    /// see a task's pieces in order.
    pub(super) queued: BTreeMap<TaskId, VecDeque<FrozenTask>>,
    pub(super) preparing:
        FuturesUnordered<BoxFuture<'static, (TaskId, Result<Prepared, EngineError>)>>,
    /// One object at a time; an upload that waits behind another is of a later attempt.
    pub(super) uploads: VecDeque<Upload>,
    pub(super) uploading: Option<BoxFuture<'static, Uploaded>>,
    pub(super) reader: DataReader,
    /// One merge at a time, beside everything else.
    pub(super) merging: Option<BoxFuture<'static, Result<Merged, MergeFailed>>>,
    pub(super) segments: Arc<OpenSegments>,
    /// What is frozen, encoded or merged counts there until it is stored.
    pub(super) state_pool: Arc<Pool>,
    /// Segments are opened that tables are then told of; one round after the other.
    pub(super) telling: Option<BoxFuture<'static, Followed>>,
    pub(super) failed: bool,
}

/// What the worker is at.
pub(super) enum Work {
    /// No tasks.
    Idle,
    /// State is fetched and tasks are built.
    Building {
        term: Term,
        all: BTreeSet<TaskId>,
        tables: StoredTables,
        segments: Arc<OpenSegments>,
        built: BoxFuture<'static, Built>,
    },
    /// Tasks run.
    Running(Box<Running>),
    /// Tasks end; then `next` is built, if set.
    Ending {
        ended: BoxFuture<'static, ()>,
        answer: Option<Term>,
        next: Option<Box<control::Deploy>>,
    },
}

impl Session<'_> {
    fn build(
        &self,
        deploy: Deploy,
        segments: Arc<OpenSegments>,
        events: mpsc::UnboundedSender<TaskEvent>,
    ) -> BoxFuture<'static, Built> {
        let (graph, reader) = (self.member.graph.clone(), self.member.reader.clone());
        let resident = self.member.resident_bytes;
        let (host, worker, term) = (self.member.host.clone(), self.member.config.worker, self.term);
        let build = async move {
            let deployment =
                build_deployment(graph, reader, segments, resident, worker, term, deploy).await?;
            // Restoring decodes state: not on a thread that carries heartbeats.
            let built = weir_engine::env::blocking(move || host.deploy(deployment, events)).await;
            built.unwrap_or_else(|e| Err(EngineError::internal(e)))
        };
        build.boxed()
    }

    /// Ends what runs; then answers `Stopped`, builds the next tasks, or both.
    pub(super) fn end_work(&mut self, answer: Option<Term>, next: Option<Box<control::Deploy>>) {
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

    pub(super) fn on_ended(&mut self) -> Result<(), LinkBroken> {
        let Work::Ending { answer, next, .. } = std::mem::replace(&mut self.work, Work::Idle)
        else {
            return Ok(());
        };
        if let Some(deploy) = next {
            let (events, receiver) = mpsc::unbounded_channel();
            self.events = receiver;
            let (graph, merges) = (&self.member.graph, self.member.merges);
            let segments = Arc::new(OpenSegments::new(self.member.reader.clone()));
            let (all, tables, built) = match Deploy::read(&deploy) {
                Ok(deploy) => {
                    let all = deploy.own_tasks(self.member.config.worker);
                    let tables = deploy.stored_tables(graph, &all, merges);
                    (all, tables, self.build(deploy, Arc::clone(&segments), events))
                }
                Err(error) => (
                    BTreeSet::new(),
                    StoredTables::default(),
                    std::future::ready(Err(error)).boxed(),
                ),
            };
            self.work = Work::Building { term: self.term, all, tables, segments, built };
        }
        match answer {
            Some(term) => self.send(term, from_worker::Kind::Stopped(control::Stopped {})),
            None => Ok(()),
        }
    }

    pub(super) fn on_built(&mut self, built: Built) -> Result<(), LinkBroken> {
        let Work::Building { term, all, tables, segments, .. } =
            std::mem::replace(&mut self.work, Work::Idle)
        else {
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
                let writer = DataWriter::new(self.member.store.clone(), term, nonces)
                    .with_cache(self.member.cache.clone())
                    .with_inline_limit(self.member.inline_limit);
                let mut running = Box::new(Running {
                    graph: Arc::clone(graph),
                    term,
                    tasks,
                    frozen: Frozen::new(all.clone(), tables),
                    all,
                    sources,
                    looked: BTreeSet::new(),
                    looks: BTreeSet::new(),
                    writer,
                    queued: BTreeMap::new(),
                    preparing: FuturesUnordered::new(),
                    uploads: VecDeque::new(),
                    uploading: None,
                    reader: self.member.reader.clone(),
                    merging: None,
                    segments,
                    state_pool: Arc::clone(self.member.host.state_pool()),
                    telling: None,
                    failed: false,
                });
                running.merge_next();
                self.work = Work::Running(running);
                self.send(term, from_worker::Kind::Deployed(control::Deployed {}))
            }
            Err(error) => self.send(term, failed_message(error, None)),
        }
    }

    pub(super) fn on_prepared(
        &mut self,
        task: TaskId,
        result: Result<Prepared, EngineError>,
    ) -> Result<(), LinkBroken> {
        let Work::Running(running) = &mut self.work else {
            return Ok(());
        };
        match running.prepared(task, result) {
            Ok(()) => Ok(()),
            Err(error) => self.fail(error, None),
        }
    }

    pub(super) fn on_uploaded(
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
}

impl Running {
    /// Has tasks show what somebody looks at, and show nothing any more when nobody does.
    pub(super) fn look(&mut self, looks: &[control::Look]) {
        self.looks = looks.iter().map(|look| look.uid.clone()).collect();
        if looks.is_empty() && self.looked.is_empty() {
            return;
        }
        for task in &self.all {
            let Some(vertex) = self.graph.vertex(task.0) else { continue };
            let is_here = |look: &&control::Look| {
                vertex.chain.iter().any(|(operator, _)| operator.uid.0 == look.uid)
            };
            let here = looks.iter().filter(is_here);
            let here: Vec<Look> =
                here.map(|l| Look { uid: l.uid.as_str().into(), rows: l.rows }).collect();
            let was_asked = self.looked.remove(task);
            if !here.is_empty() {
                self.looked.insert(*task);
            } else if !was_asked {
                continue;
            }
            self.tasks.command(task.0, task.1, TaskCommand::Look(here));
        }
    }

    pub(super) fn freeze(&mut self, frozen: FrozenTask) {
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
        let (graph, pool) = (Arc::clone(&self.graph), Arc::clone(&self.state_pool));
        let nonces = self.writer.nonces().clone();
        let prepared = prepare(graph, nonces, pool, taken);
        self.preparing.push(prepared.map(move |result| (task, result)).boxed());
    }

    /// Takes what a task has prepared, and uploads once every task has.
    fn prepared(
        &mut self,
        task: TaskId,
        result: Result<Prepared, EngineError>,
    ) -> Result<(), EngineError> {
        self.prepare_next(task);
        if let Some(upload) = self.frozen.add(result?)? {
            self.uploads.push_back(upload);
            self.upload_next();
        }
        Ok(())
    }

    fn prepare_next(&mut self, task: TaskId) {
        if let Some(queue) = self.queued.get_mut(&task) {
            queue.pop_front();
        }
        self.prepare_first(task);
    }

    /// The attempt's manifest counts.
    pub(super) fn published(&mut self, attempt: Attempt) {
        self.frozen.published(attempt);
        self.merge_next();
        self.tell_tables();
    }

    /// Opens what is stored since tables were last told, for them to go on from. Also from time to
    /// time: a task may wait for that, so that nothing more is published, when a segment could not be
    /// opened.
    pub(super) fn tell_tables(&mut self) {
        if self.telling.is_some() {
            return;
        }
        let (up_to, untold) = self.frozen.take_untold();
        if !untold.is_empty() {
            self.telling = Some(open_all(Arc::clone(&self.segments), untold, up_to).boxed());
        }
    }

    /// Tells tables of the segments that were opened.
    pub(super) fn on_followed(&mut self, followed: Followed) {
        self.telling = None;
        let Followed { up_to, opened, failed } = followed;
        for (id, layers) in opened {
            let Some((vertex, _)) = self.graph.operator(&id.uid) else { continue };
            let follow = Follow { uid: id.uid, table: id.table, layers, up_to };
            self.tasks.command(vertex.id, id.subtask, TaskCommand::Follow(follow));
        }
        self.segments.close_unused();
        if failed.is_empty() {
            self.tell_tables();
        } else {
            // Until the next heartbeat they go on from what they know.
            self.frozen.not_told(failed);
        }
    }

    pub(super) fn on_merged(&mut self, result: Result<Merged, MergeFailed>) {
        self.merging = None;
        match result {
            Ok(merged) => {
                self.frozen.merged(merged);
                self.merge_next();
            }
            // The next checkpoint tries again.
            Err(error) => tracing::warn!(%error, "segments of a state table were not merged"),
        }
    }

    fn merge_next(&mut self) {
        if self.merging.is_none()
            && let Some(merge) = self.frozen.next_merge()
        {
            let (reader, writer) = (self.reader.clone(), self.writer.clone());
            self.merging = Some(merge.run(reader, writer, Arc::clone(&self.state_pool)).boxed());
        }
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

/// Segments that were opened, and tables of which one could not be.
pub(super) struct Followed {
    up_to: Attempt,
    opened: Vec<(TableId, Vec<Layer>)>,
    failed: Vec<Told>,
}

async fn open_all(segments: Arc<OpenSegments>, tables: Vec<Told>, up_to: Attempt) -> Followed {
    let mut followed = Followed { up_to, opened: Vec::new(), failed: Vec::new() };
    for told in tables {
        match segments.layers(&told.segments, told.range).await {
            Ok(layers) => followed.opened.push((told.id, layers)),
            Err(error) => {
                tracing::warn!(%error, table = told.id.table, "a segment was not opened");
                followed.failed.push(told);
            }
        }
    }
    followed
}

fn placeholder((vertex, subtask): TaskId) -> FrozenTask {
    FrozenTask {
        attempt: Attempt(0),
        vertex,
        subtask,
        operators: Vec::new(),
        counts: Vec::new(),
        splits: None,
        watermark: None,
        align_us: 0,
        freeze_us: 0,
    }
}

#[cfg(test)]
mod tests;

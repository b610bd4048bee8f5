//! From a deployment to tasks: channels, partitions, operators with their restored state.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use tokio::sync::mpsc::UnboundedSender;
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask, VertexId, WorkerId};
use weir_state::table::{StoredTable, Table};

use super::chain::{Chain, Link};
use super::channel::Channel;
use super::executor::Cell;
use super::input::{Inputs, Lane};
use super::memory::Share;
use super::partition::ResultPartition;
use super::source_head::SourceHead;
use super::task::{Head, Task, TaskHandle};
use super::{Deployment, Runtime};
use crate::exchange::ChannelKey;
use crate::graph::{Edge, Exchange, Node, OperatorInfo, Vertex};
use crate::group_load::GroupLoad;
use crate::operator::{
    Context, Operator, OperatorMetrics, Output, Progress, Restored, Snapshot, SnapshotRequest,
    Waker,
};
use crate::task::TaskEvent;
use crate::{Batch, EngineError, Watermark};

/// Metrics of a task's operators, in the order of its chain.
pub(super) type Metrics = Vec<(OperatorUid, Arc<OperatorMetrics>)>;

/// A built task that has not started.
pub(super) struct Built {
    pub(super) cell: Arc<Cell>,
    pub(super) task: Task,
    pub(super) metrics: Metrics,
}

/// The channels of a deployment, as this worker sees them.
pub(super) struct Channels {
    all: BTreeMap<ChannelKey, Arc<Channel>>,
    /// To be sent to other workers.
    pub(super) outbound: BTreeMap<WorkerId, Vec<(ChannelKey, Arc<Channel>)>>,
    /// Fed by other workers.
    pub(super) inbound: BTreeMap<ChannelKey, (Arc<Channel>, SchemaRef)>,
}

/// Where every subtask runs.
fn places(d: &Deployment) -> BTreeMap<(VertexId, Subtask), WorkerId> {
    d.placements.iter().map(|p| ((p.vertex, p.subtask), p.worker)).collect()
}

/// Whether an edge connects these two subtasks.
fn connects(edge: &Edge, from: u32, to: u32) -> bool {
    match edge.exchange {
        Exchange::Forward => from == to,
        Exchange::Single => to == 0,
        Exchange::Hash { .. } | Exchange::Rebalance | Exchange::Broadcast => true,
    }
}

impl Channels {
    /// Makes the channels that begin or end at this worker.
    pub(super) fn of(d: &Deployment, capacity: usize) -> Result<Self, EngineError> {
        let places = places(d);
        let place = |vertex, subtask: u32| {
            places.get(&(vertex, Subtask(subtask))).copied().ok_or_else(|| {
                EngineError::internal(format!(
                    "subtask {subtask} of vertex {vertex} is placed nowhere"
                ))
            })
        };
        let mut channels =
            Self { all: BTreeMap::new(), outbound: BTreeMap::new(), inbound: BTreeMap::new() };
        for (number, edge) in d.graph.edges.iter().enumerate() {
            for from in 0..d.graph.subtasks(edge.from, d.parallelism) {
                for to in 0..d.graph.subtasks(edge.to, d.parallelism) {
                    if !connects(edge, from, to) {
                        continue;
                    }
                    let (source, target) = (place(edge.from, from)?, place(edge.to, to)?);
                    if source != d.worker && target != d.worker {
                        continue;
                    }
                    let key = ChannelKey { edge: number as u32, from, to };
                    let channel = Arc::new(Channel::new(capacity));
                    if source != d.worker {
                        let schema = Arc::clone(&edge.schema);
                        channels.inbound.insert(key, (Arc::clone(&channel), schema));
                    } else if target != d.worker {
                        let lane = channels.outbound.entry(target).or_default();
                        lane.push((key, Arc::clone(&channel)));
                    }
                    channels.all.insert(key, channel);
                }
            }
        }
        Ok(channels)
    }

    fn get(&self, edge: usize, from: u32, to: u32) -> Option<Arc<Channel>> {
        self.all.get(&ChannelKey { edge: edge as u32, from, to }).cloned()
    }
}

/// Builds this worker's tasks.
pub(super) fn build(
    runtime: &Runtime,
    d: &mut Deployment,
    channels: &Channels,
    events: &UnboundedSender<TaskEvent>,
) -> Result<Vec<Built>, EngineError> {
    let graph = Arc::clone(&d.graph);
    let mut built = Vec::new();
    let own: Vec<_> = d.placements.iter().filter(|p| p.worker == d.worker).copied().collect();
    for placement in own {
        let vertex = graph.vertex(placement.vertex).ok_or_else(|| {
            EngineError::internal(format!("vertex {} is not in the graph", placement.vertex))
        })?;
        let handle = Arc::new(TaskHandle::new(placement.vertex, placement.subtask));
        let cell = runtime.executor.cell(Arc::clone(&handle), events.clone());
        let waker = runtime.executor.waker(&cell);
        let builder = TaskBuilder { runtime, vertex, subtask: placement.subtask, waker };
        let (task, metrics) = builder.build(d, channels, handle, events)?;
        built.push(Built { cell, task, metrics });
    }
    Ok(built)
}

struct TaskBuilder<'a> {
    runtime: &'a Runtime,
    vertex: &'a Vertex,
    subtask: Subtask,
    waker: Waker,
}

impl TaskBuilder<'_> {
    fn build(
        &self,
        d: &mut Deployment,
        channels: &Channels,
        handle: Arc<TaskHandle>,
        events: &UnboundedSender<TaskEvent>,
    ) -> Result<(Task, Metrics), EngineError> {
        let mut links = Vec::new();
        let mut metrics = Vec::new();
        let mut source = None;
        let mut watermark: Option<Watermark> = None;
        for (info, node) in &self.vertex.chain {
            let mut cx = self.context(d, info);
            metrics.push((info.uid.clone(), Arc::clone(&cx.metrics)));
            let restored = d.restored.remove(&(info.uid.clone(), self.subtask));
            watermark = watermark.or(restored.as_ref().and_then(|r| r.watermark));
            let operator = match node {
                Node::Source(node) => {
                    let reader = node.source.reader(&cx).map_err(|e| e.at(&info.name))?;
                    source = Some((
                        reader,
                        (node.event_times)(),
                        self.context_like(&cx),
                        info.uid.clone(),
                    ));
                    Box::new(PassThrough)
                }
                Node::Operator(factory) => {
                    let operator = factory.create(&cx).map_err(|e| e.at(&info.name))?;
                    if info.keeps_keys() {
                        let load = GroupLoad::new(cx.key_groups, cx.max_parallelism);
                        cx.metrics.count_groups(load);
                    }
                    restore(operator, &mut cx, restored)?
                }
            };
            links.push(Link { operator, cx });
        }
        let (partitions, pool) = (self.partitions(d, channels), &self.runtime.state_pool);
        let chain = Chain::new(links, partitions, Arc::clone(&d.segments), pool.read_bytes());
        let head = match source {
            Some((reader, times, cx, uid)) => {
                Head::Source(Box::new(SourceHead::new(cx, reader, times, watermark)), uid)
            }
            None => Head::Inputs(self.inputs(d, channels, watermark)),
        };
        let share = Share::new(Arc::clone(pool));
        Ok((Task::new(handle, head, chain, events.clone(), share, watermark), metrics))
    }

    fn context(&self, d: &Deployment, info: &OperatorInfo) -> Context {
        let parallelism = d.graph.subtasks(self.vertex.id, d.parallelism);
        Context {
            uid: info.uid.clone(),
            name: info.name.as_str().into(),
            subtask: self.subtask,
            parallelism,
            max_parallelism: d.graph.max_parallelism,
            key_groups: KeyGroupRange::of_subtask(
                self.subtask,
                parallelism,
                d.graph.max_parallelism,
            ),
            term: d.term,
            clock: self.runtime.clock.clone(),
            io: self.runtime.io.clone(),
            waker: self.waker.clone(),
            metrics: Arc::new(OperatorMetrics::default()),
        }
    }

    /// The reader's context: the same subtask, the same counters.
    fn context_like(&self, cx: &Context) -> Context {
        Context {
            uid: cx.uid.clone(),
            name: Arc::clone(&cx.name),
            clock: cx.clock.clone(),
            io: cx.io.clone(),
            waker: cx.waker.clone(),
            metrics: Arc::clone(&cx.metrics),
            ..*cx
        }
    }

    fn partitions(&self, d: &Deployment, channels: &Channels) -> Vec<ResultPartition> {
        let edges = d.graph.edges.iter().enumerate().filter(|(_, e)| e.from == self.vertex.id);
        edges
            .map(|(number, edge)| {
                let to = (0..d.graph.subtasks(edge.to, d.parallelism))
                    .filter(|&to| connects(edge, self.subtask.0, to));
                let lanes: Vec<_> =
                    to.filter_map(|to| channels.get(number, self.subtask.0, to)).collect();
                for lane in &lanes {
                    lane.set_producer(self.waker.clone());
                }
                ResultPartition::new(
                    edge.operator,
                    edge.output,
                    &edge.exchange,
                    lanes,
                    self.subtask,
                    d.graph.max_parallelism,
                )
            })
            .collect()
    }

    fn inputs(&self, d: &Deployment, channels: &Channels, watermark: Option<Watermark>) -> Inputs {
        let mut lanes = Vec::new();
        for (number, edge) in d.graph.edges.iter().enumerate() {
            if edge.to != self.vertex.id {
                continue;
            }
            let alike = d.graph.hears_alike(edge.from);
            for from in 0..d.graph.subtasks(edge.from, d.parallelism) {
                if let Some(channel) = channels.get(number, from, self.subtask.0) {
                    channel.set_consumer(self.waker.clone());
                    lanes.push(Lane { channel, port: edge.input, edge: number, alike });
                }
            }
        }
        Inputs::new(lanes, watermark)
    }
}

fn restore(
    mut operator: Box<dyn Operator>,
    cx: &mut Context,
    restored: Option<Restored>,
) -> Result<Box<dyn Operator>, EngineError> {
    let name = Arc::clone(&cx.name);
    let Some(mut restored) = restored else {
        take_over(&mut operator.tables(), BTreeMap::new()).map_err(|e| e.at(name))?;
        return Ok(operator);
    };
    let tables = std::mem::take(&mut restored.tables);
    take_over(&mut operator.tables(), tables).map_err(|e| e.at(Arc::clone(&name)))?;
    operator.restore(cx, restored).map_err(|e| e.at(name))?;
    Ok(operator)
}

/// Gives tables what is stored of them, which may be nothing.
fn take_over(
    tables: &mut [&mut dyn Table],
    mut stored: BTreeMap<String, StoredTable>,
) -> Result<(), EngineError> {
    for table in tables {
        let stored = stored.remove(&table.spec().name);
        let stored = stored.unwrap_or(StoredTable::Whole(Vec::new()));
        table.take_over(stored).map_err(EngineError::external)?;
    }
    match stored.into_keys().next() {
        Some(table) => Err(EngineError::internal(format!(
            "state table {table} is stored and the operator keeps no such table, which is found out \
             before tasks are placed"
        ))),
        None => Ok(()),
    }
}

/// Stands for the source in its chain, so that positions in the graph and in the chain agree.
struct PassThrough;

impl Operator for PassThrough {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        out: &mut Output,
    ) -> Result<Progress, EngineError> {
        out.push(batch);
        Ok(Progress::Done)
    }

    fn on_barrier(&mut self, _: &mut Context, _: SnapshotRequest) -> Result<Snapshot, EngineError> {
        Ok(Snapshot::default())
    }
}

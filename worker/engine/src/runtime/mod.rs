//! Runs the tasks of one worker: builds them from a deployment, steps them, stops them.

mod build;
mod chain;
mod channel;
mod executor;
mod input;
mod memory;
mod partition;
mod reading;
mod returned;
mod silence;
mod source_head;
mod task;

#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc::UnboundedSender, watch};
use weir_protocol::{OperatorUid, Placement, Subtask, Term, VertexId, WorkerId};

use self::build::{Built, Channels, Metrics};
use self::executor::Cell;
use crate::env::{Clock, instant};
use crate::exchange::{ExchangeServer, Handshake, Inbound, Outbound, Transport, send_all};
use crate::graph::JobGraph;
use crate::operator::Restored;
use crate::task::{TaskCommand, TaskEvent, TaskReport};
use crate::{EngineError, Watermark};

pub(crate) use self::channel::Channel;
pub use self::executor::Executor;
pub use self::memory::{Hold, Pool};
pub use self::reading::SegmentSource;

/// How often operators get their tick.
const TICK: Duration = Duration::from_millis(100);
/// Bounds on what one channel may hold, whatever the pool and the number of channels.
const CHANNEL_BYTES: std::ops::RangeInclusive<usize> = 128 << 10..=4 << 20;

/// One worker's part of the engine; outlives terms.
pub struct Runtime {
    executor: Executor,
    clock: Clock,
    io: tokio::runtime::Handle,
    state_pool: Arc<Pool>,
    exchange_bytes: usize,
    transport: Arc<dyn Transport>,
    exchange: Option<Arc<ExchangeServer>>,
}

/// What a [`Runtime`] is made of.
pub struct RuntimeConfig {
    /// Who steps tasks.
    pub executor: Executor,
    /// Wall-clock time for operators.
    pub clock: Clock,
    /// Where I/O runs.
    pub io: tokio::runtime::Handle,
    /// What all operators together may hold.
    pub state_pool: Arc<Pool>,
    /// What all channels together may hold, in bytes.
    pub exchange_bytes: usize,
    /// How other workers are reached.
    pub transport: Arc<dyn Transport>,
    /// Where other workers reach this one; `None` when there are none.
    pub exchange: Option<Arc<ExchangeServer>>,
}

/// The running tasks of one term. Dropping it stops them.
pub struct TermTasks {
    executor: Executor,
    cells: BTreeMap<(VertexId, Subtask), (Arc<Cell>, Metrics)>,
    ended: watch::Sender<bool>,
    background: Vec<tokio::task::JoinHandle<()>>,
}

/// Everything that a worker needs to run its share of a term.
pub struct Deployment {
    /// The program.
    pub graph: Arc<JobGraph>,
    /// The coordinator's term; exchange connections of another term are refused.
    pub term: Term,
    /// Which worker this is.
    pub worker: WorkerId,
    /// The job's parallelism in this term.
    pub parallelism: u32,
    /// Every subtask of the job and where it runs.
    pub placements: Vec<Placement>,
    /// Exchange addresses of the other workers.
    pub peers: BTreeMap<WorkerId, String>,
    /// State of the operators of this worker's tasks.
    pub restored: BTreeMap<(OperatorUid, Subtask), Restored>,
    /// Where rows of state tables are read from that are not in memory.
    pub segments: Arc<dyn SegmentSource>,
}

impl Runtime {
    /// A runtime that runs nothing yet.
    #[must_use]
    pub fn new(config: RuntimeConfig) -> Self {
        let RuntimeConfig { executor, clock, io, state_pool, exchange_bytes, transport, exchange } =
            config;
        Self { executor, clock, io, state_pool, exchange_bytes, transport, exchange }
    }

    /// What operators hold, and may hold.
    #[must_use]
    pub fn state_pool(&self) -> &Arc<Pool> {
        &self.state_pool
    }

    /// Builds this worker's tasks of a term, restores and starts them. Sources wait for splits.
    ///
    /// # Errors
    /// When an operator cannot be made or restored; nothing runs then.
    pub fn deploy(
        &self,
        mut deployment: Deployment,
        events: UnboundedSender<TaskEvent>,
    ) -> Result<TermTasks, EngineError> {
        let count = channel_count(&deployment).max(1);
        let capacity =
            (self.exchange_bytes / count).clamp(*CHANNEL_BYTES.start(), *CHANNEL_BYTES.end());
        let mut channels = Channels::of(&deployment, capacity)?;
        let built = build::build(self, &mut deployment, &channels, &events)?;
        let (ended, watching) = watch::channel(false);
        let mut background = Vec::new();
        let inbound = std::mem::take(&mut channels.inbound);
        let outbound = std::mem::take(&mut channels.outbound);
        if !(inbound.is_empty() && outbound.is_empty()) {
            let Some(server) = &self.exchange else {
                return Err(EngineError::internal(
                    "this worker has no exchange, but others run tasks",
                ));
            };
            server.serve(Arc::new(Inbound {
                term: deployment.term,
                credit: capacity as u64,
                channels: inbound,
                events: events.clone(),
                ended: watching,
            }));
            for (peer, lanes) in outbound {
                let address = deployment.peers.get(&peer).cloned().ok_or_else(|| {
                    EngineError::internal(format!("the address of worker {peer} is not known"))
                })?;
                let handshake = Handshake {
                    job: server.job().to_owned(),
                    term: deployment.term,
                    from: deployment.worker,
                };
                let (transport, events) = (Arc::clone(&self.transport), events.clone());
                background.push(self.io.spawn(async move {
                    let outbound = Outbound::new(lanes);
                    let error = send_all(&*transport, &address, &handshake, &outbound).await;
                    let _ = events.send(TaskEvent::PeerLost { worker: peer, error });
                }));
            }
        }
        let mut cells = BTreeMap::new();
        for Built { cell, task, metrics } in built {
            let key = (cell.handle.vertex, cell.handle.subtask);
            self.executor.start(&cell, task);
            cells.insert(key, (cell, metrics));
        }
        background.push(self.io.spawn(tick(
            self.executor.clone(),
            cells.values().map(|(cell, _)| Arc::downgrade(cell)).collect(),
        )));
        Ok(TermTasks { executor: self.executor.clone(), cells, ended, background })
    }
}

fn channel_count(d: &Deployment) -> usize {
    let subtasks = |v| d.graph.subtasks(v, d.parallelism) as usize;
    d.graph.edges.iter().map(|e| subtasks(e.from) * subtasks(e.to)).sum()
}

async fn tick(executor: Executor, cells: Vec<std::sync::Weak<Cell>>) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        interval.tick().await;
        for cell in cells.iter().filter_map(std::sync::Weak::upgrade) {
            cell.handle.tick_due.store(true, Ordering::Release);
            executor.wake(&cell);
        }
    }
}

impl TermTasks {
    /// Tells a task something; unknown tasks are ignored, they belong to another worker.
    pub fn command(&self, vertex: VertexId, subtask: Subtask, command: TaskCommand) {
        if let Some((cell, _)) = self.cells.get(&(vertex, subtask)) {
            let mut commands = cell.handle.commands.lock();
            if matches!(command, TaskCommand::Look(_)) {
                // A task that does not get to it would do all of them one day, for one answer.
                commands.retain(|waiting| !matches!(waiting, TaskCommand::Look(_)));
            }
            commands.push_back(command);
            drop(commands);
            self.executor.wake(cell);
        }
    }

    /// Tells every task of this worker something.
    pub fn command_all(&self, command: &TaskCommand) {
        for &(vertex, subtask) in self.cells.keys() {
            self.command(vertex, subtask, command.clone());
        }
    }

    /// The tasks of this worker.
    pub fn tasks(&self) -> impl Iterator<Item = (VertexId, Subtask)> + '_ {
        self.cells.keys().copied()
    }

    /// What the tasks have done so far.
    #[must_use]
    pub fn reports(&self) -> Vec<TaskReport> {
        self.cells
            .values()
            .map(|(cell, metrics)| {
                let state = cell.handle.state_bytes.lock().clone();
                let watermark = Watermark(cell.handle.watermark.load(Ordering::Relaxed));
                TaskReport {
                    vertex: cell.handle.vertex,
                    subtask: cell.handle.subtask,
                    operators: metrics
                        .iter()
                        .enumerate()
                        .map(|(i, (uid, counters))| {
                            (uid.clone(), Arc::clone(counters), state.get(i).copied().unwrap_or(0))
                        })
                        .collect(),
                    watermark: (watermark != Watermark::MIN).then_some(watermark),
                    remaining: cell.handle.remaining.load(Ordering::Relaxed),
                    time: cell.handle.time_in_state(instant()),
                    splits: cell.handle.splits.lock().clone(),
                    shown: std::mem::take(&mut cell.handle.shown.lock()),
                }
            })
            .collect()
    }

    /// Ends all tasks and connections; returns when nothing of the term runs any more.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.ended.send(true);
        for task in self.background.drain(..) {
            task.abort();
        }
        for (cell, _) in std::mem::take(&mut self.cells).into_values() {
            self.executor.stop(&cell);
        }
    }
}

impl Drop for TermTasks {
    fn drop(&mut self) {
        self.end();
    }
}

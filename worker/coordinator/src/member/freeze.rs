//! From what a task froze to what its ack says.
//!
//! Every frozen piece goes into the ledger and stays there until a manifest that lists it is
//! published (rule 6): an attempt that fails, or a store that is away, hands it on to the next.
//! The pieces of all of the worker's tasks are merged into one object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use weir_checkpoint::data::{DataError, DataWriter};
use weir_checkpoint::{FrozenLedger, SegmentRef, TaskSnapshot};
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::graph::JobGraph;
use weir_engine::operator::Snapshot;
use weir_engine::task::FrozenTask;
use weir_protocol::{Attempt, Blob, Committable, OperatorUid, Subtask, VertexId, control};
use weir_state::segment::Segment;

use crate::wire::encode;

/// A task by vertex and subtask.
pub(super) type TaskId = (VertexId, Subtask);

/// Attempts in a row that may fail before the worker gives up: their deltas stay in memory.
const MAX_UNPUBLISHED: usize = 64;

/// What one operator's subtask froze for one attempt.
#[derive(Debug)]
struct Piece {
    committables: Vec<Committable>,
    keyed: Mutex<Keyed>,
}

#[derive(Debug)]
enum Keyed {
    Encoded(Vec<Segment>),
    Stored(Vec<SegmentRef>),
}

/// One task's frozen state, encoded and flushed, not yet stored.
pub(super) struct Prepared {
    pub(super) attempt: Attempt,
    pub(super) task: TaskId,
    operators: Vec<PreparedOperator>,
    collected: Collected,
}

struct PreparedOperator {
    uid: OperatorUid,
    segments: Vec<Segment>,
    items: Vec<Bytes>,
    committables: Vec<Committable>,
}

/// Encodes what a task froze, off the task's thread, and finishes its sinks' pre-commits.
pub(super) async fn prepare(
    graph: Arc<JobGraph>,
    frozen: FrozenTask,
) -> Result<Prepared, EngineError> {
    let began = instant();
    let operators = frozen.operators.into_iter();
    let operators = operators.map(|(uid, snapshot)| prepare_one(&graph, uid, snapshot));
    let mut operators = futures::future::try_join_all(operators).await?;
    let watermark = frozen.watermark.map(|w| w.0);
    let mut snapshot = TaskSnapshot { watermark, ..TaskSnapshot::default() };
    for (uid, counts) in frozen.counts {
        snapshot.operators.entry(uid).or_default().counts = counts;
    }
    if let Some((uid, splits)) = frozen.splits {
        snapshot.operators.entry(uid).or_default().splits = splits;
    }
    for operator in &mut operators {
        let items = std::mem::take(&mut operator.items).into_iter().map(Blob).collect();
        snapshot.operators.entry(operator.uid.clone()).or_default().items = items;
    }
    Ok(Prepared {
        attempt: frozen.attempt,
        task: (frozen.vertex, frozen.subtask),
        operators,
        collected: Collected {
            snapshot,
            operators: Vec::new(),
            align_us: frozen.align_us,
            freeze_us: frozen.freeze_us,
            encode_us: began.elapsed().as_micros() as u64,
        },
    })
}

async fn prepare_one(
    graph: &JobGraph,
    uid: OperatorUid,
    snapshot: Snapshot,
) -> Result<PreparedOperator, EngineError> {
    let Snapshot { keyed, mut items, pre_commit } = snapshot;
    let encode = async {
        let Some(frozen) = keyed else {
            return Ok(Vec::new());
        };
        let encoded = weir_engine::env::blocking(move || frozen.encode()).await;
        let encoded = encoded.unwrap_or_else(|e| Err(EngineError::internal(e)));
        encoded.map(|mut segments| {
            segments.retain(|s| !s.is_empty_delta());
            segments
        })
    };
    let flush = async {
        match pre_commit {
            Some(pre_commit) => pre_commit.await,
            None => Ok(weir_engine::operator::PreCommitted::default()),
        }
    };
    let (segments, flushed) = futures::future::try_join(encode, flush).await.map_err(|e| {
        e.at(format!("operator \"{}\", preparing its checkpoint", graph.name(&uid)))
    })?;
    items.extend(flushed.items);
    Ok(PreparedOperator { uid, segments, items, committables: flushed.committables })
}

/// Everything that the tasks of one worker and term have frozen.
pub(super) struct Frozen {
    tasks: BTreeSet<TaskId>,
    ledger: FrozenLedger<Arc<Piece>>,
    unpublished: BTreeSet<Attempt>,
    /// Attempts up to this one are over.
    over: Attempt,
    collecting: BTreeMap<Attempt, BTreeMap<TaskId, Collected>>,
}

/// What an ack says.
struct Collected {
    /// Without what is in the ledger.
    snapshot: TaskSnapshot,
    /// The chain's operators, in order.
    operators: Vec<OperatorUid>,
    align_us: u64,
    freeze_us: u64,
    encode_us: u64,
}

/// Per operator, what was frozen and is not published, oldest first.
type OperatorPieces = Vec<(OperatorUid, Vec<Arc<Piece>>)>;

/// An attempt of which this worker has everything: to be stored, then acknowledged.
pub(super) struct Upload {
    pub(super) attempt: Attempt,
    tasks: Vec<(TaskId, Collected, OperatorPieces)>,
}

impl Frozen {
    pub(super) fn new(tasks: BTreeSet<TaskId>) -> Self {
        Self {
            tasks,
            ledger: FrozenLedger::new(),
            unpublished: BTreeSet::new(),
            over: Attempt(0),
            collecting: BTreeMap::new(),
        }
    }

    /// Takes what a task has prepared; an upload once all tasks have.
    ///
    /// # Errors
    /// When too many attempts have failed in a row.
    pub(super) fn add(&mut self, prepared: Prepared) -> Result<Option<Upload>, EngineError> {
        let Prepared { attempt, task, operators, mut collected } = prepared;
        let (_, subtask) = task;
        for PreparedOperator { uid, segments, committables, .. } in operators {
            if !segments.is_empty() || !committables.is_empty() {
                let piece = Piece { committables, keyed: Mutex::new(Keyed::Encoded(segments)) };
                self.ledger.freeze(&uid, subtask, attempt, Arc::new(piece));
                self.unpublished.insert(attempt);
            }
            collected.operators.push(uid);
        }
        if self.unpublished.len() > MAX_UNPUBLISHED {
            return Err(EngineError::external(format!(
                "{MAX_UNPUBLISHED} checkpoints in a row could not be published; what they froze \
                 fills the memory, the job starts again from the last one that was"
            )));
        }
        if attempt <= self.over {
            return Ok(None);
        }
        let collecting = self.collecting.entry(attempt).or_default();
        collecting.insert(task, collected);
        if collecting.len() < self.tasks.len() {
            return Ok(None);
        }
        let complete = self.collecting.remove(&attempt).unwrap_or_default();
        let tasks = complete.into_iter().map(|(task, collected)| {
            let pieces = collected
                .operators
                .iter()
                .map(|uid| (uid.clone(), self.ledger.included(uid, task.1, attempt)));
            let pieces = pieces.collect();
            (task, collected, pieces)
        });
        Ok(Some(Upload { attempt, tasks: tasks.collect() }))
    }

    /// The attempt is over. What was frozen for it stays.
    pub(super) fn abandon(&mut self, attempt: Attempt) {
        self.over = self.over.max(attempt);
        self.collecting.retain(|a, _| *a > attempt);
    }

    /// The attempt's manifest counts.
    pub(super) fn published(&mut self, attempt: Attempt) {
        self.abandon(attempt);
        self.ledger.published(attempt);
        self.unpublished.retain(|a| *a > attempt);
    }

    /// Whether the attempt still waits for this worker's acks.
    pub(super) fn is_open(&self, attempt: Attempt) -> bool {
        attempt > self.over
    }
}

impl Upload {
    /// Stores what is not stored yet, as one object, and gives the acks.
    ///
    /// # Errors
    /// When the store fails. What could not be stored stays encoded for the next attempt.
    pub(super) async fn store(self, writer: &DataWriter) -> Result<Vec<control::Ack>, DataError> {
        let began = instant();
        let pieces = self.tasks.iter().flat_map(|(_, _, operators)| operators);
        let mut folder = None;
        let mut waiting: Vec<(Arc<Piece>, usize)> = Vec::new();
        let mut segments = Vec::new();
        for (uid, pieces) in pieces {
            for piece in pieces {
                let keyed = piece.keyed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Keyed::Encoded(encoded) = &*keyed {
                    // The bytes are shared, not copied.
                    segments.extend(encoded.iter().cloned());
                    waiting.push((Arc::clone(piece), encoded.len()));
                    if !encoded.is_empty() {
                        folder.get_or_insert_with(|| uid.clone());
                    }
                }
            }
        }
        let mut stored = match folder {
            Some(folder) => writer.write(&folder, &segments).await?.into_iter(),
            None => Vec::new().into_iter(),
        };
        for (piece, count) in waiting {
            let refs = stored.by_ref().take(count).collect();
            *piece.keyed.lock().unwrap_or_else(PoisonError::into_inner) = Keyed::Stored(refs);
        }
        let upload_us = began.elapsed().as_micros() as u64;
        let attempt = self.attempt.0;
        let acks = self.tasks.into_iter().map(|(task, collected, pieces)| {
            build_ack(attempt, task, collected, pieces, upload_us)
        });
        Ok(acks.collect())
    }
}

fn build_ack(
    attempt: u64,
    (vertex, subtask): TaskId,
    collected: Collected,
    pieces: OperatorPieces,
    upload_us: u64,
) -> control::Ack {
    let mut snapshot = collected.snapshot;
    for (uid, pieces) in pieces {
        let state = snapshot.operators.entry(uid).or_default();
        for piece in pieces {
            let keyed = piece.keyed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Keyed::Stored(references) = &*keyed {
                state.segments.extend(references.iter().cloned());
            }
            snapshot.committables.extend(piece.committables.iter().cloned());
        }
    }
    control::Ack {
        attempt,
        vertex: vertex.0,
        subtask: subtask.0,
        snapshot_json: encode(&snapshot),
        align_us: collected.align_us,
        freeze_us: collected.freeze_us,
        upload_us: upload_us + collected.encode_us,
    }
}

#[cfg(test)]
mod tests;

//! From what a task froze to what its ack says.
//!
//! Every frozen piece goes into the ledger and stays there until a manifest that lists it is
//! published (rule 6): an attempt that fails, or a store that is away, hands it on to the next.
//! The pieces of all of the worker's tasks are merged into one object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use weir_checkpoint::data::{DataError, DataWriter};
use weir_checkpoint::manifest::Place;
use weir_checkpoint::{FrozenLedger, Nonce, Nonces, SegmentRef, TableSegment, TaskSnapshot};
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::graph::JobGraph;
use weir_engine::operator::{Frozen as FrozenState, Snapshot};
use weir_engine::runtime::{Hold, Pool};
use weir_engine::task::FrozenTask;
use weir_protocol::{Attempt, Blob, Committable, OperatorUid, Subtask, VertexId, control};
use weir_state::segment::Segment;
use weir_state::table;

use super::compaction::{Merge, Merged, StoredTables, Told};
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
    Encoded(Encoded),
    Stored { segments: Vec<SegmentRef>, tables: Vec<TableSegment> },
}

/// Keyed state as it is to be stored.
#[derive(Clone, Debug, Default)]
struct Encoded {
    segments: Vec<Segment>,
    /// Each with the name of its table.
    tables: Vec<(String, table::Encoded)>,
    /// Counts their bytes.
    held: Option<Arc<Hold>>,
}

impl Encoded {
    fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.tables.is_empty()
    }

    /// The bytes of all segments, those of tables last; they are shared, not copied.
    fn bytes(&self) -> impl Iterator<Item = Bytes> {
        let segments = self.segments.iter().map(|segment| &segment.bytes);
        segments.chain(self.tables.iter().map(|(_, encoded)| &encoded.bytes)).cloned()
    }

    /// What is known once they are stored, at a place each in the same order.
    fn stored(&self, places: &mut impl Iterator<Item = Place>) -> Keyed {
        let segments = self.segments.iter().zip(places.by_ref());
        let segments = segments.map(|(segment, place)| SegmentRef::new(segment, place)).collect();
        let tables = self.tables.iter().zip(places);
        let tables = tables
            .map(|((name, encoded), place)| TableSegment::new(name, &encoded.footer, place))
            .collect();
        Keyed::Stored { segments, tables }
    }
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
    encoded: Encoded,
    items: Vec<Bytes>,
    committables: Vec<Committable>,
}

/// Encodes what a task froze, off the task's thread, and finishes its sinks' pre-commits.
pub(super) async fn prepare(
    graph: Arc<JobGraph>,
    nonces: Nonces,
    pool: Arc<Pool>,
    frozen: FrozenTask,
) -> Result<Prepared, EngineError> {
    let began = instant();
    let operators = frozen.operators.into_iter();
    let operators =
        operators.map(|(uid, snapshot)| prepare_one(&graph, &nonces, &pool, uid, snapshot));
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
    nonces: &Nonces,
    pool: &Arc<Pool>,
    uid: OperatorUid,
    snapshot: Snapshot,
) -> Result<PreparedOperator, EngineError> {
    let Snapshot { keyed, tables, mut items, pre_commit } = snapshot;
    let encode = async {
        if keyed.is_none() && tables.is_empty() {
            return Ok(Encoded::default());
        }
        let tables: Vec<_> = tables.into_iter().map(|table| (table, nonces.draw())).collect();
        let encoding = pool.hold_unpublished(tables.iter().map(|(table, _)| table.bytes()).sum());
        let encoded = weir_engine::env::blocking(move || encode_all(keyed, tables)).await;
        let mut encoded = encoded.unwrap_or_else(|e| Err(EngineError::internal(e)))?;
        let bytes = encoded.bytes().map(|bytes| bytes.len()).sum();
        encoded.held = Some(Arc::new(pool.hold_unpublished(bytes)));
        drop(encoding);
        Ok(encoded)
    };
    let flush = async {
        match pre_commit {
            Some(pre_commit) => pre_commit.await,
            None => Ok(weir_engine::operator::PreCommitted::default()),
        }
    };
    let (encoded, flushed) = futures::future::try_join(encode, flush).await.map_err(|e| {
        e.at(format!("operator \"{}\", preparing its checkpoint", graph.name(&uid)))
    })?;
    items.extend(flushed.items);
    Ok(PreparedOperator { uid, encoded, items, committables: flushed.committables })
}

/// Encodes keyed state, each segment of a table under the id that comes with it.
fn encode_all(
    keyed: Option<Box<dyn FrozenState>>,
    tables: Vec<(table::Frozen, Nonce)>,
) -> Result<Encoded, EngineError> {
    let mut segments = keyed.map_or(Ok(Vec::new()), FrozenState::encode)?;
    segments.retain(|segment| !segment.is_empty_delta());
    let encode = |(frozen, id): (table::Frozen, Nonce)| {
        let name = frozen.table().name.clone();
        let failed = |e| EngineError::user(format!("state table {name}: {e}"));
        Ok((name.clone(), frozen.encode(id.0).map_err(failed)?))
    };
    let tables = tables.into_iter().map(encode).collect::<Result<_, EngineError>>()?;
    Ok(Encoded { segments, tables, held: None })
}

/// Everything that the tasks of one worker and term have frozen.
pub(super) struct Frozen {
    tasks: BTreeSet<TaskId>,
    ledger: FrozenLedger<Arc<Piece>>,
    unpublished: BTreeSet<Attempt>,
    /// Attempts up to this one are over.
    over: Attempt,
    /// The newest one that was published.
    published: Attempt,
    collecting: BTreeMap<Attempt, BTreeMap<TaskId, Collected>>,
    /// What the tables have in the chain.
    tables: StoredTables,
    /// Merges that the next attempt of which everything is there carries.
    merged: Vec<Merged>,
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
    pub(super) fn new(tasks: BTreeSet<TaskId>, tables: StoredTables) -> Self {
        Self {
            tasks,
            tables,
            merged: Vec::new(),
            ledger: FrozenLedger::new(),
            unpublished: BTreeSet::new(),
            over: Attempt(0),
            published: Attempt(0),
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
        for PreparedOperator { uid, encoded, committables, .. } in operators {
            if !encoded.is_empty() || !committables.is_empty() {
                let piece = Piece { committables, keyed: Mutex::new(Keyed::Encoded(encoded)) };
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
        for Merged { id, segments } in self.merged.drain(..) {
            let keyed = Keyed::Stored { segments: Vec::new(), tables: segments };
            let piece = Piece { committables: Vec::new(), keyed: Mutex::new(keyed) };
            self.ledger.freeze(&id.uid, id.subtask, attempt, Arc::new(piece));
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
        self.published = self.published.max(attempt);
        for (uid, subtask, piece) in self.ledger.published(attempt) {
            let keyed = piece.keyed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Keyed::Stored { tables, .. } = &*keyed {
                self.tables.add(&uid, subtask, tables);
            }
        }
        self.unpublished.retain(|a| *a > attempt);
    }

    /// Tables of which more is stored than they have been told of, and the newest published attempt:
    /// what they froze up to then is in what is stored.
    pub(super) fn take_untold(&mut self) -> (Attempt, Vec<Told>) {
        (self.published, self.tables.take_untold())
    }

    /// These were not told after all.
    pub(super) fn not_told(&mut self, tables: Vec<Told>) {
        self.tables.not_told(tables);
    }

    /// The next merge of what is published, if one is due.
    pub(super) fn next_merge(&mut self) -> Option<Merge> {
        self.tables.next_merge()
    }

    /// A merge is stored.
    pub(super) fn merged(&mut self, merged: Merged) {
        self.tables.add(&merged.id.uid, merged.id.subtask, &merged.segments);
        self.merged.push(merged);
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
        let mut waiting: Vec<(Arc<Piece>, Encoded)> = Vec::new();
        for (uid, pieces) in pieces {
            for piece in pieces {
                let keyed = piece.keyed.lock().unwrap_or_else(PoisonError::into_inner);
                if let Keyed::Encoded(encoded) = &*keyed {
                    waiting.push((Arc::clone(piece), encoded.clone()));
                    if !encoded.is_empty() {
                        folder.get_or_insert_with(|| uid.clone());
                    }
                }
            }
        }
        let bytes: Vec<Bytes> = waiting.iter().flat_map(|(_, encoded)| encoded.bytes()).collect();
        let mut places = match folder {
            Some(folder) => writer.write(&folder, &bytes).await?.into_iter(),
            None => Vec::new().into_iter(),
        };
        for (piece, encoded) in waiting {
            let stored = encoded.stored(&mut places);
            *piece.keyed.lock().unwrap_or_else(PoisonError::into_inner) = stored;
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
            if let Keyed::Stored { segments, tables } = &*keyed {
                state.segments.extend(segments.iter().cloned());
                state.tables.extend(tables.iter().cloned());
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

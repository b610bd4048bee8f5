//! Merges of the segments that state tables have in the chain, while the tasks run.
//!
//! The member knows what is published of its tasks' tables: what they restored, and what acks of
//! published attempts carried. When [`policy`] says that some of it is due, one merge at a time
//! reads those segments (mostly from the cache), writes what counts of them as new ones, and the
//! next ack carries the references. Nothing waits for a merge: no barrier, no task. A reference
//! that speaks for the ages of others voids them wherever it is listed, so that a merge which comes
//! late, or never, changes nothing but how much there is to read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use weir_checkpoint::data::{DataError, DataReader, DataWriter};
use weir_checkpoint::manifest::tables::{compose, counting, share};
use weir_checkpoint::{SubtaskRestore, TableSegment};
use weir_engine::EngineError;
use weir_engine::graph::JobGraph;
use weir_engine::runtime::Pool;
use weir_protocol::{KeyGroupRange, OperatorUid, Subtask};
use weir_state::merge::policy::{Due, Layer, Limits, decide};
use weir_state::merge::{Compaction, MergeError, Output};
use weir_state::table::TableSpec;

use super::freeze::TaskId;

/// Segments that a merge writes are closed behind the key group that passes so many bytes.
const SEGMENT_BYTES: usize = 32 << 20;

/// A table of one subtask.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct TableId {
    pub(super) uid: OperatorUid,
    pub(super) subtask: Subtask,
    pub(super) table: String,
}

/// What a table has in the chain, merges included that the next ack carries.
#[derive(Debug)]
struct Stored {
    spec: TableSpec,
    /// The subtask's key groups.
    range: KeyGroupRange,
    segments: Vec<TableSegment>,
}

/// What the tables of a worker's tasks have in the chain.
#[derive(Debug, Default)]
pub(super) struct StoredTables {
    tables: BTreeMap<TableId, Stored>,
    limits: Limits,
    /// The table that was looked at last: each has its turn.
    last: Option<TableId>,
    /// Tables of which more is stored than they have been told of.
    untold: BTreeSet<TableId>,
}

/// What is stored of a table, for it to be told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) id: TableId,
    pub(super) range: KeyGroupRange,
    pub(super) segments: Vec<TableSegment>,
}

/// A merge to be carried out.
#[derive(Debug)]
pub(super) struct Merge {
    id: TableId,
    spec: TableSpec,
    inputs: Vec<TableSegment>,
    range: KeyGroupRange,
    complete: bool,
}

/// A merge that was carried out.
#[derive(Debug)]
pub(super) struct Merged {
    pub(super) id: TableId,
    pub(super) segments: Vec<TableSegment>,
}

/// A merge that was not; what it would have merged goes on counting.
#[derive(Debug, thiserror::Error)]
pub(super) enum MergeFailed {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Merge(#[from] MergeError),
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl StoredTables {
    /// What is stored of the tables of these tasks when they begin.
    pub(super) fn new(
        graph: &JobGraph,
        parallelism: u32,
        tasks: &BTreeSet<TaskId>,
        restores: &[SubtaskRestore],
        limits: Limits,
    ) -> Self {
        let mut tables = BTreeMap::new();
        for &(vertex, subtask) in tasks {
            let subtasks = graph.subtasks(vertex, parallelism);
            let range = KeyGroupRange::of_subtask(subtask, subtasks, graph.max_parallelism);
            for (info, _) in graph.vertex(vertex).into_iter().flat_map(|v| &v.chain) {
                for spec in &info.tables {
                    let (uid, table) = (info.uid.clone(), spec.name.clone());
                    let stored = Stored { spec: spec.clone(), range, segments: Vec::new() };
                    tables.insert(TableId { uid, subtask, table }, stored);
                }
            }
        }
        let mut stored = Self { tables, limits, last: None, untold: BTreeSet::new() };
        for restore in restores {
            stored.add(&restore.uid, restore.subtask, &restore.state.tables);
        }
        // They take these over as they begin.
        stored.untold.clear();
        stored
    }

    /// These references are published, or the next ack carries them.
    pub(super) fn add(&mut self, uid: &OperatorUid, subtask: Subtask, more: &[TableSegment]) {
        for (id, stored) in &mut self.tables {
            if id.uid != *uid || id.subtask != subtask {
                continue;
            }
            let more: Vec<_> = more.iter().filter(|s| s.table == id.table).cloned().collect();
            if !more.is_empty() {
                stored.segments = share(&compose(&stored.segments, more), stored.range);
                self.untold.insert(id.clone());
            }
        }
    }

    /// The tables of which more is stored than they have been told of, with all that is.
    pub(super) fn take_untold(&mut self) -> Vec<Told> {
        let untold = std::mem::take(&mut self.untold);
        let told = untold.into_iter().filter_map(|id| {
            let Stored { range, segments, .. } = self.tables.get(&id)?;
            Some(Told { range: *range, segments: segments.clone(), id })
        });
        told.collect()
    }

    /// These were not told after all.
    pub(super) fn not_told(&mut self, tables: Vec<Told>) {
        self.untold.extend(tables.into_iter().map(|told| told.id));
    }

    /// The next merge that is due, each table in its turn.
    pub(super) fn next_merge(&mut self) -> Option<Merge> {
        let behind = self.tables.keys().filter(|id| self.last.as_ref().is_none_or(|l| *id > l));
        let in_turn = behind.chain(self.tables.keys());
        let mut due = in_turn.filter_map(|id| self.tables.get(id)?.due(id, &self.limits));
        let merge = due.next()?;
        drop(due);
        self.last = Some(merge.id.clone());
        Some(merge)
    }
}

impl Stored {
    fn due(&self, id: &TableId, limits: &Limits) -> Option<Merge> {
        let mut layers = Vec::new();
        let mut segments = Vec::new();
        for (segment, ranges) in counting(&self.segments, self.range) {
            // What lies in a savepoint is copied first: no manifest of the job's own may name it.
            if let (true, [range, ..]) = (segment.place.is_foreign(), ranges.as_slice()) {
                let (spec, inputs) = (self.spec.clone(), vec![segment.clone()]);
                return Some(Merge {
                    id: id.clone(),
                    spec,
                    inputs,
                    range: *range,
                    complete: false,
                });
            }
            for range in ranges {
                // As if all of its groups were equally large.
                let share = u128::from(segment.len) * range.len() as u128;
                let bytes = (share / (segment.range.len() as u128).max(1)) as u64;
                layers.push(Layer { range, ages: segment.ages, bytes });
                segments.push(segment);
            }
        }
        let Due { range, inputs, complete } = decide(self.range, &layers, limits)?;
        let inputs = inputs.into_iter().filter_map(|at| segments.get(at).copied());
        let mut inputs: Vec<TableSegment> = inputs.cloned().collect();
        // A segment that counts for several stretches of groups has a layer for each.
        inputs.dedup_by(|a, b| a.id == b.id);
        Some(Merge { id: id.clone(), spec: self.spec.clone(), inputs, range, complete })
    }
}

impl Merge {
    /// Reads, merges and writes, output by output. What it takes counts in the pool: its inputs, and
    /// as much again of outputs.
    ///
    /// # Errors
    /// When a segment cannot be read, is damaged, or the store takes none.
    pub(super) async fn run(
        self,
        reader: DataReader,
        writer: DataWriter,
        pool: Arc<Pool>,
    ) -> Result<Merged, MergeFailed> {
        let Self { id, spec, inputs, range, complete } = self;
        let bytes: u64 = inputs.iter().map(|segment| segment.len).sum();
        let _held = pool.hold(2 * bytes as usize);
        let inputs = reader.read_table(&inputs, range).await?;
        let mut merge = Compaction::new(&spec, &inputs, range, complete, SEGMENT_BYTES)?;
        drop(inputs);
        let mut merged = Merged { id, segments: Vec::new() };
        loop {
            let next_id = writer.nonces().draw().0;
            let write = move || merge.write_next(next_id).map(|output| (output, merge));
            let written =
                weir_engine::env::blocking(write).await.map_err(EngineError::internal)??;
            let (Some(Output { bytes, footer }), rest) = written else { return Ok(merged) };
            merge = rest;
            let places = writer.write(&merged.id.uid, &[bytes]).await?.into_iter();
            let table = &merged.id.table;
            merged.segments.extend(places.map(|place| TableSegment::new(table, &footer, place)));
        }
    }
}

//! Between manifests and what the core works with.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::manifest::{Assignment, Blob, Mark, Member, Placement, StateSchema};
use weir_checkpoint::{CheckpointBody, Manifest, NewCommit, OperatorEntry};
use weir_engine::Watermark;
use weir_engine::operator::{Committable, StateSchema as EngineSchema};
use weir_protocol::{Attempt, Epoch, OperatorUid, WorkerId};

use super::cut::{Body, Cut, Head, OperatorCut, Pending};
use super::place::Spread;
use super::plan::Plan;

/// What a source says once it has ended, by itself or because the job is drained, so that every
/// window closes. It holds for a run and not for the job: whoever goes on from the cut may read
/// more, none of which is late. So nothing is restored from it; sources that have ended for good
/// say it again.
const END_OF_TIME: i64 = Watermark::MAX.0;

/// A manifest whose sources' state cannot be read.
#[derive(Debug, thiserror::Error)]
#[error(
    "version {version}, operator \"{operator}\": its splits cannot be read: {problem}; restore with the version of Weir that wrote it"
)]
pub struct Unreadable {
    version: u64,
    operator: String,
    problem: serde_json::Error,
}

/// Whether a job of sources with an end has finished with this manifest: everything was read,
/// every window is closed and all output is committed. Then `sources` of a program that are all
/// among its own give nothing more.
///
/// # Errors
/// When the manifest cannot be read.
pub fn has_finished<'a>(
    manifest: &Manifest,
    sources: impl IntoIterator<Item = &'a OperatorUid>,
) -> Result<bool, Unreadable> {
    Ok(build_head(manifest)?.has_finished(sources))
}

/// Whether everything that was read is written.
fn is_over(manifest: &Manifest) -> bool {
    let vertices: BTreeSet<_> = manifest.assignment.placements.iter().map(|p| p.vertex).collect();
    manifest.watermarks.values().all(|mark| *mark == Mark::Even(END_OF_TIME))
        && manifest.watermarks.len() == vertices.len()
        && manifest.state_of.is_some()
        && manifest.pending.is_empty()
}

/// What the core needs of a manifest. Everything is kept by the names of operators, so it holds
/// for any plan that has them.
///
/// # Errors
/// When splits or positions cannot be read.
pub fn build_head(manifest: &Manifest) -> Result<Head, Unreadable> {
    let mut operators = BTreeMap::new();
    for (uid, entry) in &manifest.operators {
        let unreadable = |problem| Unreadable {
            version: manifest.version.0,
            operator: entry.name.clone(),
            problem,
        };
        let splits = entry.splits.iter().cloned().map(serde_json::from_value);
        let splits = splits.collect::<Result<_, _>>().map_err(unreadable)?;
        let enumerator = entry.enumerator.clone().map(serde_json::from_value);
        let schema = &entry.schema;
        let cut = OperatorCut {
            name: entry.name.clone(),
            kind: entry.kind.clone(),
            schema: Some(EngineSchema { version: schema.version, columns: schema.columns.clone() }),
            segments: entry.segments.iter().cloned().map(Into::into).collect(),
            items: entry.items.iter().map(|i| i.0.clone()).collect(),
            splits,
            enumerator: enumerator.transpose().map_err(unreadable)?,
            watermark: manifest.watermarks.get(uid).and_then(|mark| mark.before(END_OF_TIME)),
            counts: entry.counts,
        };
        operators.insert(uid.clone(), cut);
    }
    let committables = manifest.pending.iter().map(|p| Pending {
        epoch: Epoch::from(p.epoch),
        lineage: manifest.lineage_of(p).0.clone(),
        index: p.index,
        committable: Committable { sink: p.sink.clone(), payload: p.payload.0.clone() },
    });
    Ok(Head {
        term: manifest.term,
        version: manifest.version,
        epoch: manifest.epoch().unwrap_or_default(),
        lineage: manifest.lineage.0.clone(),
        bytes: manifest.bytes,
        written_ms: manifest.created_ms,
        spread: build_spread(&manifest.assignment),
        over: is_over(manifest),
        cut: Cut {
            parallelism: manifest.assignment.parallelism,
            max_parallelism: manifest.max_parallelism,
            plan_hash: manifest.plan_hash.clone(),
            operators,
            committables: committables.collect(),
            listed: manifest.pending.len(),
            write_full: manifest.operators_to_write_full(),
            foreign: manifest.foreign_operators(),
        },
    })
}

/// What an attempt publishes.
pub(super) fn build_checkpoint(
    attempt: Attempt,
    body: Body,
    created_ms: i64,
) -> Result<CheckpointBody, serde_json::Error> {
    let mut watermarks = BTreeMap::new();
    let mut operators = BTreeMap::new();
    for (uid, cut) in body.operators {
        if let Some(mark) = cut.watermark {
            watermarks.insert(uid.clone(), mark);
        }
        let schema = cut.schema.unwrap_or_default();
        let splits = cut.splits.iter().map(serde_json::to_value);
        let enumerator = cut.enumerator.as_ref().map(serde_json::to_value);
        let entry = OperatorEntry {
            name: cut.name,
            kind: cut.kind,
            schema: StateSchema { version: schema.version, columns: schema.columns },
            segments: cut.segments.into_iter().map(Into::into).collect(),
            items: cut.items.into_iter().map(Blob).collect(),
            splits: splits.collect::<Result<_, _>>()?,
            enumerator: enumerator.transpose()?,
            counts: cut.counts,
            ..OperatorEntry::default()
        };
        operators.insert(uid, entry);
    }
    let commits = body.committables.into_iter().map(|c| NewCommit {
        sink: c.sink,
        payload: Blob(c.payload),
        objects: BTreeSet::new(),
    });
    Ok(CheckpointBody {
        attempt,
        operators,
        watermarks,
        commits: commits.collect(),
        pin: body.pin,
        created_ms,
    })
}

/// Where subtasks of each number run, if that is known of all.
fn build_spread(assignment: &Assignment) -> Option<Spread> {
    let placed: BTreeMap<_, _> =
        assignment.placements.iter().map(|p| (p.subtask.0, p.worker)).collect();
    let workers = (0..assignment.parallelism).map(|subtask| placed.get(&subtask).copied());
    let workers: Option<Vec<WorkerId>> = workers.collect();
    workers.filter(|workers| !workers.is_empty()).map(Spread)
}

/// Who runs what, as manifests have it.
pub(super) fn build_assignment(
    plan: &Plan,
    spread: &Spread,
    parallelism: u32,
    addresses: &BTreeMap<WorkerId, Member>,
) -> Assignment {
    let workers = spread.workers().into_iter().map(|worker| {
        let known = addresses.get(&worker).cloned();
        known.unwrap_or_else(|| Member { worker, ..Member::default() })
    });
    let placements = plan.tasks(parallelism).filter_map(|(vertex, subtask)| {
        Some(Placement { vertex, subtask, worker: spread.worker(subtask)? })
    });
    Assignment { parallelism, workers: workers.collect(), placements: placements.collect() }
}

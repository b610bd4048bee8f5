//! The manifest: everything that is true of a job at one version of its chain.
//!
//! The head alone suffices to recover. Manifests are JSON with a format number; a reader
//! refuses a format it does not know, and fields it does not know, because it would drop them
//! when it repeats the manifest under its own term.

mod encoding;
mod segments;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_protocol::{
    Attempt, Epoch, JobName, Lineage, OperatorCounts, OperatorUid, Subtask, Term, Version,
    VertexId, WorkerId,
};

pub use self::encoding::Blob;
pub use self::segments::{
    INLINE_LIMIT, MAX_DELTA_DEPTH, Place, SegmentRef, compose, is_foreign, plan_restore,
    should_compact,
};
use crate::Nonce;

/// The format that this version writes, and the newest it can read.
pub const FORMAT: u32 = 1;

/// Why a manifest was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestKind {
    /// A new term took over; repeats the state before it, or an older one.
    Seal,
    /// A checkpoint.
    Checkpoint,
    /// Repeats the state before it: occupies the name of an undecided manifest so that it cannot
    /// land, or says, as a coordinator stops, that listed output is committed.
    Void,
}

/// A worker and where it can be reached.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its ordinal.
    pub worker: WorkerId,
    /// `host:port`: of the control service for a coordinator, of the data exchange for a worker.
    pub address: String,
    /// Where a worker's control service listens; empty where it has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub control: String,
}

/// One subtask's place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Placement {
    /// Of the job graph.
    pub vertex: VertexId,
    /// Which of its instances.
    pub subtask: Subtask,
    /// Who runs it.
    pub worker: WorkerId,
}

/// Who runs what.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Subtasks per parallel vertex.
    pub parallelism: u32,
    /// Every worker of the term.
    pub workers: Vec<Member>,
    /// Every subtask of the job.
    pub placements: Vec<Placement>,
}

/// Names and types of an operator's state; shown by plans and checked at restore.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateSchema {
    /// Version of the encoding.
    pub version: u32,
    /// Column name → Arrow type.
    pub columns: BTreeMap<String, String>,
}

/// The state of one operator, over all of its subtasks.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorEntry {
    /// For people.
    pub name: String,
    /// What sort of operator it is, for the check at restore.
    pub kind: String,
    /// Of its keyed state.
    pub schema: StateSchema,
    /// Keyed state, in the order in which it applies. In a [`CheckpointBody`]: only what is new.
    ///
    /// [`CheckpointBody`]: crate::CheckpointBody
    pub segments: Vec<SegmentRef>,
    /// Values that are not keyed; complete at every checkpoint.
    pub items: Vec<Blob>,
    /// Names of objects under `data/` that items refer to.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub objects: BTreeSet<String>,
    /// Sources: the splits being read, each with its position.
    pub splits: Vec<serde_json::Value>,
    /// Sources: the enumerator's own state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enumerator: Option<serde_json::Value>,
    /// What it had counted at the cut since the job's first row, for display: rows that are read
    /// again after a failure count once.
    #[serde(default, skip_serializing_if = "OperatorCounts::is_zero")]
    pub counts: OperatorCounts,
}

/// Output that is published but not known to be committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingCommit {
    /// Version of the manifest that listed it first.
    pub epoch: Version,
    /// Its position in that manifest's own list; with the epoch, its identity.
    pub index: u32,
    /// The sink that can commit it.
    pub sink: OperatorUid,
    /// The sink's own description of what to do.
    pub payload: Blob,
    /// Names of objects under `data/` that the payload refers to: they are kept until it is
    /// committed. Empty today, since sinks stage in their own system; an object there that is not
    /// named here is deleted sooner or later.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub objects: BTreeSet<String>,
    /// The lineage it was published under, where that is not the manifest's own: the job was
    /// started over meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<Lineage>,
}

impl PendingCommit {
    /// What tells it from every other of the chain.
    #[must_use]
    pub fn id(&self) -> CommitId {
        CommitId { epoch: self.epoch, index: self.index }
    }
}

/// Names a committable within a chain.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct CommitId {
    /// Version of the manifest that listed it first.
    pub epoch: Version,
    /// Position in that manifest's own list.
    pub index: u32,
}

/// An older version that may still be restored.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetainedVersion {
    /// Always that of a checkpoint.
    pub version: Version,
    /// The savepoint or operation that needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_by: Option<String>,
    /// Every object that its manifest names.
    pub objects: BTreeSet<String>,
}

/// A roll-back that has begun: the older state is not restored before the output listed here
/// is destroyed, and nothing of that output is committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The retained version to go back to.
    pub to: Version,
    /// Which of `pending` the older state does not cover.
    pub destroy: BTreeSet<CommitId>,
}

/// Where a job's first state came from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// URL of the savepoint's folder.
    pub url: String,
    /// Lineage of the job that wrote it.
    pub lineage: Lineage,
    /// Its epoch there.
    pub epoch: Version,
}

/// Everything that is true of a job at one version of its chain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Of this encoding; [`FORMAT`].
    pub format: u32,
    /// Random id of the job's state.
    pub lineage: Lineage,
    /// Position in the chain.
    pub version: Version,
    /// The version whose state this one builds on: the one before, or an older one when the job
    /// was set back; absent when the state is new.
    pub parent: Option<Version>,
    /// The writer's term.
    pub term: Term,
    /// Tells this manifest from any other put under the same name.
    pub nonce: Nonce,
    /// Why it was put.
    pub kind: ManifestKind,
    /// `namespace/name`.
    pub job: JobName,
    /// UID of the Kubernetes object; absent outside Kubernetes.
    pub job_uid: Option<String>,
    /// The revision of the job that runs.
    pub revision: String,
    /// Of the job graph.
    pub plan_hash: String,
    /// Who coordinates.
    pub coordinator: Member,
    /// Who runs what.
    pub assignment: Assignment,
    /// Number of key groups; never changes within a lineage.
    pub max_parallelism: u32,
    /// The attempt that it was published for.
    pub attempt: Attempt,
    /// Version of the checkpoint whose state this is: its own for a checkpoint; absent before
    /// the first one.
    pub state_of: Option<Version>,
    /// State by operator.
    pub operators: BTreeMap<OperatorUid, OperatorEntry>,
    /// Merged watermark of each chain of operators at the cut, in milliseconds, by the chain's
    /// first operator: its name stays the same when the plan around it changes.
    pub watermarks: BTreeMap<OperatorUid, Mark>,
    /// All output not yet known to be committed, in order.
    pub pending: Vec<PendingCommit>,
    /// The largest epoch of which output is known to be committed.
    pub committed_through: Option<Version>,
    /// Older versions that may be restored, ascending.
    pub retained: Vec<RetainedVersion>,
    /// Objects that the manifests before named and this one does not, not yet known to be
    /// deleted. Nothing else of the own term may be deleted.
    pub dropped: BTreeSet<String>,
    /// The savepoint or operation that needs this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_by: Option<String>,
    /// Tokens of restores that have been carried out.
    pub used_tokens: BTreeSet<String>,
    /// A roll-back that is not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roll_back: Option<RollBack>,
    /// Where the first state came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Milliseconds since 1970; for display only.
    pub created_ms: i64,
    /// Bytes of state that it names, inline ones included.
    pub bytes: u64,
}

/// Where the subtasks of a chain of operators stand in event time, in milliseconds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Mark {
    /// All at the same watermark; of a source's chain the smallest.
    Even(i64),
    /// Each at its own, in the order of subtasks; absent where none was received. Subtasks that
    /// are told of idle splits in another order do not pass every watermark at the same cut.
    Uneven(Vec<Option<i64>>),
}

impl Mark {
    /// What subtasks say of themselves; `None` when none of them has received any.
    #[must_use]
    pub fn of(marks: &[Option<i64>]) -> Option<Self> {
        let first = marks.first()?;
        if marks.iter().any(|mark| mark != first) {
            return Some(Self::Uneven(marks.to_vec()));
        }
        first.map(Self::Even)
    }

    /// What all of them have reached.
    #[must_use]
    pub fn least(&self) -> Option<i64> {
        match self {
            Self::Even(mark) => Some(*mark),
            Self::Uneven(marks) => marks.iter().copied().min().flatten(),
        }
    }

    /// What counts where whoever has reached `end` is to begin anew.
    #[must_use]
    pub fn before(&self, end: i64) -> Option<Self> {
        let below = |mark: Option<i64>| mark.filter(|mark| *mark < end);
        match self {
            Self::Even(mark) => below(Some(*mark)).map(Self::Even),
            Self::Uneven(marks) => Self::of(&marks.iter().copied().map(below).collect::<Vec<_>>()),
        }
    }
}

impl From<i64> for Mark {
    fn from(mark: i64) -> Self {
        Self::Even(mark)
    }
}

/// A manifest that cannot be read. There is no falling back to an older one.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Written by a newer version of Weir.
    #[error(
        "{name}: manifest format {found} is newer than the newest this version of Weir reads ({FORMAT}); run the version of Weir that wrote it, or a newer one"
    )]
    NewerFormat {
        /// The object.
        name: String,
        /// Its format.
        found: u32,
    },
    /// The newest one is not there.
    #[error(
        "{name} is gone: it was the job's newest manifest, and to go on from version {newest} would repeat output; bring it back from a backup of the store, or remove head-hint beside chain/ to go on from version {newest} all the same"
    )]
    HeadGone {
        /// The object.
        name: String,
        /// The newest that is there.
        newest: Version,
    },
    /// Not what it should be.
    #[error("{name}: not a manifest: {problem}; restore the object from a backup of the store")]
    Damaged {
        /// The object.
        name: String,
        /// What is wrong.
        problem: String,
    },
}

impl Manifest {
    /// As stored.
    ///
    /// # Errors
    /// When a value has no JSON form, which a map with keys of another sort would be.
    pub fn encode(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }

    /// Reads what is stored under `name`.
    ///
    /// # Errors
    /// When the format is newer than [`FORMAT`], or the bytes are not a manifest.
    pub fn decode(name: &str, bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let damaged = |e: serde_json::Error| ManifestError::Damaged {
            name: name.to_owned(),
            problem: e.to_string(),
        };
        let Format { format } = serde_json::from_slice(bytes).map_err(damaged)?;
        if format > FORMAT {
            return Err(ManifestError::NewerFormat { name: name.to_owned(), found: format });
        }
        serde_json::from_slice(bytes).map_err(damaged)
    }

    /// What users call it: the checkpoint whose state it holds.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        self.state_of.map(Epoch::from)
    }

    /// The lineage that pending output was published under.
    #[must_use]
    pub fn lineage_of<'a>(&'a self, pending: &'a PendingCommit) -> &'a Lineage {
        pending.lineage.as_ref().unwrap_or(&self.lineage)
    }

    /// Objects that its own state and pending output need, without those of retained versions.
    #[must_use]
    pub fn own_objects(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in self.operators.values() {
            names.extend(entry.segments.iter().filter_map(|s| s.object().map(str::to_owned)));
            names.extend(entry.objects.iter().cloned());
        }
        names.extend(self.pending.iter().flat_map(|p| p.objects.iter().cloned()));
        names
    }

    /// Every object that must not be deleted while this manifest is the head.
    #[must_use]
    pub fn live_objects(&self) -> BTreeSet<String> {
        let mut names = self.own_objects();
        names.extend(self.retained.iter().flat_map(|r| r.objects.iter().cloned()));
        names
    }

    /// Operators whose state lies outside this job's own data: they write everything at the
    /// first checkpoint.
    #[must_use]
    pub fn foreign_operators(&self) -> Vec<OperatorUid> {
        self.operators
            .iter()
            .filter(|(_, entry)| entry.segments.iter().any(SegmentRef::is_foreign))
            .map(|(uid, _)| uid.clone())
            .collect()
    }

    /// Operators that should write all of their state at the next attempt: what `Trigger.full`
    /// names.
    #[must_use]
    pub fn operators_to_write_full(&self) -> Vec<OperatorUid> {
        self.operators
            .iter()
            .filter(|(_, entry)| {
                should_compact(&entry.segments) || entry.segments.iter().any(SegmentRef::is_foreign)
            })
            .map(|(uid, _)| uid.clone())
            .collect()
    }

    /// The retained version with this number.
    #[must_use]
    pub fn retained(&self, version: Version) -> Option<&RetainedVersion> {
        self.retained.iter().find(|r| r.version == version)
    }

    /// Bytes of state that the operators' segments and items hold.
    #[must_use]
    pub fn count_bytes(operators: &BTreeMap<OperatorUid, OperatorEntry>) -> u64 {
        operators
            .values()
            .map(|entry| {
                entry.segments.iter().map(|s| s.len).sum::<u64>()
                    + entry.items.iter().map(|i| i.0.len() as u64).sum::<u64>()
            })
            .sum()
    }
}

/// The name of a version in the store.
#[must_use]
pub fn chain_name(version: Version) -> String {
    format!("chain/{:020}", version.0)
}

/// The version that a name in the store stands for.
#[must_use]
pub fn version_of(name: &str) -> Option<Version> {
    let digits = name.strip_prefix("chain/")?;
    (digits.len() == 20).then(|| digits.parse().ok().map(Version)).flatten()
}

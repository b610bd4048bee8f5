//! The manifest: everything that is true of a job at one version of its chain.
//!
//! The head alone suffices to recover. Manifests are JSON with a format number; a reader
//! refuses a format it does not know, and fields it does not know, because it would drop them
//! when it repeats the manifest under its own term. The first format is read for ever
//! (`format_1.rs`).
//!
//! What a manifest holds of an operator is what its tasks hand over, added up ([`OperatorState`]):
//! acks, restores and manifests have one form, and the control protocol carries it as it is.

mod format_1;
mod operator;
mod segments;
pub mod tables;
mod watermark;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_protocol::{
    Attempt, Committable, Epoch, JobName, Lineage, OperatorUid, Placement, Term, Version, WorkerId,
};

pub use self::operator::{EnumeratorState, OperatorEntry, OperatorState};
pub use self::segments::{
    INLINE_LIMIT, MAX_DELTA_DEPTH, Place, SegmentRef, compose, is_foreign, plan_restore, share,
    should_compact,
};
pub use self::tables::TableSegment;
pub use self::watermark::{ChainWatermark, END_OF_TIME};
use crate::Nonce;

/// The format that this version writes, and the newest it can read.
pub const FORMAT: u32 = 2;

/// Why a manifest was put.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManifestKind {
    /// A new term took over; repeats the state before it, or an older one.
    #[default]
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

/// Output that is published but not known to be committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PendingCommit {
    /// Version of the manifest that listed it first.
    pub epoch: Version,
    /// Its position in that manifest's own list; with the epoch, its identity.
    pub index: u32,
    /// What to commit. It may not refer to objects under `data/`: one that no segment names is
    /// deleted sooner or later.
    pub committable: Committable,
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

/// Everything that is true of a job at one version of its chain. The default is that of a job
/// without any: version 0, which no chain has.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
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
    /// The version of Weir that wrote it first in its term; absent in those of before it was kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub weir: String,
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
    pub watermarks: BTreeMap<OperatorUid, ChainWatermark>,
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
            #[serde(default)]
            weir: String,
        }
        let damaged = |writer: &str, e: serde_json::Error| ManifestError::Damaged {
            name: name.to_owned(),
            problem: match writer {
                "" => e.to_string(),
                writer => format!("{e} (it was written by Weir {writer})"),
            },
        };
        let Format { format, weir } = serde_json::from_slice(bytes).map_err(|e| damaged("", e))?;
        let damaged = |e| damaged(&weir, e);
        match format {
            1 => format_1::decode(bytes).map_err(damaged),
            FORMAT => serde_json::from_slice(bytes).map_err(damaged),
            0 => Err(damaged(serde::de::Error::custom("there was never a format 0"))),
            found => Err(ManifestError::NewerFormat { name: name.to_owned(), found }),
        }
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

    /// Where every piece of its keyed state lies.
    fn places(&self) -> impl Iterator<Item = &Place> {
        self.operators.values().flat_map(|entry| entry.state.places())
    }

    /// Objects that its own state needs, without those of retained versions.
    #[must_use]
    pub fn own_objects(&self) -> BTreeSet<String> {
        self.places().filter_map(|place| place.object().map(str::to_owned)).collect()
    }

    /// Those of them that lie in the job's own folder.
    #[must_use]
    pub fn data_objects(&self) -> BTreeSet<&str> {
        self.places().filter(|place| !place.is_foreign()).filter_map(Place::object).collect()
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
            .filter(|(_, entry)| entry.is_foreign())
            .map(|(uid, _)| uid.clone())
            .collect()
    }

    /// Operators that should write all of their state at the next attempt: what `Trigger.full`
    /// names.
    #[must_use]
    pub fn operators_to_write_full(&self) -> Vec<OperatorUid> {
        self.operators
            .iter()
            .filter(|(_, entry)| should_compact(&entry.state.segments) || entry.is_foreign())
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
        operators.values().map(|entry| entry.state.bytes()).sum()
    }

    /// What the chain of operators that begins with this one goes on from at a restore: nothing
    /// where the end of time was reached, which holds for a run and not for the job. Whoever goes on
    /// may read more, none of which is late; sources that have ended for good say it again.
    #[must_use]
    pub fn watermark(&self, head: &OperatorUid) -> Option<ChainWatermark> {
        self.watermarks.get(head)?.before(END_OF_TIME)
    }

    /// Whether everything that was read is written: every window is closed and all output is
    /// committed.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let chains: BTreeSet<_> = self.assignment.placements.iter().map(|p| p.vertex).collect();
        self.watermarks.values().all(|mark| *mark == ChainWatermark::Even(END_OF_TIME))
            && self.watermarks.len() == chains.len()
            && self.state_of.is_some()
            && self.pending.is_empty()
    }

    /// Whether a job of sources with an end has finished with it, by these sources among its own:
    /// everything was read and is written, and a program of no other sources has nothing to read.
    #[must_use]
    pub fn has_finished<'a>(&self, sources: impl IntoIterator<Item = &'a OperatorUid>) -> bool {
        let mut sources = sources.into_iter().peekable();
        let is_read =
            |uid: &OperatorUid| self.operators.get(uid).is_some_and(OperatorEntry::is_read);
        self.is_over() && sources.peek().is_some() && sources.all(is_read)
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

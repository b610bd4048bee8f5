//! Builds the manifest that comes next. Pure: everything that is random or read comes in.

use std::collections::{BTreeMap, BTreeSet};

use weir_protocol::{Attempt, Committable, JobName, Lineage, OperatorUid, Term, Version};

use super::decide::carry_pending;
use super::retention::{dropped_between, retain};
use super::takeover::{SealPlan, SealRequest, Start};
use crate::Nonce;
use crate::manifest::{
    ChainWatermark, CommitId, FORMAT, Manifest, ManifestKind, OperatorEntry, PendingCommit,
    RollBack,
};

/// What an attempt adds to the chain.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CheckpointBody {
    /// The attempt.
    pub attempt: Attempt,
    /// Every operator of the plan, also those without news: an operator that is not here loses
    /// its state. Segments are only the new ones; the rest of an entry is complete.
    pub operators: BTreeMap<OperatorUid, OperatorEntry>,
    /// Those of them that began anew: nothing of what the head holds of them goes on.
    pub renewed: BTreeSet<OperatorUid>,
    /// Merged watermark of each chain of operators at the cut, by the chain's first operator.
    pub watermarks: BTreeMap<OperatorUid, ChainWatermark>,
    /// Output ready to be committed, in order.
    pub commits: Vec<Committable>,
    /// The savepoint or operation that needs this version: it stays restorable until unpinned.
    pub pin: Option<String>,
    /// Milliseconds since 1970, for display.
    pub created_ms: i64,
}

impl CheckpointBody {
    /// Whether publishing it on top of `head` would say anything new. When not, nothing is to be
    /// published. `uncommitted` is how much of the output that the head lists is not known to be
    /// committed. Watermarks may move without anything being read; that alone is not worth a version,
    /// nor are counts.
    #[must_use]
    pub fn differs_from(&self, head: &Manifest, uncommitted: usize) -> bool {
        let changed = |(uid, entry): (&OperatorUid, &OperatorEntry)| {
            head.operators.get(uid).is_none_or(|before| entry.differs_from(before))
        };
        !self.commits.is_empty()
            || self.pin.is_some()
            || head.pending.len() > uncommitted
            || !self.renewed.is_empty()
            || self.operators.len() != head.operators.len()
            || self.operators.iter().any(changed)
    }
}

/// What the holder of the head remembers beside it.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Listed by the head and known to be committed.
    pub(super) acknowledged: BTreeSet<CommitId>,
    /// Pins to be taken off.
    pub(super) unpinned: BTreeSet<String>,
    /// Dropped by the head and deleted.
    pub(super) deleted: BTreeSet<String>,
}

impl Memory {
    /// Forgets what a new head already says.
    pub(super) fn settle(&mut self, head: &Manifest) {
        let pending: BTreeSet<CommitId> = head.pending.iter().map(PendingCommit::id).collect();
        self.acknowledged.retain(|id| pending.contains(id));
        self.deleted.retain(|name| head.dropped.contains(name));
        self.unpinned.retain(|pin| {
            head.pinned_by.as_ref() == Some(pin)
                || head.retained.iter().any(|r| r.pinned_by.as_ref() == Some(pin))
        });
    }
}

fn finish(
    mut next: Manifest,
    before: &Manifest,
    memory: &Memory,
    retained: usize,
    kind: ManifestKind,
    nonce: Nonce,
) -> Manifest {
    next.format = FORMAT;
    next.version = before.version.next();
    next.kind = kind;
    next.nonce = nonce;
    let keep = match kind {
        // What a roll-back goes back to stays, whatever the limit is now.
        _ if next.roll_back.is_some() => usize::MAX,
        // A checkpoint is one of the versions to be kept itself.
        ManifestKind::Checkpoint => retained.saturating_sub(1),
        ManifestKind::Seal | ManifestKind::Void => retained,
    };
    next.retained = retain(before, keep, &memory.unpinned);
    let newly_committed = before
        .pending
        .iter()
        .filter(|p| memory.acknowledged.contains(&p.id()))
        .map(|p| p.epoch)
        .max();
    next.committed_through = before.committed_through.max(newly_committed);
    next.bytes = Manifest::count_bytes(&next.operators);
    next.dropped = dropped_between(before, &next, &memory.deleted);
    next
}

pub(super) fn build_checkpoint(
    before: &Manifest,
    body: CheckpointBody,
    memory: &Memory,
    retained: usize,
    nonce: Nonce,
) -> Manifest {
    let version = before.version.next();
    let new = (0..).zip(body.commits).map(|(index, committable)| PendingCommit {
        epoch: version,
        index,
        committable,
        lineage: None,
    });
    let pending = carry_pending(&before.pending, |p| memory.acknowledged.contains(&p.id()), new);
    let operators = body
        .operators
        .into_iter()
        .map(|(uid, mut entry)| {
            let before = before.operators.get(&uid).filter(|_| !body.renewed.contains(&uid));
            entry.state = entry.state.on_top_of(before.map(|entry| &entry.state));
            (uid, entry)
        })
        .collect();
    let next = Manifest {
        parent: Some(before.version),
        attempt: body.attempt,
        state_of: Some(version),
        operators,
        watermarks: body.watermarks,
        pending,
        pinned_by: body.pin,
        created_ms: body.created_ms,
        ..before.clone()
    };
    finish(next, before, memory, retained, ManifestKind::Checkpoint, nonce)
}

/// Repeats `before` under the next name, so that nothing else can take it.
pub(super) fn build_void(
    before: &Manifest,
    memory: &Memory,
    retained: usize,
    nonce: Nonce,
) -> Manifest {
    let next = Manifest { parent: Some(before.version), pinned_by: None, ..before.clone() };
    finish(next, before, memory, retained, ManifestKind::Void, nonce)
}

/// Whether it is known of output that `before` lists that it is committed, or a pin of a version
/// that it keeps is taken off.
pub(super) fn has_news(before: &Manifest, memory: &Memory) -> bool {
    let pins = before.retained.iter().map(|r| &r.pinned_by).chain([&before.pinned_by]);
    before.pending.iter().any(|p| memory.acknowledged.contains(&p.id()))
        || pins.flatten().any(|pin| memory.unpinned.contains(pin))
}

/// Repeats `before` without the output that is known to be committed, and without the pins that
/// are taken off.
pub(super) fn build_settled(
    before: &Manifest,
    memory: &Memory,
    retained: usize,
    nonce: Nonce,
) -> Manifest {
    let pending = carry_pending(&before.pending, |p| memory.acknowledged.contains(&p.id()), []);
    let next =
        Manifest { parent: Some(before.version), pinned_by: None, pending, ..before.clone() };
    finish(next, before, memory, retained, ManifestKind::Void, nonce)
}

/// The older state `older` as the next version. What was published since and not committed is
/// no longer listed: the caller has destroyed it, or there was none.
pub(super) fn build_restored(
    before: &Manifest,
    older: &Manifest,
    memory: &Memory,
    retained: usize,
    nonce: Nonce,
) -> Manifest {
    let still: BTreeSet<CommitId> = before.pending.iter().map(PendingCommit::id).collect();
    let next = Manifest {
        parent: Some(older.version),
        attempt: older.attempt,
        state_of: older.state_of,
        operators: older.operators.clone(),
        watermarks: older.watermarks.clone(),
        pending: carry_pending(
            &older.pending,
            |p| !still.contains(&p.id()) || memory.acknowledged.contains(&p.id()),
            [],
        ),
        roll_back: None,
        pinned_by: None,
        ..before.clone()
    };
    let mut next = finish(next, before, memory, retained, ManifestKind::Seal, nonce);
    // Their output is destroyed: they cannot be gone back to.
    next.retained.retain(|r| r.version <= older.version);
    next.dropped = dropped_between(before, &next, &memory.deleted);
    next
}

/// Goes on from the head after a roll-back that came too late.
pub(super) fn build_forward(
    before: &Manifest,
    memory: &Memory,
    retained: usize,
    nonce: Nonce,
) -> Manifest {
    let next = Manifest {
        parent: Some(before.version),
        roll_back: None,
        pinned_by: None,
        ..before.clone()
    };
    finish(next, before, memory, retained, ManifestKind::Seal, nonce)
}

/// What is new with a term.
pub(super) struct Fresh {
    pub(super) nonce: Nonce,
    pub(super) lineage: Lineage,
}

/// The seal. `older` is the version to go back to, already read, where the plan says so.
pub(super) fn build_seal(
    job: &JobName,
    head: Option<&Manifest>,
    request: &SealRequest,
    plan: &SealPlan,
    older: Option<&Manifest>,
    retained: usize,
    fresh: Fresh,
) -> Manifest {
    let memory = Memory::default();
    // Of a process that goes on under the next term: what it has seen committed stays so.
    let known = Memory { acknowledged: request.acknowledged.clone(), ..Memory::default() };
    let mut seal = match (head, plan, older) {
        (Some(head), SealPlan::GoBack(to), Some(older)) => {
            let covered: BTreeSet<CommitId> = older.pending.iter().map(PendingCommit::id).collect();
            let destroy: BTreeSet<CommitId> = head
                .pending
                .iter()
                .map(PendingCommit::id)
                .filter(|id| !covered.contains(id))
                .collect();
            if destroy.is_empty() {
                build_restored(head, older, &memory, retained, fresh.nonce)
            } else {
                let next = Manifest {
                    parent: Some(head.version),
                    pinned_by: None,
                    roll_back: Some(RollBack { to: *to, destroy }),
                    ..head.clone()
                };
                finish(next, head, &memory, retained, ManifestKind::Seal, fresh.nonce)
            }
        }
        (Some(head), SealPlan::StartOver, _) => {
            let mut next = empty(job, request, &fresh);
            next.pending = under_lineage(head);
            let mut next = finish(next, head, &memory, retained, ManifestKind::Seal, fresh.nonce);
            next.used_tokens = head.used_tokens.clone();
            // The new state has nothing to go back to.
            next.retained = Vec::new();
            next.committed_through = None;
            next.dropped = dropped_between(head, &next, &memory.deleted);
            next
        }
        (Some(head), SealPlan::FromSavepoint, _) => {
            let next = Manifest {
                parent: None,
                state_of: None,
                pinned_by: None,
                roll_back: None,
                ..head.clone()
            };
            let next = with_savepoint(next, &request.start);
            finish(next, head, &memory, retained, ManifestKind::Seal, fresh.nonce)
        }
        (Some(head), _, _) => {
            let pending =
                carry_pending(&head.pending, |p| known.acknowledged.contains(&p.id()), []);
            let next =
                Manifest { parent: Some(head.version), pinned_by: None, pending, ..head.clone() };
            finish(next, head, &known, retained, ManifestKind::Seal, fresh.nonce)
        }
        (None, _, _) => with_savepoint(empty(job, request, &fresh), &request.start),
    };
    seal.term = head.map_or(Term(1), |h| h.term.next());
    seal.job = job.clone();
    seal.job_uid.clone_from(&request.job_uid);
    env!("CARGO_PKG_VERSION").clone_into(&mut seal.weir);
    seal.revision.clone_from(&request.revision);
    seal.plan_hash.clone_from(&request.plan_hash);
    seal.coordinator.clone_from(&request.coordinator);
    seal.assignment.clone_from(&request.assignment);
    seal.created_ms = request.created_ms;
    // A roll-back that is still to be finished comes first; the request waits for the next seal.
    if head.is_none_or(|h| h.roll_back.is_none()) {
        seal.used_tokens.extend(request.start.token().map(str::to_owned));
    }
    seal
}

fn empty(job: &JobName, request: &SealRequest, fresh: &Fresh) -> Manifest {
    Manifest {
        format: FORMAT,
        lineage: fresh.lineage.clone(),
        version: Version(1),
        nonce: fresh.nonce,
        kind: ManifestKind::Seal,
        job: job.clone(),
        max_parallelism: request.max_parallelism,
        ..Manifest::default()
    }
}

/// Output published under the head's lineage stays to be committed under it.
fn under_lineage(head: &Manifest) -> Vec<PendingCommit> {
    head.pending
        .iter()
        .map(|p| PendingCommit {
            lineage: p.lineage.clone().or_else(|| Some(head.lineage.clone())),
            ..p.clone()
        })
        .collect()
}

fn with_savepoint(mut next: Manifest, start: &Start) -> Manifest {
    if let Start::Savepoint { savepoint, .. } = start {
        let (operators, origin) = savepoint.absolute();
        next.operators = operators;
        next.watermarks.clone_from(&savepoint.manifest.watermarks);
        next.max_parallelism = savepoint.manifest.max_parallelism;
        next.origin = Some(origin);
        next.bytes = Manifest::count_bytes(&next.operators);
    }
    next
}

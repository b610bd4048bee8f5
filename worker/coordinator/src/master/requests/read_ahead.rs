//! What workers read ahead of a rescale, while the job runs.
//!
//! A rescale that has its slots asks every worker that will have tasks for the segments of their
//! key groups. Checkpoints go on meanwhile (without compaction, which would void what is being
//! read), so what they added is asked for in further rounds, each shorter than the one before.
//! Then the tasks freeze, and the last checkpoint adds a delta.
//!
//! What always holds: a rescale never waits longer than `prefetch_ms` for it, and nothing but time
//! depends on what was read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use weir_checkpoint::SubtaskRestore;
use weir_protocol::WorkerId;
use weir_protocol::control;

use super::ask::{Ahead, Ask, Prefetching, Rescale};
use super::{Outcome, Requests};
use crate::wire::encode_all;

/// How often workers are asked for what was published since they were asked last.
const ROUNDS: u32 = 3;

/// What is due about reading ahead.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Prefetch {
    /// Workers are to read what they will need at this parallelism, without objects that they were
    /// asked for before.
    Read { parallelism: u32, before: BTreeSet<String> },
    /// Nothing more is worth reading.
    Skip,
    /// It has taken too long.
    GiveUp,
}

impl Requests {
    /// The rescale that is to begin next: the one that is read ahead for.
    #[must_use]
    pub(crate) fn next_rescale(&self) -> Option<(&Rescale, &Ahead)> {
        self.waiting.iter().find_map(|ask| match ask {
            Ask::Rescale { rescale, ahead } => Some((rescale, ahead)),
            _ => None,
        })
    }

    /// What is due for it. `has_slots` and `has_effect` say whether there is room for it and
    /// whether it would change anything.
    #[must_use]
    pub(crate) fn decide_prefetch(
        &self,
        has_slots: bool,
        has_effect: bool,
        now_ms: u64,
    ) -> Option<Prefetch> {
        let (rescale, ahead) = self.next_rescale()?;
        let parallelism = rescale.target;
        match ahead {
            Ahead::Unasked if !has_slots => None,
            Ahead::Unasked if !has_effect => Some(Prefetch::Skip),
            Ahead::Unasked => Some(Prefetch::Read { parallelism, before: BTreeSet::new() }),
            Ahead::Reading(reading) if now_ms >= reading.until_ms => Some(Prefetch::GiveUp),
            Ahead::Reading(reading) if !reading.waiting.is_empty() => None,
            Ahead::Reading(reading) if reading.rounds >= ROUNDS => Some(Prefetch::Skip),
            Ahead::Reading(reading) => {
                Some(Prefetch::Read { parallelism, before: reading.objects.clone() })
            }
            Ahead::Done => None,
        }
    }

    /// Asks for what was not asked for yet; no more is to be read where that is nothing.
    pub(super) fn read_ahead(
        &mut self,
        wanted: BTreeMap<WorkerId, Vec<SubtaskRestore>>,
        objects: BTreeSet<String>,
        now_ms: u64,
    ) -> Vec<Outcome> {
        let Some((rescale, ahead)) = next_ahead(&mut self.waiting) else { return Vec::new() };
        if wanted.is_empty() {
            *ahead = Ahead::Done;
            return Vec::new();
        }
        let (until_ms, rounds) = match ahead {
            Ahead::Reading(before) => (before.until_ms, before.rounds + 1),
            Ahead::Unasked | Ahead::Done => (now_ms + self.config.prefetch_ms, 1),
        };
        self.prefetches += 1;
        let (id, parallelism) = (self.prefetches, rescale.target);
        let waiting = wanted.keys().copied().collect();
        *ahead = Ahead::Reading(Prefetching { id, waiting, until_ms, rounds, objects });
        let asked = wanted.into_iter().map(|(worker, restores)| {
            let restore_json = encode_all(&restores);
            let prefetch = control::Prefetch { id, parallelism, restore_json };
            Outcome::Prefetch { worker, prefetch }
        });
        asked.collect()
    }

    /// The next rescale does not wait for more.
    pub(super) fn read_enough(&mut self) {
        if let Some((_, ahead)) = next_ahead(&mut self.waiting) {
            *ahead = Ahead::Done;
        }
    }

    /// A worker has read what it was asked for by this id, or is gone and reads nothing.
    pub(super) fn prefetched(&mut self, worker: WorkerId, id: Option<u64>) {
        for ask in &mut self.waiting {
            if let Ask::Rescale { ahead: Ahead::Reading(reading), .. } = ask
                && id.is_none_or(|id| id == reading.id)
            {
                reading.waiting.remove(&worker);
            }
        }
    }

    /// After a failure tasks may be placed in another way.
    pub(super) fn forget_prefetches(&mut self) {
        for ask in &mut self.waiting {
            if let Ask::Rescale { ahead, .. } = ask {
                *ahead = Ahead::Unasked;
            }
        }
    }

    /// Whether a rescale counts on what workers have read or are reading.
    #[must_use]
    pub(crate) fn reads_ahead(&self) -> bool {
        let reads =
            |ask: &Ask| matches!(ask, Ask::Rescale { ahead, .. } if *ahead != Ahead::Unasked);
        self.waiting.iter().any(reads)
    }
}

fn next_ahead(waiting: &mut VecDeque<Ask>) -> Option<(&Rescale, &mut Ahead)> {
    waiting.iter_mut().find_map(|ask| match ask {
        Ask::Rescale { rescale, ahead } => Some((&*rescale, ahead)),
        _ => None,
    })
}

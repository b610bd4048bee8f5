//! What workers read ahead of a rescale, while the job runs.
//!
//! A rescale that has its slots asks every worker that will have tasks for the segments of their
//! key groups. Checkpoints go on meanwhile (without compaction, which would void what is being
//! read), so what they added is asked for in further rounds, each shorter than the one before.
//! Then the tasks freeze, and the last checkpoint adds a delta.
//!
//! What always holds: a rescale never waits longer than `prefetch_ms` for it, and nothing but time
//! depends on what was read.

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::{Manifest, SubtaskRestore};
use weir_protocol::WorkerId;
use weir_protocol::control::{self, to_worker};

use super::machine::JobMaster;
use super::place::SlotAssignment;
use super::plan::Plan;
use super::restore::build_restores;
use super::state::{Ahead, Ask, Prefetching, Rescale};
use crate::wire::encode_all;

/// How often workers are asked for what was published since they were asked last.
const ROUNDS: u32 = 3;

/// What each worker reads ahead: the segments of its tasks to come that lie in objects, without
/// those that it was asked for before.
#[must_use]
pub(super) fn build_prefetches(
    plan: &Plan,
    slots: &SlotAssignment,
    head: &Manifest,
    before: &BTreeSet<String>,
) -> BTreeMap<WorkerId, Vec<SubtaskRestore>> {
    let objects = head.data_objects();
    let is_new = |object: &str| objects.contains(object) && !before.contains(object);
    let mut wanted = build_restores(plan, slots, head);
    for restores in wanted.values_mut() {
        for restore in restores.iter_mut() {
            restore.state.items.clear();
            restore.state.segments.retain(|segment| segment.object().is_some_and(is_new));
            restore.state.tables.retain(|segment| segment.place.object().is_some_and(is_new));
        }
        restores.retain(|restore| restore.state.has_keyed());
    }
    wanted.retain(|_, restores| !restores.is_empty());
    wanted
}

impl JobMaster {
    /// Takes the prefetch of the rescale that waits a step further, if there is one and it can.
    pub(super) fn advance_prefetch(&mut self) {
        let asked = self.asks.iter().position(|ask| matches!(ask, Ask::Rescale(_)));
        let Some((position, Ask::Rescale(rescale))) =
            asked.and_then(|position| Some((position, self.asks.get(position)?.clone())))
        else {
            return;
        };
        let ahead = match &rescale.ahead {
            Ahead::Unasked if !self.has_slots(&rescale) => return,
            Ahead::Unasked if !self.has_effect(&rescale) => Ahead::Done,
            Ahead::Unasked => self.read_ahead(
                &rescale,
                Prefetching {
                    id: 0,
                    waiting: BTreeSet::new(),
                    until_ms: self.now + self.config.prefetch_ms,
                    rounds: 0,
                    objects: BTreeSet::new(),
                },
            ),
            Ahead::Reading(reading) if self.now >= reading.until_ms => {
                self.step("prefetch given up");
                Ahead::Done
            }
            Ahead::Reading(reading) if !reading.waiting.is_empty() => return,
            Ahead::Reading(reading) => self.read_ahead(&rescale, reading.clone()),
            Ahead::Done => return,
        };
        if let Some(Ask::Rescale(rescale)) = self.asks.get_mut(position) {
            rescale.ahead = ahead;
        }
    }

    /// Asks for what was not asked for yet.
    fn read_ahead(&mut self, rescale: &Rescale, before: Prefetching) -> Ahead {
        let slots = self.plan_slots(rescale.target).unwrap_or_default();
        let head = &self.head.manifest;
        let wanted = build_prefetches(&self.plan, &slots, head, &before.objects);
        if wanted.is_empty() || before.rounds >= ROUNDS {
            return Ahead::Done;
        }
        self.prefetches += 1;
        let reading = Prefetching {
            id: self.prefetches,
            waiting: wanted.keys().copied().collect(),
            rounds: before.rounds + 1,
            objects: head.data_objects().into_iter().map(str::to_owned).collect(),
            ..before
        };
        self.step("prefetch");
        let (id, parallelism) = (reading.id, rescale.target);
        for (worker, restore) in wanted {
            let restore_json = encode_all(&restore);
            let prefetch = control::Prefetch { id, parallelism, restore_json };
            self.send(worker, to_worker::Kind::Prefetch(prefetch));
        }
        Ahead::Reading(reading)
    }

    pub(super) fn on_prefetched(&mut self, worker: WorkerId, answer: &control::Prefetched) {
        for reading in self.reading_mut().filter(|reading| reading.id == answer.id) {
            reading.waiting.remove(&worker);
        }
    }

    /// A worker that is gone reads nothing.
    pub(super) fn prefetcher_gone(&mut self, worker: WorkerId) {
        for reading in self.reading_mut() {
            reading.waiting.remove(&worker);
        }
    }

    /// After a failure tasks may be placed in another way.
    pub(super) fn forget_prefetches(&mut self) {
        for ask in &mut self.asks {
            if let Ask::Rescale(rescale) = ask {
                rescale.ahead = Ahead::Unasked;
            }
        }
    }

    /// Whether a rescale counts on what workers have read or are reading.
    pub(super) fn reads_ahead(&self) -> bool {
        let waits = |ask: &Ask| matches!(ask, Ask::Rescale(r) if r.ahead != Ahead::Unasked);
        self.asks.iter().any(waits)
    }

    fn reading_mut(&mut self) -> impl Iterator<Item = &mut Prefetching> {
        self.asks.iter_mut().filter_map(|ask| match ask {
            Ask::Rescale(Rescale { ahead: Ahead::Reading(reading), .. }) => Some(reading),
            _ => None,
        })
    }
}

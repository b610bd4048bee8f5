//! Where the tasks run: at which parallelism, on which workers' slots, and which have finished.
//!
//! Enters: the parallelism in force, deployments, tasks that finish. Leaves: assignments, and what
//! each worker builds and restores. What always holds: an assignment stays with whom holds the
//! state as far as slots allow, and an earlier one is forgotten only for a deployed one.

mod prefetch;
mod restore;
mod slots;

use std::collections::{BTreeMap, BTreeSet};

use weir_checkpoint::manifest::{Assignment, Member};
use weir_protocol::{Placement as Place, WorkerId};

use super::plan::{Plan, TaskId};
pub(super) use prefetch::build_prefetches;
pub(super) use restore::{build_deploys, build_splits};
use slots::assign_slots;
pub(super) use slots::{SlotAssignment, count_moved};

/// What happens to the placement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// The job goes on at another parallelism.
    Parallelism(u32),
    /// Tasks are being built there. None of them has finished.
    Deployed(SlotAssignment),
    /// A task has nothing left to do.
    Finished(TaskId),
}

/// The newest deployment.
#[derive(Debug)]
struct Deployment {
    slots: SlotAssignment,
    finished: BTreeSet<TaskId>,
}

/// Where the tasks run.
#[derive(Debug)]
pub(super) struct Placement {
    /// See `MasterConfig::least_workers`.
    least_workers: u32,
    parallelism: u32,
    deployed: Option<Deployment>,
}

impl Placement {
    /// Nothing is deployed.
    pub(super) fn new(parallelism: u32, least_workers: u32) -> Self {
        Self { least_workers, parallelism, deployed: None }
    }

    pub(super) fn on(&mut self, event: Event) {
        match event {
            Event::Parallelism(parallelism) => self.parallelism = parallelism,
            Event::Deployed(slots) => {
                self.deployed = Some(Deployment { slots, finished: BTreeSet::new() });
            }
            Event::Finished(task) => {
                if let Some(deployed) = &mut self.deployed {
                    deployed.finished.insert(task);
                }
            }
        }
    }

    /// The job's parallelism.
    #[must_use]
    pub(super) fn parallelism(&self) -> u32 {
        self.parallelism
    }

    /// Where the tasks of the newest deployment run.
    #[must_use]
    pub(super) fn slots(&self) -> Option<&SlotAssignment> {
        self.deployed.as_ref().map(|deployed| &deployed.slots)
    }

    /// The workers of the newest deployment, in order.
    #[must_use]
    pub(super) fn workers(&self) -> Vec<WorkerId> {
        self.slots().map(SlotAssignment::workers).unwrap_or_default()
    }

    /// Every task of the newest deployment.
    pub(super) fn tasks<'a>(&self, plan: &'a Plan) -> impl Iterator<Item = TaskId> + 'a {
        plan.tasks(self.parallelism)
    }

    /// Whether no task has anything left to do.
    #[must_use]
    pub(super) fn has_finished(&self, plan: &Plan) -> bool {
        let finished = self.deployed.as_ref().map(|deployed| &deployed.finished);
        self.tasks(plan).all(|task| finished.is_some_and(|finished| finished.contains(&task)))
    }

    /// Who would run what at a parallelism, given everybody's slots. A coordinator that has
    /// deployed nothing yet goes by where its predecessor did (`stored`): workers hold on to the
    /// segments that they wrote.
    #[must_use]
    pub(super) fn assign(
        &self,
        parallelism: u32,
        plan: &Plan,
        slots: &BTreeMap<WorkerId, u32>,
        stored: &Assignment,
    ) -> Option<SlotAssignment> {
        let participants = self.participants(parallelism, slots);
        let stored = SlotAssignment::of(stored);
        let now = self.slots().or(stored.as_ref());
        assign_slots(parallelism, plan.max_parallelism, &participants, now)
    }

    /// The workers that take part at a parallelism, with their slots: the lowest ordinals whose
    /// slots suffice, since the highest are the first to leave.
    fn participants(
        &self,
        parallelism: u32,
        all: &BTreeMap<WorkerId, u32>,
    ) -> BTreeMap<WorkerId, u32> {
        let (mut slots, mut count) = (0, 0);
        let enough = all.iter().take_while(|(_, of)| {
            let needed = slots < parallelism || count < self.least_workers;
            slots += **of;
            count += 1;
            needed
        });
        enough.map(|(id, of)| (*id, *of)).collect()
    }

    /// Whether other slots relieve the busiest worker: after survivors have taken over and a
    /// replacement has come.
    #[must_use]
    pub(super) fn wants_rebalance(
        &self,
        plan: &Plan,
        slots: &BTreeMap<WorkerId, u32>,
        stored: &Assignment,
    ) -> bool {
        let Some(now) = self.slots() else { return false };
        let better = self.assign(self.parallelism, plan, slots, stored);
        better.is_some_and(|better| self.load(&better, slots) < self.load(now, slots))
    }

    /// Subtasks per slot of the busiest worker, in thousandths.
    fn load(&self, assigned: &SlotAssignment, slots: &BTreeMap<WorkerId, u32>) -> u64 {
        let loads = assigned.workers().into_iter().map(|id| {
            let load = assigned.0.iter().filter(|worker| **worker == id).count() as u64;
            let of = slots.get(&id).copied().unwrap_or(1);
            let load = (load * 1000).div_ceil(u64::from(of));
            // A slot that is full is as good as one that is half empty, unless subtasks are to
            // spread over more workers than have to take part.
            if self.least_workers > 1 { load } else { load.max(1000) }
        });
        loads.max().unwrap_or(0)
    }
}

/// Who runs what with these slots. `workers` says where each of them is.
#[must_use]
pub(super) fn build_assignment(
    plan: &Plan,
    slots: &SlotAssignment,
    workers: Vec<Member>,
) -> Assignment {
    let parallelism = slots.parallelism();
    let placements = plan.tasks(parallelism).filter_map(|(vertex, subtask)| {
        Some(Place { vertex, subtask, worker: slots.worker(subtask)? })
    });
    Assignment { parallelism, workers, placements: placements.collect() }
}

#[cfg(test)]
mod tests {
    use weir_protocol::{Subtask, VertexId};

    use super::*;
    use crate::master::plan::PlanVertex;

    fn plan() -> Plan {
        let vertex = PlanVertex {
            id: VertexId(0),
            name: "count".into(),
            single: false,
            operators: Vec::new(),
            source: None,
        };
        Plan { hash: String::new(), max_parallelism: 8, replaces: None, vertices: vec![vertex] }
    }

    fn all(slots: &[(u32, u32)]) -> BTreeMap<WorkerId, u32> {
        slots.iter().map(|(worker, slots)| (WorkerId(*worker), *slots)).collect()
    }

    fn on(workers: &[u32]) -> SlotAssignment {
        SlotAssignment(workers.iter().copied().map(WorkerId).collect())
    }

    #[test]
    fn the_lowest_workers_take_part_whose_slots_suffice() {
        let (plan, stored) = (plan(), Assignment::default());
        let assign = |least_workers, slots: &[(u32, u32)]| {
            Placement::new(2, least_workers).assign(2, &plan, &all(slots), &stored)
        };
        assert_eq!(assign(1, &[(0, 2), (1, 2), (2, 2)]), Some(on(&[0, 0])));
        assert_eq!(assign(2, &[(0, 2), (1, 2), (2, 2)]), Some(on(&[0, 1])));
        assert_eq!(assign(1, &[]), None);
    }

    #[test]
    fn a_coordinator_that_has_deployed_nothing_goes_by_its_predecessors_assignment() {
        let (plan, mut placement) = (plan(), Placement::new(2, 1));
        let place = |subtask, worker| Place {
            vertex: VertexId(0),
            subtask: Subtask(subtask),
            worker: WorkerId(worker),
        };
        let placements = vec![place(0, 1), place(1, 0)];
        let stored = Assignment { parallelism: 2, workers: Vec::new(), placements };
        let slots = all(&[(0, 1), (1, 1)]);
        assert_eq!(placement.assign(2, &plan, &slots, &stored), Some(on(&[1, 0])));
        placement.on(Event::Deployed(on(&[0, 1])));
        assert_eq!(placement.assign(2, &plan, &slots, &stored), Some(on(&[0, 1])));
    }

    #[test]
    fn slots_are_exchanged_only_to_relieve_the_busiest_worker() {
        let (plan, stored) = (plan(), Assignment::default());
        let mut placement = Placement::new(2, 1);
        let both = all(&[(0, 1), (1, 1)]);
        assert!(!placement.wants_rebalance(&plan, &both, &stored), "nothing is deployed");
        placement.on(Event::Deployed(on(&[0, 0])));
        assert!(placement.wants_rebalance(&plan, &both, &stored));
        assert!(!placement.wants_rebalance(&plan, &all(&[(0, 2), (1, 1)]), &stored));
        placement.on(Event::Deployed(on(&[1, 0])));
        assert!(!placement.wants_rebalance(&plan, &both, &stored));
    }

    #[test]
    fn tasks_that_have_finished_have_so_in_their_deployment_alone() {
        let (plan, mut placement) = (plan(), Placement::new(2, 1));
        placement.on(Event::Deployed(on(&[0, 1])));
        for subtask in [0, 1] {
            assert!(!placement.has_finished(&plan));
            placement.on(Event::Finished((VertexId(0), Subtask(subtask))));
        }
        assert!(placement.has_finished(&plan));
        placement.on(Event::Deployed(on(&[0, 1])));
        assert!(!placement.has_finished(&plan));
    }
}

//! From one term to the next: seal, commit what the head lists, deploy, run.

use std::collections::BTreeMap;

use weir_checkpoint::manifest::{Assignment, Member};
use weir_engine::Fault;
use weir_protocol::control::{OperationKind, OperationOutcome, to_worker};
use weir_protocol::{Placement, WorkerId};

use super::attempt::TaskId;
use super::backoff::Restart;
use super::commits::Commits;
use super::event::{Action, Ending, Reply};
use super::head::Head;
use super::machine::JobMaster;
use super::place::{SlotAssignment, assign_slots, count_moved};
use super::restore::{build_deploys, build_splits};
use super::state::{Ask, Live, Phase, Rescale, State, Why};

/// New tasks have their first checkpoint after so long, the next after twice as long, and so on up
/// to the interval.
const FIRST_CHECKPOINT_MS: u64 = 100;

impl JobMaster {
    /// The workers that take part at a parallelism, with their slots: the lowest ordinals whose
    /// slots suffice, since the highest are the first to leave.
    fn participants(&self, parallelism: u32) -> BTreeMap<WorkerId, u32> {
        let mut slots = 0;
        let mut count = 0;
        let enough = self.workers.iter().take_while(|(_, worker)| {
            let needed = slots < parallelism || count < self.config.least_workers;
            slots += worker.slots;
            count += 1;
            needed
        });
        enough.map(|(id, worker)| (*id, worker.slots)).collect()
    }

    pub(super) fn plan_slots(&self, parallelism: u32) -> Option<SlotAssignment> {
        let workers = self.participants(parallelism);
        // A coordinator that has deployed nothing yet goes by where its predecessor did: workers
        // hold on to the segments that they wrote.
        let stored = SlotAssignment::of(&self.head.manifest.assignment);
        let now = self.assigned.as_ref().or(stored.as_ref());
        assign_slots(parallelism, self.plan.max_parallelism, &workers, now)
    }

    /// Who runs what with these slots, and where.
    fn assignment(&self, slots: &SlotAssignment, parallelism: u32) -> Assignment {
        let members = slots.workers().into_iter().map(|worker| {
            let known = self.workers.get(&worker);
            Member {
                worker,
                address: known.map(|w| w.address.clone()).unwrap_or_default(),
                control: known.map(|w| w.control.clone()).unwrap_or_default(),
            }
        });
        let placements = self.plan.tasks(parallelism).filter_map(|(vertex, subtask)| {
            Some(Placement { vertex, subtask, worker: slots.worker(subtask)? })
        });
        Assignment { parallelism, workers: members.collect(), placements: placements.collect() }
    }

    /// Goes to the next term.
    pub(super) fn seal(&mut self, why: Why) {
        let parallelism = match &why {
            Why::Rescale(rescale) => rescale.target,
            Why::Start | Why::Recover { .. } => self.parallelism,
        };
        let slots = self.plan_slots(parallelism).unwrap_or_default();
        let assignment = self.assignment(&slots, parallelism);
        self.step("seal");
        self.out.push(Action::Seal { assignment });
        self.state = State::Changing { why, phase: Phase::Sealing { failed: None } };
    }

    pub(super) fn on_sealed(&mut self, head: Head) {
        let State::Changing { why, phase: phase @ Phase::Sealing { .. } } = &mut self.state else {
            return;
        };
        *phase = Phase::Committing;
        let before = self.parallelism;
        let rescaled = match why {
            Why::Rescale(rescale) => {
                rescale.from = before;
                Some(rescale.target)
            }
            Why::Start | Why::Recover { .. } => None,
        };
        let starts = matches!(why, Why::Start);
        self.step("sealed");
        self.head = head;
        self.counted_before = self.head.counts(&self.plan);
        for worker in self.workers.values_mut() {
            // Of tasks that are over: the head says what of it counts.
            worker.stats.clear();
        }
        self.stats.epoch = self.epoch();
        self.stats.restored.get_or_insert(self.stats.epoch);
        if starts && let Some(refused) = self.refuse_restore() {
            self.end(Ending::Failed(refused));
            return;
        }
        self.renew();
        if let Some(target) = rescaled {
            self.parallelism = target;
            self.stop_tasks();
        }
        self.commits = Commits::new(&self.head);
        self.splits = build_splits(&self.plan, self.parallelism, &self.head.manifest);
        for (vertex, splits) in &self.splits {
            self.out.push(Action::Enumerate {
                term: self.term(),
                vertex: *vertex,
                snapshot: splits.snapshot(),
                returned: splits.returned(),
                look: !splits.is_complete(),
            });
        }
    }

    pub(super) fn on_seal_failed(&mut self, message: String) {
        let (why, failed) = match std::mem::replace(&mut self.state, State::Opening) {
            State::Changing { why, phase: Phase::Sealing { failed } } => (why, failed),
            other => {
                self.state = other;
                return;
            }
        };
        self.stats.failure.clone_from(&message);
        if let Why::Rescale(rescale) = why {
            // Not sealed: the old assignment goes on.
            self.refuse(&Ask::Rescale(rescale), &message);
            self.state = State::Running(self.fresh_live());
            let resume = weir_protocol::control::Resume { attempt: self.last_attempt().0 };
            self.broadcast(&to_worker::Kind::Resume(resume));
            if let Some((message, cause)) = failed {
                self.fail_tasks(message, cause);
            }
            return;
        }
        self.stats.task_failure.clone_from(&message);
        match self.backoff.failed(&self.config.restart, Fault::External, self.now) {
            Restart::After(wait) => {
                let until_ms = self.now + wait.max(self.config.restart.initial_ms);
                self.state = State::Recovering { until_ms, why };
            }
            Restart::GiveUp => self.end(Ending::Failed(message)),
        }
    }

    /// Everything that the head lists is committed and no earlier task runs.
    pub(super) fn deploy(&mut self) {
        let Some(slots) = self.plan_slots(self.parallelism) else {
            return;
        };
        let assignment = self.assignment(&slots, self.parallelism);
        let State::Changing { why, phase } = &mut self.state else {
            return;
        };
        let workers = slots.workers();
        *phase = Phase::Deploying {
            waiting: workers.iter().copied().collect(),
            until_ms: self.now + self.config.deploy_timeout_ms,
        };
        if let Why::Rescale(rescale) = why {
            // Remembered until the end of the change, when `assigned` is the new one.
            rescale.moved = self
                .assigned
                .as_ref()
                .map_or(0, |from| count_moved(from, &slots, self.plan.max_parallelism));
        }
        let deploys = build_deploys(&self.plan, &slots, &assignment, &self.head.manifest);
        self.assigned = Some(slots);
        self.finished.clear();
        self.step("deploy");
        for (worker, deploy) in deploys {
            self.send(worker, to_worker::Kind::Deploy(deploy));
        }
    }

    /// Every task is restored and waits for splits.
    pub(super) fn run(&mut self) {
        let live = self.fresh_live();
        let why = match std::mem::replace(&mut self.state, State::Running(live)) {
            State::Changing { why, .. } => why,
            _ => Why::Start,
        };
        self.step("running");
        self.backoff.running(self.now);
        let told: Vec<_> = self.splits.iter_mut().map(|(v, splits)| (*v, splits.start())).collect();
        for (vertex, told) in told {
            self.tell_readers(vertex, told);
        }
        if self.draining.is_some() {
            // What had been drained was not saved: the sources end anew, where they are now.
            self.broadcast(&to_worker::Kind::Drain(weir_protocol::control::Drain {}));
        }
        match why {
            Why::Start => {}
            Why::Recover { began_ms, message, .. } => {
                let total = self.now - began_ms;
                let epoch = self.epoch();
                let took = total as f64 / 1e3;
                let text = format!("{message}; restored epoch {epoch} in {took:.2} s");
                let what = (OperationKind::Recovery, OperationOutcome::Done);
                self.report(what, text, total, total);
            }
            Why::Rescale(rescale) => self.report_rescale(&rescale),
        }
    }

    fn report_rescale(&mut self, rescale: &Rescale) {
        let (total_ms, pause_ms) = (self.now - rescale.began_ms, self.now - rescale.frozen_ms);
        let text = format!(
            "{} → {} in {:.2} s; output paused {:.2} s; {} of {} key groups moved",
            rescale.from,
            rescale.target,
            total_ms as f64 / 1e3,
            pause_ms as f64 / 1e3,
            rescale.moved,
            self.plan.max_parallelism
        );
        // A coordinator that took over may place the same tasks anew.
        let outcome = match rescale.from == rescale.target {
            true => OperationOutcome::Unchanged,
            false => OperationOutcome::Done,
        };
        self.report((OperationKind::Rescale, outcome), text, total_ms, pause_ms);
        if let Some(id) = rescale.request {
            let groups_moved = rescale.moved;
            let reply = Reply::Rescaled { total_ms, pause_ms, groups_moved };
            self.out.push(Action::Reply { id, reply });
        }
    }

    /// Tasks that have just begun. Their first checkpoints do not wait for the interval: what was
    /// to be put out before a failure or a rescale is late already, and nobody knows how soon the
    /// sources have their first rows.
    pub(super) fn fresh_live(&self) -> Live {
        let pace_ms = self.config.checkpoint_interval_ms.min(FIRST_CHECKPOINT_MS);
        let next_checkpoint_ms = self.now + pace_ms;
        Live { checkpoint: None, saving: None, next_checkpoint_ms, pace_ms }
    }

    /// Every task of the newest deployment.
    pub(super) fn tasks(&self) -> impl Iterator<Item = TaskId> + '_ {
        self.plan.tasks(self.parallelism)
    }
}

//! From one term to the next: seal, commit what the head lists, deploy, run.

use std::collections::BTreeMap;

use weir_checkpoint::manifest::Assignment;
use weir_engine::Fault;
use weir_protocol::WorkerId;
use weir_protocol::control::{self, OperationKind, OperationOutcome, OperationReport, to_worker};
use weir_protocol::view::took;

use super::JobMaster;
use crate::master::event::{Action, Ending, Reply};
use crate::master::head::Head;
use crate::master::lifecycle::{self, Cause, Hold, Outcome, Why};
use crate::master::placement::{
    self, SlotAssignment, build_assignment, build_deploys, build_splits, count_moved,
};
use crate::master::requests::{self, Ask, Rescale};
use crate::master::restorable::find_renewed;
use crate::master::{checkpoints, commits, sources, workers};

impl JobMaster {
    pub(super) fn tell_lifecycle(&mut self, event: lifecycle::Event) {
        for outcome in self.lifecycle.on(event, self.now) {
            match outcome {
                Outcome::TermBegan { is_first, parallelism } => {
                    self.begin_term(is_first, parallelism);
                }
                Outcome::GoesOn { rescale, why, failed } => {
                    self.tell_requests(requests::Event::Refuse { ask: Ask::begun(rescale), why });
                    self.tell_checkpoints(checkpoints::Event::TasksBegan);
                    let attempt = self.checkpoints.last_attempt().0;
                    self.broadcast(&to_worker::Kind::Resume(control::Resume { attempt }));
                    if let Some((message, cause)) = failed {
                        self.fail_tasks(message, cause);
                    }
                }
                Outcome::Runs { why, moved } => self.on_running(why, moved),
                Outcome::Released { hold, why } => self.on_released(hold, why),
                Outcome::Explained(message) => self.notes.failure = message,
                Outcome::Interrupted { by, what } => self.on_interrupted(by, what),
                Outcome::StopTasks => self.stop_tasks(),
                Outcome::GivenUp(why) => self.end(Ending::Failed(why)),
            }
        }
    }

    /// Who would run what with everybody's slots.
    pub(super) fn assign(&self, parallelism: u32) -> Option<SlotAssignment> {
        let (slots, stored) = (self.workers.slots(), &self.head.manifest.assignment);
        self.placement.assign(parallelism, &self.plan, &slots, stored)
    }

    fn assignment(&self, slots: &SlotAssignment) -> Assignment {
        build_assignment(&self.plan, slots, self.workers.members(&slots.workers()))
    }

    /// Goes to the next term.
    pub(super) fn seal(&mut self, why: Why) {
        let parallelism = match &why {
            Why::Rescale { rescale, .. } => rescale.target,
            Why::Start | Why::Recover { .. } => self.placement.parallelism(),
        };
        let slots = self.assign(parallelism).unwrap_or_default();
        let assignment = self.assignment(&slots);
        self.step("seal");
        self.out.push(Action::Seal { assignment });
        let why_ended = "the next term begins".to_owned();
        self.tell_checkpoints(checkpoints::Event::TasksEnded { why: why_ended });
        self.tell_lifecycle(lifecycle::Event::Sealing(why));
    }

    pub(super) fn on_sealed(&mut self, head: Head) {
        if !self.lifecycle.is_sealing() {
            return;
        }
        self.step("sealed");
        self.head = head;
        self.checkpoints.on(checkpoints::Event::Sealed(&self.head), self.now);
        self.tell_workers(workers::Event::Sealed);
        self.tell_lifecycle(lifecycle::Event::Sealed);
    }

    fn begin_term(&mut self, is_first: bool, parallelism: Option<u32>) {
        if is_first && let Some(refused) = self.refuse_restore() {
            self.end(Ending::Failed(refused));
            return;
        }
        self.renew();
        if let Some(parallelism) = parallelism {
            self.placement.on(placement::Event::Parallelism(parallelism));
            self.stop_tasks();
        }
        let listed = self.commits.on(commits::Event::Sealed(&self.head), self.now);
        self.follow_commits(listed);
        let parallelism = self.placement.parallelism();
        let splits = build_splits(&self.plan, parallelism, &self.head.manifest);
        self.tell_sources(sources::Event::Restored(splits));
    }

    /// Lets go of stored state that the program's operators cannot read and that may be dropped.
    /// The first manifest takes nothing of it over; until then every term begins like this.
    fn renew(&mut self) {
        let allowed = &self.config.allow_dropped_state;
        for uid in find_renewed(&self.plan, &self.head.manifest, allowed) {
            self.head.renew(uid);
        }
    }

    pub(super) fn on_seal_failed(&mut self, message: String) {
        if self.lifecycle.is_sealing() {
            self.notes.failure.clone_from(&message);
            self.tell_lifecycle(lifecycle::Event::SealFailed { message });
        }
    }

    /// Everything that the head lists is committed and no earlier task runs.
    pub(super) fn deploy(&mut self) {
        let parallelism = self.placement.parallelism();
        let Some(slots) = self.assign(parallelism) else {
            return;
        };
        let assignment = self.assignment(&slots);
        let deploys: BTreeMap<WorkerId, control::Deploy> =
            build_deploys(&self.plan, &slots, &assignment, &self.head.manifest);
        let before = self.placement.slots();
        let moved = before.map_or(0, |from| count_moved(from, &slots, self.plan.max_parallelism));
        let workers = slots.workers().into_iter().collect();
        self.placement.on(placement::Event::Deployed(slots));
        self.tell_lifecycle(lifecycle::Event::Deploying { workers, moved });
        self.step("deploy");
        for (worker, deploy) in deploys {
            self.send(worker, to_worker::Kind::Deploy(deploy));
        }
    }

    /// Every task is restored and waits for splits.
    fn on_running(&mut self, why: Why, moved: u32) {
        self.step("running");
        self.tell_checkpoints(checkpoints::Event::TasksBegan);
        self.tell_sources(sources::Event::Started);
        if self.requests.is_draining() {
            // What had been drained was not saved: the sources end anew, where they are now.
            self.broadcast(&to_worker::Kind::Drain(control::Drain {}));
        }
        match why {
            Why::Start => {}
            Why::Recover { began_ms, message, .. } => {
                let total_ms = self.now - began_ms;
                let (epoch, took) = (self.head.epoch(), took(total_ms));
                let steps = self.notes.steps_since(began_ms, self.now);
                self.tell_requests(requests::Event::Reported(OperationReport {
                    kind: OperationKind::Recovery.into(),
                    outcome: OperationOutcome::Done.into(),
                    message: format!("{message}; restored epoch {epoch} in {took}"),
                    total_ms,
                    pause_ms: total_ms,
                    steps,
                    ..OperationReport::default()
                }));
            }
            Why::Rescale { rescale, from, frozen_ms } => {
                self.report_rescale(&rescale, from, frozen_ms, moved);
            }
        }
    }

    fn report_rescale(&mut self, rescale: &Rescale, from: u32, frozen_ms: u64, moved: u32) {
        let (total_ms, pause_ms) = (self.now - rescale.began_ms, self.now - frozen_ms);
        let message = format!(
            "{from} → {} in {}; output paused {}; {moved} of {} key groups moved",
            rescale.target,
            took(total_ms),
            took(pause_ms),
            self.plan.max_parallelism
        );
        // A coordinator that took over may place the same tasks anew.
        let outcome = match from == rescale.target {
            true => OperationOutcome::Unchanged,
            false => OperationOutcome::Done,
        };
        self.tell_requests(requests::Event::Reported(OperationReport {
            kind: OperationKind::Rescale.into(),
            outcome: outcome.into(),
            message,
            total_ms,
            pause_ms,
            steps: self.notes.steps_since(rescale.began_ms, self.now),
            ..OperationReport::default()
        }));
        if let Some(id) = rescale.request {
            let reply = Reply::Rescaled { total_ms, pause_ms, groups_moved: moved };
            self.out.push(Action::Reply { id, reply });
        }
    }

    /// A frozen job that is not to change after all goes on; who asked may be tried again.
    fn on_released(&mut self, hold: Hold, why: String) {
        let was_drained = matches!(hold, Hold::Drain(_));
        let Some(ask) = hold.asked() else { return };
        let refused = self.requests.on(requests::Event::Again { ask, why: why.clone() }, self.now);
        let is_refused = !refused.is_empty();
        self.follow_requests(refused);
        if was_drained && is_refused {
            // Its tasks have ended; others go on where they were.
            let cause = Cause::error(Fault::External);
            self.fail_tasks(format!("the job was not drained: {why}"), cause);
        }
    }
}

//! What a running job does next, and what a held one waits for.

use weir_protocol::Attempt;
use weir_protocol::control::{self, to_worker};

use super::JobMaster;
use crate::master::checkpoints::Purpose;
use crate::master::event::{Action, Ending, Reply, RequestId, SavepointInfo};
use crate::master::lifecycle::{self, Hold};
use crate::master::placement::build_prefetches;
use crate::master::requests::{self, Ask, Outcome, Prefetch, Rescale, Room};

impl JobMaster {
    pub(super) fn tell_requests(&mut self, event: requests::Event) {
        let outcomes = self.requests.on(event, self.now);
        self.follow_requests(outcomes);
    }

    pub(super) fn follow_requests(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Begin(ask) => self.begin(ask),
                Outcome::End { drain } => self.hold(drain.map_or(Hold::Finish, Hold::Drain)),
                Outcome::Reply { id, reply } => self.out.push(Action::Reply { id, reply }),
                Outcome::Prefetch { worker, prefetch } => {
                    self.send(worker, to_worker::Kind::Prefetch(prefetch));
                }
            }
        }
    }

    /// Decides what to do while no attempt is under way. True when something has begun.
    pub(super) fn choose_next(&mut self) -> bool {
        // Every step from here takes an attempt.
        if !self.checkpoints.may_begin(self.now) || !self.may_checkpoint() {
            return false;
        }
        let drains = self.requests.is_draining();
        if !drains {
            self.advance_prefetch();
        }
        let begun = self.requests.on(requests::Event::Idle(self.room()), self.now);
        if !begun.is_empty() {
            self.follow_requests(begun);
            return true;
        }
        if self.placement.has_finished(&self.plan) {
            self.tell_requests(requests::Event::AllFinished);
            return true;
        }
        if drains {
            return false;
        }
        if self.requests.may_rebalance(self.now) && self.wants_rebalance() {
            let parallelism = self.placement.parallelism();
            self.tell_requests(requests::Event::Rebalance { parallelism });
            return true;
        }
        let is_due = self.checkpoints.is_due(self.now);
        if is_due {
            self.begin_attempt(Purpose::Interval);
        }
        is_due
    }

    fn room(&self) -> Room {
        Room { slots: self.workers.total_slots(), parallelism: self.placement.parallelism() }
    }

    /// Whether other slots relieve the busiest worker.
    pub(super) fn wants_rebalance(&self) -> bool {
        let (slots, stored) = (self.workers.slots(), &self.head.manifest.assignment);
        self.placement.wants_rebalance(&self.plan, &slots, stored)
    }

    /// Whether a rescale would change anything.
    fn has_effect(&self, rescale: &Rescale) -> bool {
        rescale.target != self.placement.parallelism() || self.wants_rebalance()
    }

    /// Takes the prefetch of the next rescale a step further, if there is one and it can.
    fn advance_prefetch(&mut self) {
        let Some((rescale, _)) = self.requests.next_rescale() else { return };
        let (has_slots, has_effect) = (self.room().is_enough(rescale), self.has_effect(rescale));
        match self.requests.decide_prefetch(has_slots, has_effect, self.now) {
            None => {}
            Some(Prefetch::Skip) => self.tell_requests(requests::Event::ReadEnough),
            Some(Prefetch::GiveUp) => {
                self.step("prefetch given up");
                self.tell_requests(requests::Event::ReadEnough);
            }
            Some(Prefetch::Read { parallelism, before }) => {
                let slots = self.assign(parallelism).unwrap_or_default();
                let head = &self.head.manifest;
                let wanted = build_prefetches(&self.plan, &slots, head, &before);
                let objects = head.data_objects().into_iter().map(str::to_owned).collect();
                if !wanted.is_empty() {
                    self.step("prefetch");
                }
                self.tell_requests(requests::Event::ReadAhead { wanted, objects });
            }
        }
    }

    fn begin(&mut self, ask: Ask) {
        match ask {
            Ask::Save(saving) => self.begin_attempt(Purpose::Savepoint(saving)),
            Ask::Stop(saving) => self.hold(Hold::Save(saving)),
            Ask::Drain(saving) if let Some(sink) = &self.plan.replaces => {
                // To a sink that is the end of the input, whatever was not read yet.
                let why = format!(
                    "{sink} overwrites what is there with the rows of the whole input, of which only a \
                     part has been read; let the job end by itself, or suspend it"
                );
                self.tell_requests(requests::Event::Refuse { ask: Ask::Drain(saving), why });
            }
            Ask::Drain(saving) => {
                self.tell_requests(requests::Event::Draining(saving));
                self.step("drain");
                self.broadcast(&to_worker::Kind::Drain(control::Drain {}));
            }
            Ask::Rescale { rescale, .. } => self.begin_rescale(rescale),
        }
    }

    fn begin_rescale(&mut self, rescale: Rescale) {
        let room = self.room();
        if !self.has_effect(&rescale) {
            if let Some(id) = rescale.request {
                let reply = Reply::Rescaled { total_ms: 0, pause_ms: 0, groups_moved: 0 };
                self.out.push(Action::Reply { id, reply });
            }
        } else if !room.is_enough(&rescale) {
            let why = format!(
                "parallelism {} needs {} slots, {} have registered within {} s; the job goes on at \
                 parallelism {}",
                rescale.target,
                rescale.target,
                room.slots,
                self.config.rescale_wait_ms / 1000,
                room.parallelism
            );
            self.tell_requests(requests::Event::Refuse { ask: Ask::begun(rescale), why });
        } else {
            self.hold(Hold::Rescale { rescale, frozen_ms: self.now });
        }
    }

    /// Takes a checkpoint behind which the tasks stay frozen.
    fn hold(&mut self, hold: Hold) {
        let pin = hold.saving().map(|saving| saving.name.clone());
        self.begin_attempt(Purpose::Hold { is_last: !hold.is_rescale(), pin });
        self.tell_lifecycle(lifecycle::Event::Held(hold));
    }

    /// The output of a rescale's cut was not committed in time: the tasks go on as they were.
    pub(super) fn give_up_commits(&mut self, attempt: Attempt) {
        let problem = self.commits.last_problem().unwrap_or("no answer");
        let why = format!("its output could not be committed in time: {problem}");
        self.resume(attempt, why);
    }

    /// Everything is committed that the savepoint behind which the job stops refers to.
    pub(super) fn copy_last_savepoint(&mut self, name: String) {
        self.tell_lifecycle(lifecycle::Event::Copying);
        self.out.push(Action::CopySavepoint { name, version: self.head.manifest.version });
    }

    pub(super) fn on_savepoint_done(
        &mut self,
        name: String,
        result: Result<SavepointInfo, String>,
    ) {
        if let Some((saving, attempt)) = self.lifecycle.copying(&name) {
            let request = saving.request;
            return match result {
                Ok(info) => self.stop_behind(name, request, info),
                Err(why) => self.resume(attempt, why),
            };
        }
        let answered = self.requests.on(requests::Event::Copied { name, result }, self.now);
        if let [Outcome::Reply { reply: Reply::Saved { .. }, .. }] = answered[..] {
            self.step("savepoint");
        }
        self.follow_requests(answered);
    }

    fn stop_behind(&mut self, name: String, id: RequestId, info: SavepointInfo) {
        let (version, watermark) = (self.head.manifest.version, self.head.event_time(&self.plan));
        let savepoint = info.path.clone();
        self.notes.last_savepoint = Some(control::JobEnd {
            savepoint: name,
            path: info.path.clone(),
            epoch: version.0,
            bytes: info.bytes,
            ..control::JobEnd::default()
        });
        let reply = Reply::Saved { epoch: version.into(), info, watermark };
        self.out.push(Action::Reply { id, reply });
        self.end(Ending::Stopped { savepoint });
    }

    fn resume(&mut self, attempt: Attempt, why: String) {
        self.broadcast(&to_worker::Kind::Resume(control::Resume { attempt: attempt.0 }));
        self.tell_lifecycle(lifecycle::Event::Released { why });
    }
}

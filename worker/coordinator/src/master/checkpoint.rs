//! Attempts: trigger, acks, publication.

use weir_engine::Fault;
use weir_protocol::control::{self, to_worker};
use weir_protocol::{Attempt, Epoch, Subtask, VertexId};

use super::assemble::assemble;
use super::attempt::{PendingCheckpoint, Stage};
use super::event::Action;
use super::failure::Cause;
use super::head::Head;
use super::machine::JobMaster;
use super::state::{Ask, Copying, HoldPhase, Saving, State, Stop};

impl JobMaster {
    /// Whether a periodic attempt may start: not too much output waits for its commit.
    pub(super) fn may_checkpoint(&self) -> bool {
        self.commits.versions() < self.config.max_uncommitted
    }

    /// The number of the newest attempt.
    pub(super) fn last_attempt(&self) -> Attempt {
        Attempt(self.next_attempt.0.saturating_sub(1))
    }

    /// Sends a trigger to every worker with tasks.
    pub(super) fn trigger(&mut self, freeze: bool, last: bool) -> PendingCheckpoint {
        let attempt = self.next_attempt;
        self.next_attempt = attempt.next();
        // Rewriting everything would lengthen a pause, and make worthless what is read ahead.
        let only_what_must = freeze || self.reads_ahead();
        let full = match only_what_must {
            true => self.head.must_write_full(),
            false => self.head.should_write_full(),
        };
        let trigger = control::Trigger {
            attempt: attempt.0,
            freeze,
            full: full.into_iter().map(|uid| uid.0).collect(),
            last,
        };
        // Taken now: whatever is assigned after this stays the enumerator's at this cut.
        let enumerators = self.splits.iter().map(|(v, s)| (*v, s.at_cut())).collect();
        let checkpoint =
            PendingCheckpoint::new(attempt, freeze, self.now, enumerators, self.tasks());
        self.step("trigger");
        self.broadcast(&to_worker::Kind::Trigger(trigger));
        checkpoint
    }

    /// A periodic attempt, or one for a savepoint behind which the job goes on.
    pub(super) fn begin_checkpoint(&mut self, saving: Option<Saving>) {
        // A savepoint refers to nothing outside its folder: open files are rolled for it.
        let checkpoint = self.trigger(false, saving.is_some());
        if let State::Running(live) = &mut self.state {
            live.checkpoint = Some(checkpoint);
            live.saving = saving;
            live.pace_ms = (live.pace_ms * 2).min(self.config.checkpoint_interval_ms);
            live.next_checkpoint_ms = self.now + live.pace_ms;
        }
    }

    pub(super) fn on_ack(&mut self, ack: &control::Ack) {
        let task = (VertexId(ack.vertex), Subtask(ack.subtask));
        let snapshot = match serde_json::from_slice(&ack.snapshot_json) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let name = self.task_name(task.0, task.1);
                self.abandon(Attempt(ack.attempt), &format!("{name}: its ack: {error}"));
                return;
            }
        };
        let Some(live) = self.live_mut() else { return };
        let Some(checkpoint) = live.checkpoint.as_mut().filter(|f| f.attempt.0 == ack.attempt)
        else {
            return;
        };
        if checkpoint.acknowledge(task, snapshot) {
            self.step("all acks");
            self.publish();
        }
    }

    /// Every task has acknowledged.
    fn publish(&mut self) {
        let (parallelism, must) = (self.parallelism, self.must_publish());
        let pin = self.pin();
        let Some(mut checkpoint) = self.live_mut().and_then(|live| live.checkpoint.take()) else {
            return;
        };
        let head = &self.head.manifest;
        let mut body = assemble(&self.plan, parallelism, &checkpoint, &self.counted_before, head);
        body.pin = pin;
        body.renewed = self.head.renewed.clone();
        if !must && !body.differs_from(head, self.commits.items()) {
            self.step("nothing changed");
            self.stats.unchanged += 1;
            self.stats.attempt_problem.clear();
            let abandon = control::Abandon { attempt: checkpoint.attempt.0 };
            self.broadcast(&to_worker::Kind::Abandon(abandon));
            return;
        }
        if let Some(live) = self.live_mut() {
            checkpoint.stage = Stage::Publishing;
            live.checkpoint = Some(checkpoint);
        }
        self.step("publish");
        self.out.push(Action::Publish { body: Box::new(body) });
    }

    /// Whether somebody waits for this attempt's version itself.
    fn must_publish(&self) -> bool {
        match &self.state {
            State::Running(live) => live.saving.is_some(),
            _ => true,
        }
    }

    fn pin(&self) -> Option<String> {
        match &self.state {
            State::Running(live) => live.saving.as_ref().map(|s| s.name.clone()),
            State::Stopping { stop, .. } => stop.saving().map(|s| s.name.clone()),
            _ => None,
        }
    }

    pub(super) fn on_published(&mut self, attempt: Attempt, head: Head) {
        let version = head.manifest.version;
        let epoch = Epoch::from(version);
        self.stats.epoch = epoch;
        self.stats.checkpoint_bytes = head.manifest.bytes;
        self.stats.published_at_ms = self.wall_ms();
        self.stats.attempt_problem.clear();
        self.step("published");
        self.stats.published += 1;
        let now = self.now;
        let dropped = {
            let (before, now) = (self.head.manifest.data_objects(), head.manifest.data_objects());
            before.difference(&now).map(|object| (*object).to_owned()).collect()
        };
        self.head = head;
        let Some(live) = self.live_mut() else { return }; // The term's tasks ended meanwhile.
        let Some(checkpoint) = live.checkpoint.take_if(|f| f.attempt == attempt) else {
            return;
        };
        let saving = live.saving.take();
        self.stats.checkpoint_ms = now - checkpoint.began_ms;
        self.commits.add(&self.head, |p| p.epoch == version);
        let published = control::Published { attempt: attempt.0, epoch: epoch.0, dropped };
        self.broadcast(&to_worker::Kind::Published(published));
        self.show_positions();
        self.out.push(Action::Collect);
        if let Some(saving) = saving {
            let watermark = self.event_time();
            let copy = Copying { request: saving.request, version, watermark };
            self.copying.insert(saving.name.clone(), copy);
            self.out.push(Action::CopySavepoint { name: saving.name, version });
        }
        let until_ms = now + self.config.checkpoint_timeout_ms;
        if let State::Rescaling { phase, .. } | State::Stopping { phase, .. } = &mut self.state {
            *phase = HoldPhase::Commits { attempt, until_ms };
        }
    }

    /// Tells enumerators which positions the newest manifest covers.
    fn show_positions(&mut self) {
        for (vertex, _) in self.plan.sources() {
            let Some(stored) = self.head.manifest.operators.get(&vertex.head()) else {
                continue;
            };
            let unassigned = stored.enumerator.iter().flat_map(|e| &e.unassigned);
            let splits = stored.state.splits.iter().chain(unassigned).cloned().collect();
            self.out.push(Action::ShowPositions { vertex: vertex.id, splits });
        }
    }

    /// The smallest watermark of the sources at the newest checkpoint.
    pub(super) fn event_time(&self) -> Option<i64> {
        let head = &self.head.manifest;
        let stored = self.plan.sources().map(|(vertex, _)| vertex.head());
        let stored = stored.filter(|uid| head.operators.contains_key(uid));
        let marks: Option<Vec<i64>> = stored.map(|uid| head.watermark(&uid)?.least()).collect();
        marks.and_then(|marks| marks.into_iter().min())
    }

    /// The store has not decided about the attempt's manifest, which may still count.
    pub(super) fn on_undecided(&mut self, attempt: Attempt, why: &str) {
        let checkpoint = self.live_mut().and_then(|live| live.checkpoint.as_ref());
        if checkpoint.is_some_and(|f| f.attempt == attempt) {
            self.stats.attempt_problem =
                format!("checkpoint attempt {attempt} is not published yet: {why}");
        }
    }

    /// The attempt failed; what was frozen for it belongs to the next one.
    pub(super) fn abandon(&mut self, attempt: Attempt, why: &str) {
        let now = self.now;
        let soon = now + self.config.checkpoint_interval_ms.min(1_000);
        let Some(live) = self.live_mut() else { return };
        let Some(checkpoint) = live.checkpoint.take_if(|f| f.attempt == attempt) else {
            return;
        };
        let saving = live.saving.take();
        live.next_checkpoint_ms = live.next_checkpoint_ms.max(soon);
        self.retry_at_ms = soon;
        self.stats.failed_attempts += 1;
        self.stats.failure = format!("checkpoint attempt {attempt} failed: {why}");
        self.stats.attempt_problem.clone_from(&self.stats.failure);
        self.step("abandoned");
        self.broadcast(&to_worker::Kind::Abandon(control::Abandon { attempt: attempt.0 }));
        if checkpoint.freeze {
            self.broadcast(&to_worker::Kind::Resume(control::Resume { attempt: attempt.0 }));
        }
        if let Some(saving) = saving {
            self.ask_again(Ask::Save(saving), why);
        }
        self.release(why);
    }

    /// A frozen job that is not to change after all goes on; who asked may be tried again.
    pub(super) fn release(&mut self, why: &str) {
        match std::mem::replace(&mut self.state, State::Opening) {
            State::Rescaling { live, rescale, .. } => {
                self.state = State::Running(live);
                self.ask_again(Ask::Rescale(rescale), why);
            }
            State::Stopping { live, stop, .. } => {
                self.state = State::Running(live);
                match stop {
                    Stop::Finish => {}
                    Stop::Save(saving) => {
                        self.ask_again(Ask::Stop(saving), why);
                    }
                    Stop::Drain(saving) => {
                        if !self.ask_again(Ask::Drain(saving), why) {
                            // Its tasks have ended; others go on where they were.
                            let message = format!("the job was not drained: {why}");
                            let cause = Cause::Error { fault: Fault::External, blamed: None };
                            self.fail_tasks(message, cause);
                        }
                    }
                }
            }
            other => self.state = other,
        }
    }

    /// Gives up an attempt that takes too long.
    pub(super) fn check_timeout(&mut self) -> bool {
        let (now, limit) = (self.now, self.config.checkpoint_timeout_ms);
        let Some(live) = self.live_mut() else {
            return false;
        };
        let Some(checkpoint) = &live.checkpoint else {
            return false;
        };
        // On its way to the store it is undecided, and stays so until the store has decided.
        if checkpoint.stage != Stage::Collecting || now < checkpoint.began_ms + limit {
            return false;
        }
        let attempt = checkpoint.attempt;
        let why = match checkpoint.missing() {
            Some((task, more)) => {
                let name = self.task_name(task.0, task.1);
                format!("{name} and {more} more did not answer within {} s", limit / 1000)
            }
            None => "no task answered".to_owned(),
        };
        self.abandon(attempt, &why);
        true
    }
}

//! What a running job does next, and what a frozen one waits for.

use weir_protocol::control::{self, OperationKind, OperationOutcome, to_worker};

use super::event::{Action, Ending, Reply, SavepointInfo};
use super::machine::JobMaster;
use super::place::SlotAssignment;
use super::state::{Ahead, Ask, HoldPhase, Rescale, Saving, State, Stop, Why};

impl JobMaster {
    /// Decides what to do while no attempt is under way. True when something has begun.
    pub(super) fn choose_next(&mut self) -> bool {
        // Every step from here takes an attempt; one that cannot succeed yet is not repeated
        // in a circle.
        if self.now < self.retry_at_ms || !self.may_checkpoint() {
            return false;
        }
        // A source that was told to end sends the end of time, which is no promise about the rows
        // behind its position. Where only some have ended, what others derive from it must not be
        // restored: the next cut is the one behind which everything has ended.
        let drains = self.draining.is_some();
        if !drains {
            self.advance_prefetch();
        }
        let may = |ask: &Ask| !drains || matches!(ask, Ask::Drain(_));
        if let Some(position) =
            (0..self.asks.len()).find(|i| may(&self.asks[*i]) && self.is_ready(*i))
            && let Some(ask) = self.asks.remove(position)
        {
            self.begin(ask);
            return true;
        }
        if self.tasks().all(|task| self.finished.contains(&task)) {
            let stop = self.draining.take().map_or(Stop::Finish, Stop::Drain);
            self.hold_for_stop(stop);
            return true;
        }
        if drains {
            return false;
        }
        let rescales = self.asks.iter().any(|ask| matches!(ask, Ask::Rescale(_)));
        if !rescales && self.now >= self.rebalance_after_ms && self.wants_rebalance().is_some() {
            let (same, now) = (self.parallelism, self.now);
            self.asks.push_back(Ask::Rescale(Rescale::new(None, same, same, now)));
            return true;
        }
        let due = matches!(&self.state, State::Running(l) if self.now >= l.next_checkpoint_ms);
        if due {
            self.begin_checkpoint(None);
            return true;
        }
        false
    }

    /// Whether a request can begin: a rescale waits for its slots, or for the end of its
    /// patience, and then for what is read ahead.
    fn is_ready(&self, position: usize) -> bool {
        match self.asks.get(position) {
            Some(Ask::Rescale(rescale)) if self.has_slots(rescale) => rescale.ahead == Ahead::Done,
            Some(Ask::Rescale(rescale)) => {
                self.now >= rescale.began_ms + self.config.rescale_wait_ms
            }
            Some(_) => true,
            None => false,
        }
    }

    pub(super) fn has_slots(&self, rescale: &Rescale) -> bool {
        let slots: u32 = self.workers.values().map(|w| w.slots).sum();
        slots >= rescale.target || rescale.target <= self.parallelism
    }

    /// Whether it would change anything.
    pub(super) fn has_effect(&self, rescale: &Rescale) -> bool {
        rescale.target != self.parallelism || self.wants_rebalance().is_some()
    }

    fn begin(&mut self, ask: Ask) {
        match ask {
            Ask::Save(saving) => self.begin_checkpoint(Some(saving)),
            Ask::Stop(saving) => self.hold_for_stop(Stop::Save(saving)),
            Ask::Drain(saving) => self.drain(saving),
            Ask::Rescale(rescale) => {
                let slots: u32 = self.workers.values().map(|w| w.slots).sum();
                if !self.has_effect(&rescale) {
                    if let Some(id) = rescale.request {
                        let reply = Reply::Rescaled { total_ms: 0, pause_ms: 0, groups_moved: 0 };
                        self.out.push(Action::Reply { id, reply });
                    }
                } else if !self.has_slots(&rescale) {
                    let why = format!(
                        "parallelism {} needs {} slots, {slots} have registered within {} s; the \
                         job goes on at parallelism {}",
                        rescale.target,
                        rescale.target,
                        self.config.rescale_wait_ms / 1000,
                        self.parallelism
                    );
                    self.refuse(&Ask::Rescale(rescale), &why);
                } else {
                    self.hold_for_rescale(rescale);
                }
            }
        }
    }

    fn drain(&mut self, saving: Saving) {
        if let Some(earlier) = self.draining.replace(saving) {
            self.refuse(&Ask::Drain(earlier), "superseded by another drain");
        }
        self.step("drain");
        self.broadcast(&to_worker::Kind::Drain(control::Drain {}));
    }

    fn hold_for_rescale(&mut self, mut rescale: Rescale) {
        rescale.frozen_ms = self.now;
        let checkpoint = self.trigger(true, false);
        let mut live = self.fresh_live();
        live.checkpoint = Some(checkpoint);
        self.state = State::Rescaling { live, rescale, phase: HoldPhase::Cut };
    }

    fn hold_for_stop(&mut self, stop: Stop) {
        let checkpoint = self.trigger(true, true);
        let mut live = self.fresh_live();
        live.checkpoint = Some(checkpoint);
        self.state = State::Stopping { live, stop, phase: HoldPhase::Cut };
    }

    /// The next step of a frozen job, once its commits allow it.
    pub(super) fn advance_hold(&mut self) -> bool {
        let committed = self.commits.is_empty();
        match &mut self.state {
            State::Rescaling {
                rescale, phase: HoldPhase::Commits { attempt, until_ms }, ..
            } => {
                if committed {
                    let why = Why::Rescale(rescale.clone());
                    self.seal(why);
                    return true;
                }
                if self.now < *until_ms {
                    return false;
                }
                let attempt = attempt.0;
                let problem = self.commits.last_problem().unwrap_or("no answer").to_owned();
                self.broadcast(&to_worker::Kind::Resume(control::Resume { attempt }));
                self.release(&format!("its output could not be committed in time: {problem}"));
                true
            }
            State::Stopping { stop, phase: phase @ HoldPhase::Commits { .. }, .. } if committed => {
                match stop.saving() {
                    None => self.end(Ending::Finished),
                    Some(saving) => {
                        let HoldPhase::Commits { attempt, .. } = *phase else {
                            return false;
                        };
                        let (name, version) = (saving.name.clone(), self.head.manifest.version);
                        *phase = HoldPhase::Copy { attempt };
                        self.out.push(Action::CopySavepoint { name, version });
                    }
                }
                true
            }
            _ => false,
        }
    }

    pub(super) fn on_savepoint_done(&mut self, name: &str, result: Result<SavepointInfo, String>) {
        let (version, watermark) = (self.head.manifest.version, self.event_time());
        if let State::Stopping { stop, phase: HoldPhase::Copy { attempt }, .. } = &self.state
            && let Some(saving) = stop.saving()
            && saving.name == name
        {
            let (id, attempt) = (saving.request, attempt.0);
            match result {
                Ok(info) => {
                    let savepoint = info.path.clone();
                    self.stats.last_savepoint = Some(control::JobEnd {
                        savepoint: name.to_owned(),
                        path: info.path.clone(),
                        epoch: version.0,
                        bytes: info.bytes,
                        ..control::JobEnd::default()
                    });
                    let reply = Reply::Saved { epoch: version.into(), info, watermark };
                    self.out.push(Action::Reply { id, reply });
                    self.end(Ending::Stopped { savepoint });
                }
                Err(why) => {
                    self.broadcast(&to_worker::Kind::Resume(control::Resume { attempt }));
                    self.release(&why);
                }
            }
            return;
        }
        let Some(copy) = self.copying.remove(name) else {
            return;
        };
        let reply = match result {
            Ok(info) => {
                self.step("savepoint");
                let text = format!("{name} at {}", info.path);
                let what = (OperationKind::Savepoint, OperationOutcome::Done);
                self.report(what, text, 0, 0);
                Reply::Saved { epoch: copy.version.into(), info, watermark: copy.watermark }
            }
            Err(why) => Reply::Refused(why),
        };
        self.out.push(Action::Reply { id: copy.request, reply });
    }

    /// An assignment that relieves the busiest worker, if there is one: after survivors have taken
    /// over and a replacement has come.
    pub(super) fn wants_rebalance(&self) -> Option<SlotAssignment> {
        let now = self.assigned.as_ref()?;
        let better = self.plan_slots(self.parallelism)?;
        (self.load(&better) < self.load(now)).then_some(better)
    }

    /// Subtasks per slot of the busiest worker, in thousandths.
    fn load(&self, slots: &SlotAssignment) -> u64 {
        let loads = slots.workers().into_iter().map(|id| {
            let load = slots.0.iter().filter(|w| **w == id).count() as u64;
            let of = self.workers.get(&id).map_or(1, |w| w.slots);
            let load = (load * 1000).div_ceil(u64::from(of));
            // A slot that is full is as good as one that is half empty, unless subtasks are to
            // spread over more workers than have to take part.
            if self.config.least_workers > 1 { load } else { load.max(1000) }
        });
        loads.max().unwrap_or(0)
    }
}

//! Attempts: trigger, acks, publication, and what depends on them.

use weir_protocol::Attempt;
use weir_protocol::control::{self, to_worker};

use super::JobMaster;
use crate::master::checkpoints::{self, Outcome, Purpose};
use crate::master::commits;
use crate::master::event::Action;
use crate::master::head::Head;
use crate::master::lifecycle;
use crate::master::requests::{self, Ask, Copying};

impl JobMaster {
    /// Whether a periodic attempt may start: not too much output waits for its commit.
    pub(super) fn may_checkpoint(&self) -> bool {
        self.commits.versions() < self.config.max_uncommitted
    }

    /// Triggers an attempt.
    pub(super) fn begin_attempt(&mut self, purpose: Purpose) {
        // Rewriting everything would lengthen a pause, and make worthless what is read ahead.
        let full = match purpose.freezes() || self.requests.reads_ahead() {
            true => self.head.must_write_full(),
            false => self.head.should_write_full(),
        };
        let enumerators = self.sources.at_cut();
        let tasks = self.placement.tasks(&self.plan).collect();
        self.tell_checkpoints(checkpoints::Event::Begin { purpose, full, enumerators, tasks });
    }

    pub(super) fn tell_checkpoints(&mut self, event: checkpoints::Event<'_>) {
        let outcome = self.checkpoints.on(event, self.now);
        self.follow_checkpoints(outcome);
    }

    pub(super) fn follow_checkpoints(&mut self, outcome: Option<Outcome>) {
        match outcome {
            None => {}
            Some(Outcome::Trigger(trigger)) => {
                self.step("trigger");
                self.broadcast(&to_worker::Kind::Trigger(trigger));
            }
            Some(Outcome::AllAcknowledged) => self.assemble(),
            Some(Outcome::Unchanged { attempt }) => {
                self.step("nothing changed");
                let abandon = control::Abandon { attempt: attempt.0 };
                self.broadcast(&to_worker::Kind::Abandon(abandon));
            }
            Some(Outcome::Publish(body)) => {
                self.step("publish");
                self.out.push(Action::Publish { body });
            }
            Some(Outcome::Published { published, purpose }) => {
                self.follow_publication(published, purpose);
            }
            Some(Outcome::Abandoned { attempt, purpose, why }) => {
                self.on_abandoned(attempt, purpose, why);
            }
            Some(Outcome::Interrupted { saving, why }) => {
                self.tell_requests(requests::Event::Again { ask: Ask::Save(saving), why });
            }
        }
    }

    /// Every task has acknowledged.
    fn assemble(&mut self) {
        self.step("all acks");
        let assemble = checkpoints::Event::Assemble {
            head: &self.head,
            parallelism: self.placement.parallelism(),
            uncommitted: self.commits.items(),
        };
        let outcome = self.checkpoints.on(assemble, self.now);
        self.follow_checkpoints(outcome);
    }

    pub(super) fn on_published(&mut self, attempt: Attempt, head: Head) {
        self.step("published");
        let before = std::mem::replace(&mut self.head, head);
        let published = checkpoints::Event::Published {
            attempt,
            before: &before.manifest,
            head: &self.head,
            wall_ms: self.wall_ms(),
        };
        let outcome = self.checkpoints.on(published, self.now);
        self.follow_checkpoints(outcome);
    }

    /// The attempt that was under way is published: its output is committed, and those who waited
    /// for it go on.
    fn follow_publication(&mut self, published: control::Published, purpose: Purpose) {
        let attempt = Attempt(published.attempt);
        let listed = self.commits.on(commits::Event::Published(&self.head), self.now);
        self.follow_commits(listed);
        self.broadcast(&to_worker::Kind::Published(published));
        self.show_positions();
        self.out.push(Action::Collect);
        match purpose {
            Purpose::Interval => {}
            Purpose::Savepoint(saving) => {
                let (name, version) = (saving.name, self.head.manifest.version);
                let watermark = self.head.event_time(&self.plan);
                let copying = Copying { request: saving.request, version, watermark };
                self.tell_requests(requests::Event::Copying { name: name.clone(), copying });
                self.out.push(Action::CopySavepoint { name, version });
            }
            Purpose::Hold { .. } => self.tell_lifecycle(lifecycle::Event::Published { attempt }),
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

    fn on_abandoned(&mut self, attempt: Attempt, purpose: Purpose, why: String) {
        self.notes.failure.clone_from(&self.checkpoints.tally().problem);
        self.step("abandoned");
        let attempt = attempt.0;
        self.broadcast(&to_worker::Kind::Abandon(control::Abandon { attempt }));
        match purpose {
            Purpose::Interval => {}
            Purpose::Savepoint(saving) => {
                self.tell_requests(requests::Event::Again { ask: Ask::Save(saving), why });
            }
            Purpose::Hold { .. } => {
                self.broadcast(&to_worker::Kind::Resume(control::Resume { attempt }));
                self.tell_lifecycle(lifecycle::Event::Released { why });
            }
        }
    }
}

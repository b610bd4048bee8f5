//! Checkpoints: when the next attempt is due, and the one that is under way.
//!
//! Enters: tasks that begin and end, triggers, acks, what became of a publication. Leaves: the
//! trigger to send, the manifest to publish, attempts that came to nothing. What always holds: at
//! most one attempt is under way, and only while tasks run; once its manifest is on its way to the
//! store no passage of time gives it up, only what the store decides.

mod assemble;
mod attempt;
mod event;
mod records;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_checkpoint::{EnumeratorState, Manifest};
use weir_protocol::control;
use weir_protocol::view::{AttemptResult, CheckpointRecord};
use weir_protocol::{Attempt, Epoch, OperatorCounts, OperatorUid, Subtask, VertexId};

use super::config::MasterConfig;
use super::head::Head;
use super::plan::{Plan, TaskId};
use assemble::assemble;
use attempt::PendingCheckpoint;
pub(super) use event::{Event, Outcome, Purpose};
use records::Parts;
pub(super) use records::Records;

/// New tasks have their first checkpoint after so long, the next after twice as long, and so on up
/// to the interval. What was to be put out before a failure or a rescale is late already, and
/// nobody knows how soon the sources have their first rows.
const FIRST_CHECKPOINT_MS: u64 = 100;

/// When periodic attempts begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pace {
    next_ms: u64,
    /// From the last one to that.
    pace_ms: u64,
}

#[derive(Debug)]
enum Phase {
    /// No tasks run.
    Off,
    /// Tasks run, and no attempt is under way.
    Between(Pace),
    /// Tasks freeze, upload and acknowledge.
    Collecting { pending: PendingCheckpoint, purpose: Purpose, pace: Pace },
    /// The manifest is on its way to the store.
    Publishing { attempt: Attempt, began_ms: u64, purpose: Purpose, pace: Pace, parts: Parts },
}

/// What became of checkpoints so far; for status.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Tally {
    pub(super) epoch: Epoch,
    /// What the first seal of this coordinator restored.
    pub(super) restored: Option<Epoch>,
    /// Of the newest one.
    pub(super) bytes: u64,
    /// From its trigger to its publication.
    pub(super) took_ms: u64,
    /// When it was published, in milliseconds since 1970.
    pub(super) published_at_ms: u64,
    pub(super) published: u64,
    /// Attempts that had nothing new to publish.
    pub(super) unchanged: u64,
    pub(super) failed: u64,
    /// Why attempts fail, while they do.
    pub(super) problem: String,
}

/// The checkpoints of the job.
#[derive(Debug)]
pub(super) struct Checkpoints {
    config: Arc<MasterConfig>,
    plan: Arc<Plan>,
    next_attempt: Attempt,
    /// What operators had counted at the cut that the term's tasks go on from. Not the head's
    /// once that is a checkpoint of the same term.
    counted_before: BTreeMap<OperatorUid, OperatorCounts>,
    /// After an attempt that failed, when the next one may be tried.
    retry_at_ms: u64,
    phase: Phase,
    tally: Tally,
    records: Records,
}

impl Checkpoints {
    /// No tasks run, and nothing was published.
    pub(super) fn new(config: Arc<MasterConfig>, plan: Arc<Plan>) -> Self {
        Self {
            config,
            plan,
            next_attempt: Attempt(1),
            counted_before: BTreeMap::new(),
            retry_at_ms: 0,
            phase: Phase::Off,
            tally: Tally::default(),
            records: Records::default(),
        }
    }

    /// At most one thing comes of an event.
    pub(super) fn on(&mut self, event: Event<'_>, now_ms: u64) -> Option<Outcome> {
        match event {
            Event::Opened(head) => {
                self.tally.published_at_ms = u64::try_from(head.written_ms).unwrap_or(0);
                self.counted_before = head.counts(&self.plan);
                None
            }
            Event::Sealed(head) => {
                self.counted_before = head.counts(&self.plan);
                self.tally.epoch = head.epoch();
                self.tally.restored.get_or_insert(head.epoch());
                None
            }
            Event::TasksBegan => {
                self.phase = Phase::Between(self.fresh_pace(now_ms));
                None
            }
            Event::TasksEnded { why } => match std::mem::replace(&mut self.phase, Phase::Off) {
                Phase::Collecting { purpose: Purpose::Savepoint(saving), .. }
                | Phase::Publishing { purpose: Purpose::Savepoint(saving), .. } => {
                    Some(Outcome::Interrupted { saving, why })
                }
                _ => None,
            },
            Event::Begin { purpose, full, enumerators, tasks } => {
                self.begin(purpose, full, enumerators, tasks, now_ms)
            }
            Event::Wanted => {
                // One that is under way is what was wanted, or will be asked for again.
                if let Phase::Between(pace) = &mut self.phase {
                    pace.next_ms = pace.next_ms.min(now_ms);
                }
                None
            }
            Event::Acknowledged(ack) => self.acknowledge(&ack, now_ms),
            Event::Assemble { head, parallelism, uncommitted } => {
                self.assemble(head, parallelism, uncommitted)
            }
            Event::Published { attempt, before, head, wall_ms } => {
                self.tally.epoch = Epoch::from(head.manifest.version);
                self.tally.bytes = head.manifest.bytes;
                self.tally.published_at_ms = wall_ms;
                self.tally.published += 1;
                self.tally.problem.clear();
                // Otherwise the term's tasks have ended meanwhile.
                let (began_ms, purpose, parts) = self.take(attempt, |pace| pace)?;
                self.tally.took_ms = now_ms - began_ms;
                self.records.push(CheckpointRecord {
                    epoch: self.tally.epoch.0,
                    result: AttemptResult::Published,
                    at_ms: wall_ms,
                    bytes: self.tally.bytes,
                    ..parts.into_record(attempt.0, &purpose, self.tally.took_ms)
                });
                let published = control::Published {
                    attempt: attempt.0,
                    epoch: self.tally.epoch.0,
                    dropped: dropped(before, &head.manifest),
                };
                Some(Outcome::Published { published, purpose })
            }
            Event::Undecided { attempt, why } => {
                if self.under_way() == Some(attempt) {
                    self.tally.problem =
                        format!("checkpoint attempt {attempt} is not published yet: {why}");
                }
                None
            }
            Event::Failed { attempt, why } => self.abandon(attempt, why, now_ms),
            Event::Tick => {
                let (attempt, why) = self.find_late(now_ms)?;
                self.abandon(attempt, why, now_ms)
            }
        }
    }

    fn fresh_pace(&self, now_ms: u64) -> Pace {
        let pace_ms = self.config.checkpoint_interval_ms.min(FIRST_CHECKPOINT_MS);
        Pace { next_ms: now_ms + pace_ms, pace_ms }
    }

    fn begin(
        &mut self,
        purpose: Purpose,
        full: Vec<OperatorUid>,
        enumerators: BTreeMap<VertexId, EnumeratorState>,
        tasks: Vec<TaskId>,
        now_ms: u64,
    ) -> Option<Outcome> {
        let Phase::Between(pace) = self.phase else { return None };
        let pace = match purpose.freezes() {
            true => self.fresh_pace(now_ms),
            false => {
                let pace_ms = (pace.pace_ms * 2).min(self.config.checkpoint_interval_ms);
                Pace { next_ms: now_ms + pace_ms, pace_ms }
            }
        };
        let attempt = self.next_attempt;
        self.next_attempt = attempt.next();
        let trigger = control::Trigger {
            attempt: attempt.0,
            freeze: purpose.freezes(),
            full: full.into_iter().map(|uid| uid.0).collect(),
            last: purpose.is_last(),
        };
        let pending = PendingCheckpoint::new(attempt, now_ms, enumerators, tasks);
        self.phase = Phase::Collecting { pending, purpose, pace };
        Some(Outcome::Trigger(trigger))
    }

    fn acknowledge(&mut self, ack: &control::Ack, now_ms: u64) -> Option<Outcome> {
        let snapshot = match serde_json::from_slice(&ack.snapshot_json) {
            Ok(snapshot) => snapshot,
            Err(error) => {
                let name = self.plan.task_name(VertexId(ack.vertex), Subtask(ack.subtask));
                let why = format!("{name}: its ack: {error}");
                return self.abandon(Attempt(ack.attempt), why, now_ms);
            }
        };
        let Phase::Collecting { pending, .. } = &mut self.phase else { return None };
        let is_current = pending.attempt.0 == ack.attempt;
        let is_last = is_current && pending.acknowledge(ack, snapshot, now_ms);
        is_last.then_some(Outcome::AllAcknowledged)
    }

    fn assemble(&mut self, head: &Head, parallelism: u32, uncommitted: usize) -> Option<Outcome> {
        let (pending, purpose, pace) = match std::mem::replace(&mut self.phase, Phase::Off) {
            Phase::Collecting { pending, purpose, pace } => (pending, purpose, pace),
            other => {
                self.phase = other;
                return None;
            }
        };
        let (attempt, began_ms) = (pending.attempt, pending.began_ms);
        let (manifest, before) = (&head.manifest, &self.counted_before);
        let mut body = assemble(&self.plan, parallelism, &pending, before, manifest);
        body.pin = purpose.pin().map(str::to_owned);
        body.renewed = head.renewed.clone();
        if purpose == Purpose::Interval && !body.differs_from(manifest, uncommitted) {
            self.phase = Phase::Between(pace);
            self.tally.unchanged += 1;
            self.tally.problem.clear();
            return Some(Outcome::Unchanged { attempt });
        }
        self.phase = Phase::Publishing { attempt, began_ms, purpose, pace, parts: pending.parts };
        Some(Outcome::Publish(Box::new(body)))
    }

    fn abandon(&mut self, attempt: Attempt, why: String, now_ms: u64) -> Option<Outcome> {
        let soon = now_ms + self.config.checkpoint_interval_ms.min(1_000);
        let later = |pace: Pace| Pace { next_ms: pace.next_ms.max(soon), ..pace };
        let (began_ms, purpose, parts) = self.take(attempt, later)?;
        self.retry_at_ms = soon;
        self.tally.failed += 1;
        self.tally.problem = format!("checkpoint attempt {attempt} failed: {why}");
        self.records.push(CheckpointRecord {
            at_ms: self.config.began_at_ms.saturating_add(now_ms),
            problem: why.clone(),
            ..parts.into_record(attempt.0, &purpose, now_ms.saturating_sub(began_ms))
        });
        Some(Outcome::Abandoned { attempt, purpose, why })
    }

    /// Ends the attempt, if it is the one under way: when it began, what it was for, what it took.
    fn take(
        &mut self,
        wanted: Attempt,
        and_then: impl Fn(Pace) -> Pace,
    ) -> Option<(u64, Purpose, Parts)> {
        if self.under_way() != Some(wanted) {
            return None;
        }
        match std::mem::replace(&mut self.phase, Phase::Off) {
            Phase::Collecting {
                pending: PendingCheckpoint { began_ms, parts, .. },
                purpose,
                pace,
            }
            | Phase::Publishing { began_ms, purpose, pace, parts, .. } => {
                self.phase = Phase::Between(and_then(pace));
                Some((began_ms, purpose, parts))
            }
            other => {
                self.phase = other;
                None
            }
        }
    }

    /// An attempt that takes too long, and why.
    fn find_late(&self, now_ms: u64) -> Option<(Attempt, String)> {
        let Phase::Collecting { pending, .. } = &self.phase else { return None };
        let limit = self.config.checkpoint_timeout_ms;
        if now_ms < pending.began_ms + limit {
            return None;
        }
        let why = match pending.missing() {
            Some(((vertex, subtask), more)) => {
                let name = self.plan.task_name(vertex, subtask);
                format!("{name} and {more} more did not answer within {} s", limit / 1000)
            }
            None => "no task answered".to_owned(),
        };
        Some((pending.attempt, why))
    }

    /// The attempt that is under way.
    #[must_use]
    pub(super) fn under_way(&self) -> Option<Attempt> {
        match &self.phase {
            Phase::Off | Phase::Between(_) => None,
            Phase::Collecting { pending, .. } => Some(pending.attempt),
            Phase::Publishing { attempt, .. } => Some(*attempt),
        }
    }

    /// Whether an attempt may begin: one that cannot succeed yet is not repeated in a circle.
    #[must_use]
    pub(super) fn may_begin(&self, now_ms: u64) -> bool {
        matches!(self.phase, Phase::Between(_)) && now_ms >= self.retry_at_ms
    }

    /// Whether the interval is over.
    #[must_use]
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        matches!(self.phase, Phase::Between(pace) if now_ms >= pace.next_ms)
    }

    /// When the attempt under way takes too long, or when the next one is due; that is asked for
    /// with `may_begin`.
    #[must_use]
    pub(super) fn next_ms(&self, may_begin: bool, now_ms: u64) -> Option<u64> {
        match &self.phase {
            Phase::Collecting { pending: PendingCheckpoint { began_ms, .. }, .. }
            | Phase::Publishing { began_ms, .. } => {
                Some(began_ms + self.config.checkpoint_timeout_ms)
            }
            // A request waits for it no longer than that.
            Phase::Between(_) if may_begin && self.retry_at_ms > now_ms => Some(self.retry_at_ms),
            Phase::Between(pace) if may_begin => Some(pace.next_ms.max(self.retry_at_ms)),
            Phase::Between(_) | Phase::Off => None,
        }
    }

    /// The newest attempt's number.
    #[must_use]
    pub(super) fn last_attempt(&self) -> Attempt {
        Attempt(self.next_attempt.0.saturating_sub(1))
    }

    /// What operators had counted at the cut that the term's tasks go on from.
    #[must_use]
    pub(super) fn counted_before(&self) -> &BTreeMap<OperatorUid, OperatorCounts> {
        &self.counted_before
    }

    /// The newest attempts that are over.
    #[must_use]
    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    #[must_use]
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }
}

/// Objects of the chain that nothing refers to any more.
fn dropped(before: &Manifest, now: &Manifest) -> Vec<String> {
    let (before, now) = (before.data_objects(), now.data_objects());
    before.difference(&now).map(|object| (*object).to_owned()).collect()
}

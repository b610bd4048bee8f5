//! Requests: which wait, which may begin, which are tried again or refused, and what came of them.
//!
//! Enters: requests, what became of those that had begun, news of what workers read ahead. Leaves:
//! the request that begins, replies, prefetches. What always holds: no more than [`MAX_ASKS`] wait,
//! and each leaves by beginning or by being answered; one that has begun comes back by
//! [`Event::Again`] or [`Event::Refuse`] when it comes to nothing.

mod ask;
mod operations;
mod read_ahead;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use weir_checkpoint::SubtaskRestore;
use weir_protocol::WorkerId;
use weir_protocol::control::{self, OperationKind, OperationOutcome, OperationReport};

use super::config::MasterConfig;
use super::event::{Reply, Request, RequestId, SavepointInfo};
use ask::Ahead;
pub(super) use ask::{Ask, Copying, Rescale, Saving};
use operations::Operations;
pub(super) use read_ahead::Prefetch;

/// Requests that may wait at a time.
const MAX_ASKS: usize = 16;
/// How often a request is tried.
const MAX_TRIES: u32 = 3;
/// After a rebalance that failed, when the next one may be tried.
const REBALANCE_AGAIN_MS: u64 = 30_000;

/// What happens to requests.
#[derive(Debug)]
pub(super) enum Event {
    /// Someone asks, under an id by which it is reported (empty: under none).
    Asked { id: RequestId, request: Request, operation: String },
    /// Nothing is under way: whatever may begin now is to.
    Idle(Room),
    /// All slots are as they are, and others would be better.
    Rebalance { parallelism: u32 },
    /// What had begun came to nothing: it is tried again, unless it was often enough.
    Again { ask: Ask, why: String },
    /// What had begun cannot be carried out.
    Refuse { ask: Ask, why: String },
    /// Sources were told to end; the savepoint to stop behind once every task has.
    Draining(Saving),
    /// Every task has.
    AllFinished,
    /// A savepoint is copied behind the running job.
    Copying { name: String, copying: Copying },
    /// The copy has come to its end.
    Copied { name: String, result: Result<SavepointInfo, String> },
    /// Workers are to read this for the next rescale, out of `objects` that the head lists.
    ReadAhead { wanted: BTreeMap<WorkerId, Vec<SubtaskRestore>>, objects: BTreeSet<String> },
    /// The next rescale is read ahead for no longer.
    ReadEnough,
    /// A worker has read what it was asked for.
    Prefetched { worker: WorkerId, id: u64 },
    /// A worker is no longer there.
    WorkerLost(WorkerId),
    /// The tasks were interrupted.
    TasksFailed,
    /// Something has come to its end that is reported as an operation.
    Reported(OperationReport),
    /// A reply is sent.
    Answered { id: RequestId, reply: Reply },
    /// The coordinator's work is over; says why.
    Ended { reason: String },
}

/// What comes of it.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Outcome {
    /// A request begins.
    Begin(Ask),
    /// The job is to end, with the savepoint of a drain if that was asked.
    End { drain: Option<Saving> },
    /// A question is answered.
    Reply { id: RequestId, reply: Reply },
    /// A worker is to read ahead.
    Prefetch { worker: WorkerId, prefetch: control::Prefetch },
}

/// The slots that rescales wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Room {
    /// Of all workers.
    pub(super) slots: u32,
    /// The parallelism in force.
    pub(super) parallelism: u32,
}

impl Room {
    /// Whether a rescale has the slots that it needs.
    #[must_use]
    pub(super) fn is_enough(self, rescale: &Rescale) -> bool {
        self.slots >= rescale.target || rescale.target <= self.parallelism
    }
}

/// All requests that are not answered.
#[derive(Debug)]
pub(super) struct Requests {
    config: Arc<MasterConfig>,
    max_parallelism: u32,
    waiting: VecDeque<Ask>,
    copying: BTreeMap<String, Copying>,
    draining: Option<Saving>,
    rebalance_after_ms: u64,
    /// Prefetches asked for so far.
    prefetches: u64,
    operations: Operations,
}

impl Requests {
    /// Nothing was asked. A rescale can go up to `max_parallelism`.
    pub(super) fn new(config: Arc<MasterConfig>, max_parallelism: u32) -> Self {
        Self {
            operations: Operations::new(config.began_at_ms),
            config,
            max_parallelism,
            waiting: VecDeque::new(),
            copying: BTreeMap::new(),
            draining: None,
            rebalance_after_ms: 0,
            prefetches: 0,
        }
    }

    pub(super) fn on(&mut self, event: Event, now_ms: u64) -> Vec<Outcome> {
        match event {
            Event::Asked { id, request, operation } => {
                self.operations.name(id, &request, operation, now_ms);
                return self.ask(id, request, now_ms);
            }
            Event::Idle(room) => {
                let mut position = 0..self.waiting.len();
                let ready = position.find(|i| self.may_begin(&self.waiting[*i], room, now_ms));
                let ask = ready.and_then(|position| self.waiting.remove(position));
                return ask.map(Outcome::Begin).into_iter().collect();
            }
            Event::Rebalance { parallelism } => {
                let rescale = Rescale::new(None, parallelism, now_ms);
                self.waiting.push_back(Ask::Rescale { rescale, ahead: Ahead::Unasked });
            }
            Event::Again { ask, why } => {
                return self.ask_again(ask, &why, now_ms).into_iter().collect();
            }
            Event::Refuse { ask, why } => {
                return self.refuse(&ask, &why, now_ms).into_iter().collect();
            }
            Event::Draining(saving) => {
                let earlier = self.draining.replace(saving);
                let why = "superseded by another drain";
                let refused = earlier.and_then(|e| self.refuse(&Ask::Drain(e), why, now_ms));
                return refused.into_iter().collect();
            }
            Event::AllFinished => return vec![Outcome::End { drain: self.draining.take() }],
            Event::Copying { name, copying } => {
                self.copying.insert(name, copying);
            }
            Event::Copied { name, result } => {
                return self.copied(&name, result, now_ms).into_iter().collect();
            }
            Event::ReadAhead { wanted, objects } => {
                return self.read_ahead(wanted, objects, now_ms);
            }
            Event::ReadEnough => self.read_enough(),
            Event::Prefetched { worker, id } => self.prefetched(worker, Some(id)),
            Event::WorkerLost(worker) => self.prefetched(worker, None),
            Event::TasksFailed => self.forget_prefetches(),
            Event::Reported(report) => self.operations.report(report, now_ms),
            Event::Answered { id, reply } => self.operations.answered(id, &reply, now_ms),
            Event::Ended { reason } => return self.end(&reason, now_ms),
        }
        Vec::new()
    }

    fn ask(&mut self, id: RequestId, request: Request, now_ms: u64) -> Vec<Outcome> {
        let most = self.max_parallelism;
        let refused = match &request {
            _ if self.waiting.len() >= MAX_ASKS => {
                Some(format!("{MAX_ASKS} requests wait already; try again later"))
            }
            Request::Rescale { parallelism } if *parallelism == 0 || *parallelism > most => {
                Some(format!(
                    "parallelism {parallelism} is not possible; it can be 1 to {most} for this job \
                     (maxParallelism)"
                ))
            }
            _ => None,
        };
        if let Some(why) = refused {
            return vec![Outcome::Reply { id, reply: Reply::Refused(why) }];
        }
        let mut outcomes = Vec::new();
        let ask = match request {
            Request::Savepoint { name, stop: true } => Ask::Stop(Saving::new(name, id)),
            Request::Savepoint { name, stop: false } => Ask::Save(Saving::new(name, id)),
            Request::Drain { name } => Ask::Drain(Saving::new(name, id)),
            Request::Rescale { parallelism } => {
                // The newest wish counts.
                let why = format!("superseded by a rescale to {parallelism}");
                let (superseded, others) =
                    std::mem::take(&mut self.waiting).into_iter().partition(Ask::is_rescale);
                let superseded: VecDeque<Ask> = superseded;
                self.waiting = others;
                for ask in &superseded {
                    outcomes.extend(self.refuse(ask, &why, now_ms));
                }
                let rescale = Rescale::new(Some(id), parallelism, now_ms);
                Ask::Rescale { rescale, ahead: Ahead::Unasked }
            }
        };
        self.waiting.push_back(ask);
        outcomes
    }

    /// Whether a request can begin: a rescale waits for its slots, or for the end of its patience,
    /// and then for what is read ahead.
    ///
    /// A source that was told to end sends the end of time, which is no promise about the rows
    /// behind its position. Where only some have ended, what others derive from it must not be
    /// restored: the next cut is the one behind which everything has ended.
    fn may_begin(&self, ask: &Ask, room: Room, now_ms: u64) -> bool {
        match ask {
            Ask::Drain(_) => true,
            _ if self.draining.is_some() => false,
            Ask::Rescale { rescale, ahead } if room.is_enough(rescale) => *ahead == Ahead::Done,
            Ask::Rescale { rescale, .. } => {
                now_ms >= rescale.began_ms + self.config.rescale_wait_ms
            }
            Ask::Save(_) | Ask::Stop(_) => true,
        }
    }

    /// Puts a request back in front, unless it has been tried often enough.
    fn ask_again(&mut self, mut ask: Ask, why: &str, now_ms: u64) -> Option<Outcome> {
        let tries = ask.tries_mut();
        *tries += 1;
        if *tries >= MAX_TRIES || ask.request().is_none() {
            return self.refuse(&ask, why, now_ms);
        }
        self.waiting.push_front(ask);
        None
    }

    fn refuse(&mut self, ask: &Ask, why: &str, now_ms: u64) -> Option<Outcome> {
        let Some(id) = ask.request() else {
            self.rebalance_after_ms = now_ms + REBALANCE_AGAIN_MS;
            return None;
        };
        Some(Outcome::Reply { id, reply: Reply::Refused(why.to_owned()) })
    }

    fn copied(
        &mut self,
        name: &str,
        result: Result<SavepointInfo, String>,
        now_ms: u64,
    ) -> Option<Outcome> {
        let copy = self.copying.remove(name)?;
        let reply = match result {
            Ok(info) => {
                let report = OperationReport {
                    kind: OperationKind::Savepoint.into(),
                    outcome: OperationOutcome::Done.into(),
                    message: format!("{name} at {}", info.path),
                    ..OperationReport::default()
                };
                self.operations.report(report, now_ms);
                Reply::Saved { epoch: copy.version.into(), info, watermark: copy.watermark }
            }
            Err(why) => Reply::Refused(why),
        };
        Some(Outcome::Reply { id: copy.request, reply })
    }

    fn end(&mut self, reason: &str, now_ms: u64) -> Vec<Outcome> {
        let why = format!("the job has ended: {reason}");
        let mut asks = std::mem::take(&mut self.waiting);
        asks.extend(self.draining.take().map(Ask::Drain));
        let mut outcomes: Vec<Outcome> =
            asks.iter().filter_map(|ask| self.refuse(ask, &why, now_ms)).collect();
        let copies = std::mem::take(&mut self.copying).into_values();
        outcomes.extend(copies.map(|copy| {
            let reply = Reply::Refused(why.clone());
            Outcome::Reply { id: copy.request, reply }
        }));
        outcomes
    }

    /// Whether sources were told to end.
    #[must_use]
    pub(super) fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Whether the coordinator may rebalance by itself: no rescale waits, and the last one that
    /// failed is long ago.
    #[must_use]
    pub(super) fn may_rebalance(&self, now_ms: u64) -> bool {
        now_ms >= self.rebalance_after_ms && !self.waiting.iter().any(Ask::is_rescale)
    }

    /// When it may.
    #[must_use]
    pub(super) fn rebalance_after_ms(&self) -> u64 {
        self.rebalance_after_ms
    }

    /// When rescales lose their patience.
    pub(super) fn next_ms(&self) -> impl Iterator<Item = u64> {
        self.waiting.iter().filter_map(|ask| match ask {
            Ask::Rescale { ahead: Ahead::Reading(reading), .. } => Some(reading.until_ms),
            Ask::Rescale { rescale, .. } => Some(rescale.began_ms + self.config.rescale_wait_ms),
            Ask::Save(_) | Ask::Stop(_) | Ask::Drain(_) => None,
        })
    }

    /// The newest reports of operations, oldest first.
    #[must_use]
    pub(super) fn reports(&self) -> &[OperationReport] {
        self.operations.reports()
    }
}

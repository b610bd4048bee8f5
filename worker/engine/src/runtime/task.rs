//! One subtask: a head that brings messages, a chain that works on them.

mod accounting;
mod handle;
mod look;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::mpsc::UnboundedSender;
use weir_protocol::{Attempt, OperatorUid};

use self::handle::Slot;
pub(crate) use self::handle::{TaskHandle, Turn};
use super::chain::{Chain, Driven, FrozenChain};
use super::input::{Event, Inputs};
use super::memory::Share;
use super::source_head::{Read, SourceHead, WatermarkStatus};
use crate::env::instant;
use crate::message::{Barrier, Round};
use crate::source::Split;
use crate::task::{FrozenTask, TaskCommand, TaskEvent, TriggerRequest};
use crate::{EngineError, Watermark};

/// Where messages come from.
pub(crate) enum Head {
    /// A source's splits, and the operator that their positions belong to.
    Source(Box<SourceHead>, OperatorUid),
    /// Channels from other subtasks.
    Inputs(Inputs),
}

/// Why a task stopped stepping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Blocked {
    /// Its turn is over; there is more to do.
    Yielded,
    /// Until its output has room.
    Backpressured,
    /// Until there is input, or a command.
    Idle,
    /// Until the barrier arrives on the other inputs.
    Aligning,
    /// Until rows of state tables are in memory.
    Reading,
}

impl Blocked {
    /// What the time goes into meanwhile.
    fn slot(self) -> Slot {
        match self {
            // It has rows at hand and waits for its turn.
            Self::Yielded => Slot::Busy,
            Self::Idle => Slot::Idle,
            // Held up by what comes behind the input, both.
            Self::Backpressured | Self::Reading => Slot::Backpressured,
            Self::Aligning => Slot::Aligning,
        }
    }
}

/// One subtask.
pub(crate) struct Task {
    handle: Arc<TaskHandle>,
    head: Head,
    chain: Chain,
    events: UnboundedSender<TaskEvent>,
    share: Share,
    /// A checkpoint was asked for and more was not published since.
    wants_checkpoint: bool,
    /// Behind which attempt the task is frozen.
    frozen: Option<Attempt>,
    /// The last watermark given to the chain by a source.
    sent: Watermark,
    /// Whether a source said last that it is idle, and of which round it has told.
    sent_idle: bool,
    sent_round: Round,
    requested_split: bool,
    end: End,
    passing: Option<Passing>,
    aligning_since: Option<std::time::Instant>,
    /// When splits are shown again.
    splits_due: Option<Instant>,
    steps: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    NotYet,
    Passing,
    Passed,
}

/// A barrier on its way through the chain.
struct Passing {
    barrier: Barrier,
    splits: Option<(OperatorUid, Vec<Split>)>,
    watermark: Option<Watermark>,
    align_us: u64,
    began: std::time::Instant,
}

impl Task {
    pub(crate) fn new(
        handle: Arc<TaskHandle>,
        head: Head,
        chain: Chain,
        events: UnboundedSender<TaskEvent>,
        share: Share,
        watermark: Option<Watermark>,
    ) -> Self {
        Self {
            handle,
            head,
            chain,
            events,
            share,
            wants_checkpoint: false,
            frozen: None,
            sent: watermark.unwrap_or(Watermark::MIN),
            sent_idle: false,
            sent_round: Round::default(),
            requested_split: false,
            end: End::NotYet,
            passing: None,
            aligning_since: None,
            splits_due: None,
            steps: 0,
        }
    }

    /// Steps until the turn is over or nothing can be done. Failures are reported as events;
    /// `false` means that the task must not be stepped again.
    pub(crate) fn run(&mut self, turn: Turn) -> (Blocked, bool) {
        let began = instant();
        let mut steps = 0;
        self.handle.turn_began(began);
        let outcome = loop {
            steps += 1;
            match self.step() {
                Ok(None) if turn.is_over(steps, began) => break Ok(Blocked::Yielded),
                Ok(None) => {}
                Ok(Some(why)) => break Ok(why),
                Err(error) => break Err(error),
            }
        };
        let outcome = outcome.and_then(|why| self.account().map(|()| why));
        self.handle.turn_ended(instant(), outcome.as_ref().ok().map(|why| why.slot()));
        match outcome {
            Ok(why) => (why, true),
            Err(error) => {
                self.report(TaskEvent::Failed {
                    vertex: self.handle.vertex,
                    subtask: self.handle.subtask,
                    error,
                });
                (Blocked::Idle, false)
            }
        }
    }

    /// Takes at most one message and works on it; `None` when there may be more to do at once.
    fn step(&mut self) -> Result<Option<Blocked>, EngineError> {
        self.steps = self.steps.wrapping_add(1);
        if !self.chain.is_idle() {
            match self.chain.drive()? {
                // A batch may have filled the memory; a turn takes many.
                Driven::Done if self.chain.keeps_tables() => self.account()?,
                Driven::Done => {}
                Driven::Full => return Ok(Some(self.hold(Blocked::Backpressured))),
                Driven::Reading => return Ok(Some(self.hold(Blocked::Reading))),
                Driven::BarrierPassed => self.barrier_passed(),
                Driven::EndPassed => self.end_passed(),
            }
            return Ok(None);
        }
        if self.obey()? {
            return Ok(None);
        }
        if self.frozen.is_some() {
            return Ok(Some(self.hold(Blocked::Idle)));
        }
        if self.handle.tick_due.swap(false, Ordering::AcqRel) && !self.is_aligning() {
            self.chain.tick()?;
            if !self.chain.is_idle() {
                return Ok(None);
            }
        }
        if !self.chain.has_room() || !self.chain.is_ready() || self.waits_for_memory() {
            return Ok(Some(self.hold(Blocked::Backpressured)));
        }
        match &mut self.head {
            Head::Source(..) => self.read_source(),
            Head::Inputs(_) => Ok(self.read_inputs()),
        }
    }

    fn is_aligning(&self) -> bool {
        matches!(&self.head, Head::Inputs(inputs) if inputs.is_aligning())
    }

    /// While something holds the task up, silence of its splits means nothing.
    fn hold(&mut self, why: Blocked) -> Blocked {
        if let Head::Source(head, _) = &mut self.head {
            head.held_up(instant());
        }
        why
    }

    /// Deals with one command; `false` when there is none.
    fn obey(&mut self) -> Result<bool, EngineError> {
        let Some(command) = self.handle.commands.lock().pop_front() else { return Ok(false) };
        match command {
            TaskCommand::AddSplits(assignment) => {
                if let Head::Source(head, _) = &mut self.head {
                    self.requested_split = false;
                    head.assign(assignment)?;
                }
            }
            TaskCommand::Trigger(request) => self.trigger(&request),
            TaskCommand::Follow(follow) => {
                self.wants_checkpoint = false;
                self.chain.follow(follow)?;
                // What is published can leave, and no longer excuses what is held.
                self.account()?;
            }
            TaskCommand::Abandon(attempt) => {
                self.wants_checkpoint = false;
                if let Head::Inputs(inputs) = &mut self.head {
                    inputs.abandon(attempt);
                    if !inputs.is_aligning() {
                        self.aligning_since = None;
                    }
                }
                self.thaw(attempt);
            }
            TaskCommand::Resume(attempt) => self.thaw(attempt),
            TaskCommand::Look(looks) => self.look(&looks),
            TaskCommand::Drain => {
                if let Head::Source(head, _) = &mut self.head {
                    head.drain();
                }
            }
        }
        Ok(true)
    }

    fn thaw(&mut self, attempt: Attempt) {
        if self.frozen.is_some_and(|behind| behind <= attempt) {
            self.frozen = None;
        }
    }

    fn trigger(&mut self, request: &TriggerRequest) {
        let Head::Source(head, uid) = &self.head else { return };
        self.share.attempt_began(request.attempt);
        let barrier = Barrier {
            attempt: request.attempt,
            freeze: request.freeze,
            full: request.full,
            last: request.last,
        };
        let splits = Some((uid.clone(), head.positions()));
        let watermark = (self.sent != Watermark::MIN).then_some(self.sent);
        self.pass(barrier, splits, watermark, 0);
    }

    fn pass(
        &mut self,
        barrier: Barrier,
        splits: Option<(OperatorUid, Vec<Split>)>,
        watermark: Option<Watermark>,
        align_us: u64,
    ) {
        self.passing = Some(Passing { barrier, splits, watermark, align_us, began: instant() });
        self.chain.give_barrier(barrier);
    }

    fn barrier_passed(&mut self) {
        let FrozenChain { operators, counts } = self.chain.take_frozen();
        let Some(passing) = self.passing.take() else { return };
        self.share.barrier_passed(passing.barrier.attempt);
        if passing.barrier.freeze {
            self.frozen = Some(passing.barrier.attempt);
        }
        // A source's positions travel beside its (empty) snapshot.
        let source = passing.splits.as_ref().map(|(uid, _)| uid.clone());
        let operators =
            operators.into_iter().filter(|(uid, _)| source.as_ref() != Some(uid)).collect();
        self.report(TaskEvent::Frozen(Box::new(FrozenTask {
            attempt: passing.barrier.attempt,
            vertex: self.handle.vertex,
            subtask: self.handle.subtask,
            operators,
            counts,
            splits: passing.splits,
            watermark: passing.watermark,
            align_us: passing.align_us,
            freeze_us: passing.began.elapsed().as_micros() as u64,
        })));
    }

    fn end_passed(&mut self) {
        self.end = End::Passed;
        self.report(TaskEvent::Finished {
            vertex: self.handle.vertex,
            subtask: self.handle.subtask,
        });
    }

    fn report(&self, event: TaskEvent) {
        // The receiver is gone only when the term has ended, and with it all interest.
        let _ = self.events.send(event);
    }

    fn read_source(&mut self) -> Result<Option<Blocked>, EngineError> {
        let Head::Source(head, _) = &mut self.head else { return Ok(Some(Blocked::Idle)) };
        if self.end != End::NotYet {
            return Ok(Some(Blocked::Idle));
        }
        if head.wants_split() && !self.requested_split {
            self.requested_split = true;
            let returned = head.give_back();
            let (vertex, subtask) = (self.handle.vertex, self.handle.subtask);
            let _ = self.events.send(TaskEvent::SplitRequest { vertex, subtask, returned });
        }
        let read = head.read(instant())?;
        let (status, round) = (head.watermark_status(), head.round());
        let news = round != self.sent_round;
        self.sent_round = round;
        // Given in this order to the chain, taken out in this order. Whoever was idle says first
        // that it no longer is, even before it knows where it stands: others must not go past rows
        // that it is about to read.
        if matches!(status, WatermarkStatus::Active(_)) && self.sent_idle {
            self.sent_idle = false;
            self.chain.give_active();
        }
        if news {
            self.chain.give_round(self.handle.vertex, round);
        }
        if let Read::Rows(batch) = read {
            self.chain.give_batch(0, batch);
        }
        let (WatermarkStatus::Active(mark) | WatermarkStatus::Idle(mark)) = status;
        if mark > self.sent {
            self.sent = mark;
            self.chain.give_watermark(mark);
        }
        if matches!(status, WatermarkStatus::Idle(_)) && !self.sent_idle {
            self.sent_idle = true;
            self.chain.give_idle();
        }
        if head.has_ended() {
            self.end = End::Passing;
            if self.sent < Watermark::MAX {
                self.sent = Watermark::MAX;
                self.chain.give_watermark(Watermark::MAX);
            }
            self.chain.give_end();
        }
        let nothing = self.chain.is_idle() && head.is_waiting();
        Ok(nothing.then_some(Blocked::Idle))
    }

    fn read_inputs(&mut self) -> Option<Blocked> {
        let Head::Inputs(inputs) = &mut self.head else { return Some(Blocked::Idle) };
        let event = inputs.next();
        if inputs.is_aligning() {
            self.aligning_since.get_or_insert_with(instant);
        }
        match event {
            None if inputs.is_aligning() => return Some(Blocked::Aligning),
            None => return Some(Blocked::Idle),
            Some(Event::Batch(port, batch)) => self.chain.give_batch(port, batch),
            Some(Event::Watermark(mark)) => self.chain.give_watermark(mark),
            Some(Event::Idle) => self.chain.give_idle(),
            Some(Event::Active) => self.chain.give_active(),
            Some(Event::Round(source, round)) => self.chain.give_round(source, round),
            Some(Event::Aligned(barrier)) => {
                let mark = inputs.watermark();
                let watermark = (mark != Watermark::MIN).then_some(mark);
                let align =
                    self.aligning_since.take().map_or(0, |s| s.elapsed().as_micros() as u64);
                self.pass(barrier, None, watermark, align);
            }
            Some(Event::End) => {
                self.end = End::Passing;
                self.chain.give_end();
            }
        }
        None
    }
}

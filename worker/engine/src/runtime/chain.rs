//! A chain of operators, driven by a stack of work.
//!
//! Whatever an operator gives out is dealt with before anything that came after it, so order
//! holds without recursion. The stack makes a chain resumable at any point: when its output has
//! no room, driving stops and goes on later exactly there.
//!
//! Control never overtakes data: idleness, a barrier or the end passes an operator only once that
//! operator has let go of everything it held back for the next one ([`Operator::flush`]), however
//! many steps that takes. No operator can get that wrong, since it is never asked.

mod look;
mod tables;

use std::sync::Arc;

use weir_protocol::{Counter, OperatorCounts, OperatorUid, VertexId};

use super::partition::ResultPartition;
use super::reading::{Reading, SegmentSource};
use crate::message::{Barrier, Round};
use crate::operator::{Context, Operator, Output, OutputTag, Progress, Snapshot, SnapshotRequest};
use crate::rows::Tap;
use crate::{Batch, EngineError, Message, Watermark};

/// Rows of a table that are looked at for expiry between two ticks.
const SWEPT_ROWS: usize = 16_384;

/// One operator of a chain with its context.
pub(crate) struct Link {
    pub(crate) operator: Box<dyn Operator>,
    pub(crate) cx: Context,
}

/// The operators of one subtask and the partitions that they feed.
pub(crate) struct Chain {
    links: Vec<Link>,
    partitions: Vec<ResultPartition>,
    stack: Vec<Work>,
    out: Output,
    frozen: FrozenChain,
    segments: Arc<dyn SegmentSource>,
    keeps_tables: bool,
    /// How many bytes of stored rows are read at once.
    read_bytes: usize,
    /// What the work on top of the stack waits for.
    reading: Option<Reading>,
    /// Bytes of rows that segments hold and that could not leave memory all the same: not before more
    /// is published.
    stuck: usize,
    /// Of operators at whose rows somebody looks.
    taps: Vec<Tap>,
}

/// What a barrier leaves behind on its way through a chain: per operator, in order, its state
/// and what it had counted.
#[derive(Default)]
pub(crate) struct FrozenChain {
    pub(crate) operators: Vec<(OperatorUid, Snapshot)>,
    pub(crate) counts: Vec<(OperatorUid, OperatorCounts)>,
}

/// Something to do, for the operator at a position; one past the last means the chain's end.
enum Work {
    Batch { at: usize, port: usize, batch: Batch },
    Control { at: usize, control: Control },
    Resume { at: usize, then: Then },
}

/// What travels through the chain beside rows; passes an operator once that is done with it.
#[derive(Clone, Copy)]
enum Control {
    Watermark(Watermark),
    Idle,
    Active,
    Round(VertexId, Round),
    Barrier(Barrier),
    End,
}

impl Control {
    /// Whether it says how time goes on, while rows may still come.
    fn is_of_time(self) -> bool {
        match self {
            Self::Watermark(mark) => mark != Watermark::MAX,
            Self::Idle | Self::Active => true,
            Self::Round(..) | Self::Barrier(_) | Self::End => false,
        }
    }
}

/// What remains once an operator has nothing more to give for a message.
#[derive(Clone, Copy)]
enum Then {
    Nothing,
    Pass(Control),
}

/// Why driving stopped.
#[derive(Debug)]
pub(crate) enum Driven {
    /// Nothing is left to do.
    Done,
    /// The output has no room, or an operator waits for something outside; go on when woken.
    Full,
    /// Rows of state tables are being read; go on when woken.
    Reading,
    /// The barrier has passed every operator; [`Chain::take_frozen`] has their snapshots.
    BarrierPassed,
    /// `End` has passed every operator.
    EndPassed,
}

impl Chain {
    /// A chain of `links` that feed `partitions`.
    pub(crate) fn new(
        mut links: Vec<Link>,
        partitions: Vec<ResultPartition>,
        segments: Arc<dyn SegmentSource>,
        read_bytes: usize,
    ) -> Self {
        let keeps_tables = links.iter_mut().any(|link| !link.operator.tables().is_empty());
        Self {
            links,
            keeps_tables,
            partitions,
            segments,
            read_bytes,
            reading: None,
            stuck: 0,
            taps: Vec::new(),
            stack: Vec::new(),
            out: Output::default(),
            frozen: FrozenChain::default(),
        }
    }

    /// Whether nothing is left to do from what was given so far.
    pub(crate) fn is_idle(&self) -> bool {
        self.stack.is_empty()
    }

    /// Whether the partitions can take one step's output.
    pub(crate) fn has_room(&self) -> bool {
        self.partitions.iter().all(ResultPartition::has_room)
    }

    /// Whether every operator can take a message.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.links.iter_mut().all(|l| l.operator.is_ready(&mut l.cx))
    }

    /// Rows for input `port` of the first operator.
    pub(crate) fn give_batch(&mut self, port: usize, batch: Batch) {
        self.give(Work::Batch { at: 0, port, batch });
    }

    /// A watermark, which each operator deals with before the next one sees it.
    pub(crate) fn give_watermark(&mut self, mark: Watermark) {
        self.give(Work::Control { at: 0, control: Control::Watermark(mark) });
    }

    /// Idleness: behind it others' watermarks complete windows without this task, so whatever
    /// operators hold back leaves in front of it.
    pub(crate) fn give_idle(&mut self) {
        self.give(Work::Control { at: 0, control: Control::Idle });
    }

    /// The end of idleness, which only travels through.
    pub(crate) fn give_active(&mut self) {
        self.give(Work::Control { at: 0, control: Control::Active });
    }

    /// A round of found splits, which only travels through.
    pub(crate) fn give_round(&mut self, source: VertexId, round: Round) {
        self.give(Work::Control { at: 0, control: Control::Round(source, round) });
    }

    /// A barrier, behind which each operator freezes its state.
    pub(crate) fn give_barrier(&mut self, barrier: Barrier) {
        self.frozen = FrozenChain::default();
        self.give(Work::Control { at: 0, control: Control::Barrier(barrier) });
    }

    /// The end: operators have seen `Watermark::MAX`.
    pub(crate) fn give_end(&mut self) {
        self.give(Work::Control { at: 0, control: Control::End });
    }

    /// What is given waits below everything that came before it.
    fn give(&mut self, work: Work) {
        self.stack.insert(0, work);
    }

    /// What the barrier that passed last has left behind.
    pub(crate) fn take_frozen(&mut self) -> FrozenChain {
        std::mem::take(&mut self.frozen)
    }

    /// Works until nothing is left, the output is full, or something has passed through.
    ///
    /// # Errors
    /// The first error of an operator, with its name in front.
    pub(crate) fn drive(&mut self) -> Result<Driven, EngineError> {
        loop {
            if !self.has_room() {
                return Ok(if self.stack.is_empty() { Driven::Done } else { Driven::Full });
            }
            if !self.has_rows()? {
                return Ok(Driven::Reading);
            }
            if let Some(Work::Resume { at, .. }) = self.stack.last()
                && let Some(Link { operator, cx }) = self.links.get_mut(*at)
                && !operator.can_resume(cx)
            {
                return Ok(Driven::Full);
            }
            let Some(work) = self.stack.pop() else { return Ok(Driven::Done) };
            match work {
                Work::Batch { at, port, batch } => {
                    if !self.taps.is_empty() && self.is_end(at) {
                        self.tap(at, &batch);
                    }
                    let Some(link) = self.links.get_mut(at) else { continue };
                    link.cx.metrics.add(Counter::RowsIn, batch.num_rows());
                    if let (Some(load), Some(hashes)) = (link.cx.metrics.groups(), batch.hashes()) {
                        load.count(hashes.values());
                    }
                    let progress = link.operator.on_batch(&mut link.cx, port, batch, &mut self.out);
                    self.after(at, progress, Then::Nothing)?;
                }
                Work::Resume { at, then } => {
                    let Some(link) = self.links.get_mut(at) else { continue };
                    let progress = link.operator.resume(&mut link.cx, &mut self.out);
                    self.after(at, progress, then)?;
                }
                Work::Control { at, control } => {
                    let Some(link) = self.links.get_mut(at) else {
                        match control {
                            Control::Barrier(_) => return Ok(Driven::BarrierPassed),
                            Control::End => return Ok(Driven::EndPassed),
                            Control::Watermark(_)
                            | Control::Idle
                            | Control::Active
                            | Control::Round(..) => continue,
                        }
                    };
                    let Link { operator, cx } = link;
                    if operator.keeps_own_time() && control.is_of_time() {
                        continue;
                    }
                    let progress = match control {
                        Control::Watermark(mark) => operator.on_watermark(cx, mark, &mut self.out),
                        Control::Idle | Control::Barrier(_) | Control::End => {
                            operator.flush(cx, &mut self.out)
                        }
                        Control::Active | Control::Round(..) => Ok(Progress::Done),
                    };
                    self.after(at, progress, Then::Pass(control))?;
                }
            }
        }
    }

    /// Passes on what an operator gave, and then what its message asks for.
    fn after(
        &mut self,
        at: usize,
        progress: Result<Progress, EngineError>,
        then: Then,
    ) -> Result<(), EngineError> {
        let progress = progress.map_err(|e| self.named(at, e))?;
        let given = self.out.take();
        let mut onward = Vec::with_capacity(given.len());
        for (tag, batch) in given {
            if tag == OutputTag::Main {
                self.links[at].cx.metrics.add(Counter::RowsOut, batch.num_rows());
                if !self.taps.is_empty() && !self.is_end(at) {
                    self.tap(at, &batch);
                }
            }
            let chained = tag == OutputTag::Main && at + 1 < self.links.len();
            for partition in
                self.partitions.iter_mut().filter(|p| p.operator == at && p.output == tag)
            {
                partition.send(batch.clone())?;
            }
            if chained {
                onward.push(Work::Batch { at: at + 1, port: 0, batch });
            }
        }
        // What comes later in the stream goes below what was given just now.
        match (progress, then) {
            (Progress::More, then) => self.stack.push(Work::Resume { at, then }),
            (Progress::Done, Then::Nothing) => {}
            (Progress::Done, Then::Pass(control)) => {
                let control = match control {
                    Control::Watermark(mark) => {
                        Control::Watermark(self.links[at].operator.outgoing(mark))
                    }
                    control => control,
                };
                if let Control::Barrier(barrier) = control {
                    self.freeze(at, barrier)?;
                }
                self.send_control(at, control);
                self.stack.push(Work::Control { at: at + 1, control });
            }
        }
        self.stack.extend(onward.into_iter().rev());
        Ok(())
    }

    /// Takes an operator's state at a barrier.
    fn freeze(&mut self, at: usize, barrier: Barrier) -> Result<(), EngineError> {
        let request =
            SnapshotRequest { attempt: barrier.attempt, full: barrier.full, last: barrier.last };
        let link = &mut self.links[at];
        let snapshot = link.operator.on_barrier(&mut link.cx, request);
        let mut snapshot = snapshot.map_err(|e| self.named(at, e))?;
        let link = &mut self.links[at];
        let age = link.cx.age(barrier.attempt);
        let changed = link.operator.tables().into_iter().filter(|table| table.is_dirty());
        snapshot.tables.extend(changed.map(|table| table.freeze(age)));
        let Context { uid, metrics, .. } = &self.links[at].cx;
        self.frozen.operators.push((uid.clone(), snapshot));
        self.frozen.counts.push((uid.clone(), metrics.counts().known_at_cut()));
        Ok(())
    }

    /// Sends control to the partitions that an operator feeds.
    fn send_control(&self, at: usize, control: Control) {
        let message = match control {
            Control::Watermark(mark) => Message::Watermark(mark),
            Control::Idle => Message::Idle,
            Control::Active => Message::Active,
            Control::Round(source, round) => Message::Round(source, round),
            Control::Barrier(barrier) => Message::Barrier(barrier),
            Control::End => Message::End,
        };
        for partition in self.partitions.iter().filter(|p| p.operator == at) {
            partition.send_all(&message);
        }
    }

    fn named(&self, at: usize, error: EngineError) -> EngineError {
        match self.links.get(at) {
            Some(link) => error.at(&link.cx.name),
            None => error,
        }
    }

    /// Gives every operator its tick; what they give out travels on as usual.
    ///
    /// # Errors
    /// The first error of an operator.
    pub(crate) fn tick(&mut self) -> Result<(), EngineError> {
        debug_assert!(self.stack.is_empty(), "ticks come between messages");
        // In chain order: what a later operator gives now lands above on the stack and leaves
        // first, so that rows which only now reach that operator do not overtake it.
        for at in 0..self.links.len() {
            let link = &mut self.links[at];
            for table in link.operator.tables() {
                table.sweep(SWEPT_ROWS);
            }
            let ticked = link.operator.on_tick(&mut link.cx, &mut self.out);
            let link = &mut self.links[at];
            let own = link.operator.own_watermark(&link.cx);
            let then = own.map_or(Then::Nothing, |mark| Then::Pass(Control::Watermark(mark)));
            self.after(at, ticked.map(|()| Progress::Done), then)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

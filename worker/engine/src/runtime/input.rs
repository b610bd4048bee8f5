//! The receiving side of a task: merges watermarks, aligns barriers.

use std::sync::Arc;

use super::channel::Channel;
use crate::message::Barrier;
use crate::{Batch, Message, Watermark};
use weir_protocol::Attempt;

/// What a task is to do next.
#[derive(Debug)]
pub(crate) enum Event {
    /// Rows for the first operator.
    Batch(usize, Batch),
    /// The merged watermark has advanced.
    Watermark(Watermark),
    /// Every input is idle.
    Idle,
    /// The barrier has arrived on every input.
    Aligned(Barrier),
    /// Nothing will follow on any input, except barriers.
    End,
}

/// All input channels of a task.
pub(crate) struct Inputs {
    inputs: Vec<Input>,
    next: usize,
    merged: Watermark,
    all_idle: bool,
    aligning: Option<Barrier>,
    /// Barriers up to this attempt are of no interest any more.
    abandoned: Attempt,
    ended: bool,
}

struct Input {
    channel: Arc<Channel>,
    /// Which input of the first operator its rows are for.
    port: usize,
    watermark: Watermark,
    idle: bool,
    ended: bool,
    /// Has delivered the barrier that others still owe.
    blocked: bool,
}

impl Inputs {
    /// The inputs of a fresh task; `watermark` is the merged watermark at the restored cut.
    ///
    /// A restored watermark holds for every input: none of them can send older rows than the
    /// cut promised.
    pub(crate) fn new(channels: Vec<(Arc<Channel>, usize)>, watermark: Option<Watermark>) -> Self {
        let merged = watermark.unwrap_or(Watermark::MIN);
        let inputs = channels
            .into_iter()
            .map(|(channel, port)| Input {
                channel,
                port,
                watermark: merged,
                idle: false,
                ended: false,
                blocked: false,
            })
            .collect();
        Self {
            inputs,
            next: 0,
            merged,
            all_idle: false,
            aligning: None,
            abandoned: Attempt(0),
            ended: false,
        }
    }

    /// The merged watermark.
    pub(crate) fn watermark(&self) -> Watermark {
        self.merged
    }

    /// Whether some inputs wait for a barrier of others.
    pub(crate) fn is_aligning(&self) -> bool {
        self.aligning.is_some()
    }

    /// The attempt failed: whatever waits for it is read again.
    pub(crate) fn abandon(&mut self, attempt: Attempt) {
        self.abandoned = self.abandoned.max(attempt);
        if self.aligning.is_some_and(|b| b.attempt <= attempt) {
            self.release();
        }
    }

    fn release(&mut self) {
        self.aligning = None;
        for input in &mut self.inputs {
            input.blocked = false;
        }
    }

    /// Takes messages until one means something for the task; `None` when there is nothing to
    /// read. Inputs take turns.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let n = self.inputs.len();
        let mut looked = 0;
        while looked < n {
            let position = self.next % n;
            let input = &self.inputs[position];
            let message = if input.blocked { None } else { input.channel.pop() };
            let Some(message) = message else {
                self.next = position + 1;
                looked += 1;
                continue;
            };
            // A busy channel gives way after each message that carries rows.
            if matches!(message, Message::Data(_)) {
                self.next = position + 1;
            }
            looked = 0;
            if let Some(event) = self.on_message(position, message) {
                return Some(event);
            }
        }
        None
    }

    fn on_message(&mut self, position: usize, message: Message) -> Option<Event> {
        let input = &mut self.inputs[position];
        match message {
            Message::Data(batch) => {
                input.idle = false;
                self.all_idle = false;
                Some(Event::Batch(input.port, batch))
            }
            Message::Watermark(mark) => {
                input.idle = false;
                input.watermark = input.watermark.max(mark);
                self.all_idle = false;
                self.merge()
            }
            Message::Idle => {
                input.idle = true;
                self.merge()
            }
            Message::Barrier(barrier) => self.on_barrier(position, barrier),
            Message::End => {
                input.ended = true;
                input.watermark = Watermark::MAX;
                if self.inputs.iter().all(|i| i.ended) && !self.ended {
                    self.ended = true;
                    return Some(Event::End);
                }
                self.merge()
            }
        }
    }

    fn merge(&mut self) -> Option<Event> {
        let active = self.inputs.iter().filter(|i| !i.idle);
        let candidate = match active.map(|i| i.watermark).min() {
            Some(least) => least,
            None => {
                // All idle: nobody holds back what the furthest input has promised; first
                // that watermark, at the next call the idleness itself.
                let furthest = self.inputs.iter().map(|i| i.watermark).max()?;
                if furthest <= self.merged {
                    if self.all_idle {
                        return None;
                    }
                    self.all_idle = true;
                    return Some(Event::Idle);
                }
                furthest
            }
        };
        if candidate > self.merged {
            self.merged = candidate;
            return Some(Event::Watermark(candidate));
        }
        None
    }

    /// After a watermark was taken: idleness that it stood in front of.
    pub(crate) fn pending_idle(&mut self) -> Option<Event> {
        if !self.all_idle && !self.inputs.is_empty() && self.inputs.iter().all(|i| i.idle) {
            self.all_idle = true;
            return Some(Event::Idle);
        }
        None
    }

    fn on_barrier(&mut self, position: usize, barrier: Barrier) -> Option<Event> {
        if barrier.attempt <= self.abandoned {
            return None;
        }
        match self.aligning {
            // A later attempt means that the earlier one failed, and that we have not heard yet.
            Some(current) if current.attempt < barrier.attempt => {
                self.abandoned = current.attempt;
                self.release();
            }
            Some(current) if current.attempt > barrier.attempt => return None,
            _ => {}
        }
        self.aligning = Some(barrier);
        self.inputs[position].blocked = true;
        if self.inputs.iter().all(|i| i.blocked) {
            self.release();
            self.abandoned = barrier.attempt;
            return Some(Event::Aligned(barrier));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(n: usize) -> (Vec<Arc<Channel>>, Inputs) {
        let channels: Vec<_> = (0..n).map(|_| Arc::new(Channel::new(1 << 20))).collect();
        let inputs = Inputs::new(channels.iter().map(|c| (Arc::clone(c), 0)).collect(), None);
        (channels, inputs)
    }

    fn barrier(attempt: u64) -> Message {
        Message::Barrier(Barrier {
            attempt: Attempt(attempt),
            freeze: false,
            full: false,
            last: false,
        })
    }

    #[test]
    fn the_slowest_active_input_holds_the_watermark() {
        let (c, mut inputs) = setup(2);
        c[0].push(Message::Watermark(Watermark(10)));
        assert!(inputs.next().is_none());
        c[1].push(Message::Watermark(Watermark(4)));
        assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(4)))));
        c[1].push(Message::Idle);
        assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(10)))));
    }

    #[test]
    fn all_idle_sends_the_furthest_watermark_and_then_idle_once() {
        let (c, mut inputs) = setup(2);
        c[0].push(Message::Watermark(Watermark(10)));
        c[0].push(Message::Idle);
        assert!(inputs.next().is_none());
        c[1].push(Message::Idle);
        assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(10)))));
        assert!(matches!(inputs.pending_idle(), Some(Event::Idle)));
        assert!(inputs.pending_idle().is_none());
        assert!(inputs.next().is_none());
    }

    #[test]
    fn an_input_that_delivered_its_barrier_is_not_read_until_all_have() {
        let (c, mut inputs) = setup(2);
        c[0].push(barrier(1));
        c[0].push(Message::Watermark(Watermark(7)));
        c[1].push(Message::Watermark(Watermark(3)));
        assert!(inputs.next().is_none());
        assert!(inputs.is_aligning());
        assert_eq!(inputs.watermark(), Watermark::MIN);
        c[1].push(barrier(1));
        assert!(matches!(inputs.next(), Some(Event::Aligned(b)) if b.attempt == Attempt(1)));
        assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(3)))));
    }

    #[test]
    fn an_abandoned_attempt_releases_its_inputs_and_its_late_barriers_are_ignored() {
        let (c, mut inputs) = setup(2);
        c[0].push(barrier(1));
        assert!(inputs.next().is_none());
        inputs.abandon(Attempt(1));
        c[0].push(barrier(2));
        c[1].push(barrier(1));
        c[1].push(barrier(2));
        assert!(matches!(inputs.next(), Some(Event::Aligned(b)) if b.attempt == Attempt(2)));
    }

    #[test]
    fn barriers_pass_ended_inputs() {
        let (c, mut inputs) = setup(2);
        c[0].push(Message::End);
        c[1].push(Message::End);
        assert!(matches!(inputs.next(), Some(Event::End)));
        c[0].push(barrier(3));
        c[1].push(barrier(3));
        assert!(matches!(inputs.next(), Some(Event::Aligned(_))));
    }
}

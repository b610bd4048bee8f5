//! The receiving side of a task: merges watermarks, aligns barriers.
//!
//! What idleness means for the merged watermark (PROTOCOL section 7):
//!
//! - Inputs that have ended hold nothing back, and promise nothing for the others either.
//! - An input that is idle holds nothing back, provided that its sender's peers cannot be ahead of
//!   it in what they know. Senders that all hear the same (they stand behind an exchange) become
//!   active together, only not at the same moment: they are idle once all of them are. Readers of
//!   a source become active each for itself, when splits were found; idleness counts until a peer
//!   shows that it has heard of a later [`Round`].
//! - All idle: the furthest watermark is in force, and then the idleness is passed on.
//! - What waits to be read on an idle input may be its first rows: it holds its peers until it is
//!   read, so that none of them overtakes what has come before, as behind an aligned barrier.
//!
//! Rows say nothing about idleness: they reach some subtasks, what is said reaches all.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::Channel;
use crate::message::{Barrier, Round};
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
    Idle(Round),
    /// An input is not idle, or knows of a later round: those behind must hear it.
    Active(Round),
    /// The barrier has arrived on every input.
    Aligned(Barrier),
    /// Nothing will follow on any input, except barriers.
    End,
}

/// One input channel of a task.
pub(crate) struct Lane {
    pub(crate) channel: Arc<Channel>,
    /// Which input of the first operator its rows are for.
    pub(crate) port: usize,
    /// Which edge it belongs to: its senders are peers.
    pub(crate) edge: usize,
    /// Whether all of the peers hear the same.
    pub(crate) alike: bool,
}

/// All input channels of a task.
pub(crate) struct Inputs {
    inputs: Vec<Input>,
    peers: Vec<Peers>,
    next: usize,
    merged: Watermark,
    /// What was passed on last about idleness.
    told: Told,
    /// What the last message means, besides what was answered already.
    events: VecDeque<Event>,
    /// What was taken last waited on an idle input, and may have held the others back.
    held: bool,
    aligning: Option<Barrier>,
    /// Barriers up to this attempt are of no interest any more.
    abandoned: Attempt,
    ended: bool,
}

struct Input {
    channel: Arc<Channel>,
    port: usize,
    /// Position among the peers.
    peers: usize,
    watermark: Watermark,
    idle: bool,
    round: Round,
    ended: bool,
    /// Has delivered the barrier that others still owe.
    blocked: bool,
}

/// The senders of one edge.
struct Peers {
    edge: usize,
    alike: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Told {
    idle: bool,
    round: Round,
}

impl Inputs {
    /// The inputs of a fresh task; `watermark` is the merged watermark at the restored cut.
    ///
    /// A restored watermark holds for every input: none of them can send older rows than the
    /// cut promised.
    pub(crate) fn new(lanes: Vec<Lane>, watermark: Option<Watermark>) -> Self {
        let merged = watermark.unwrap_or(Watermark::MIN);
        let mut peers: Vec<Peers> = Vec::new();
        let inputs = lanes
            .into_iter()
            .map(|Lane { channel, port, edge, alike }| {
                let known = peers.iter().position(|p| p.edge == edge);
                Input {
                    channel,
                    port,
                    peers: known.unwrap_or_else(|| {
                        peers.push(Peers { edge, alike });
                        peers.len() - 1
                    }),
                    watermark: merged,
                    idle: false,
                    round: Round::default(),
                    ended: false,
                    blocked: false,
                }
            })
            .collect();
        Self {
            inputs,
            peers,
            next: 0,
            merged,
            told: Told { idle: false, round: Round::default() },
            events: VecDeque::new(),
            held: false,
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
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            // Only now: what is stored at a barrier is the watermark in front of it.
            if std::mem::take(&mut self.held) {
                self.merge();
                continue;
            }
            if looked == n {
                return None;
            }
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
            self.held |= input.idle;
            self.on_message(position, message);
        }
    }

    fn on_message(&mut self, position: usize, message: Message) {
        let input = &mut self.inputs[position];
        match message {
            Message::Data(batch) => self.events.push_back(Event::Batch(input.port, batch)),
            Message::Watermark(mark) => {
                input.watermark = input.watermark.max(mark);
                self.merge();
            }
            Message::Idle(round) => {
                input.idle = true;
                input.round = input.round.max(round);
                self.merge();
            }
            Message::Active(round) => {
                input.idle = false;
                input.round = input.round.max(round);
                self.merge();
            }
            Message::Barrier(barrier) => self.on_barrier(position, barrier),
            Message::End => {
                input.ended = true;
                input.watermark = Watermark::MAX;
                self.merge();
                if self.inputs.iter().all(|i| i.ended) && !self.ended {
                    self.ended = true;
                    self.events.push_back(Event::End);
                }
            }
        }
    }

    /// Finds where the watermark stands and whether all is idle, and passes on what is new.
    fn merge(&mut self) {
        // Behind the end of time nothing comes but the end.
        let open = || self.inputs.iter().filter(|i| i.watermark < Watermark::MAX);
        let idle: Vec<bool> = (0..self.peers.len()).map(|at| self.all_idle(at)).collect();
        let latest: Vec<Round> = (0..self.peers.len()).map(|at| self.latest(at)).collect();
        let counts_as_idle = |input: &Input| {
            let at = input.peers;
            if self.peers[at].alike { idle[at] } else { input.idle && input.round >= latest[at] }
        };
        // An empty channel says nothing of what is under way to it: that a row is counted is then
        // a matter of chance, as for every row that comes after its partition was called idle.
        let holds = |input: &&Input| !counts_as_idle(input) || !input.channel.is_empty();
        let least = open().filter(holds).map(|i| i.watermark).min();
        let furthest = open().map(|i| i.watermark).max();
        // Without open inputs nothing is to come any more.
        let candidate = least.or(furthest).unwrap_or(Watermark::MAX);
        // Grows whenever any input's does.
        let round = Round(self.inputs.iter().map(|i| i.round.0).sum());
        // Idleness follows the furthest watermark. Where it was told already, something that
        // waits does not end it: it may be no more than a barrier.
        let idle = furthest.is_some() && open().all(counts_as_idle);
        let told = Told { idle: idle && (least.is_none() || self.told.idle), round };
        let news = told != std::mem::replace(&mut self.told, told);
        if news && !told.idle {
            self.events.push_back(Event::Active(round));
        }
        if candidate > self.merged {
            self.merged = candidate;
            self.events.push_back(Event::Watermark(candidate));
        }
        if news && told.idle {
            self.events.push_back(Event::Idle(round));
        }
    }

    /// Whether all of these peers are idle, but for those that have ended.
    fn all_idle(&self, peers: usize) -> bool {
        self.inputs.iter().filter(|i| i.peers == peers).all(|i| i.idle || i.ended)
    }

    /// The last round that any of these peers has heard of.
    fn latest(&self, peers: usize) -> Round {
        let rounds = self.inputs.iter().filter(|i| i.peers == peers).map(|i| i.round);
        rounds.max().unwrap_or_default()
    }

    fn on_barrier(&mut self, position: usize, barrier: Barrier) {
        if barrier.attempt <= self.abandoned {
            return;
        }
        match self.aligning {
            // A later attempt means that the earlier one failed, and that we have not heard yet.
            Some(current) if current.attempt < barrier.attempt => {
                self.abandoned = current.attempt;
                self.release();
            }
            Some(current) if current.attempt > barrier.attempt => return,
            _ => {}
        }
        self.aligning = Some(barrier);
        self.inputs[position].blocked = true;
        if self.inputs.iter().all(|i| i.blocked) {
            self.release();
            self.abandoned = barrier.attempt;
            self.events.push_back(Event::Aligned(barrier));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(n: usize) -> (Vec<Arc<Channel>>, Inputs) {
        let channels: Vec<_> = (0..n).map(|_| Arc::new(Channel::new(1 << 20))).collect();
        let inputs = Inputs::new(lanes(&channels, false), None);
        (channels, inputs)
    }

    /// Channels of one edge.
    fn lanes(channels: &[Arc<Channel>], alike: bool) -> Vec<Lane> {
        let lane = |channel| Lane { channel: Arc::clone(channel), port: 0, edge: 0, alike };
        channels.iter().map(lane).collect()
    }

    /// What a task would hear until nothing is left to read.
    fn heard(inputs: &mut Inputs) -> Vec<String> {
        let shown = |event| match event {
            Event::Batch(..) => "rows".to_owned(),
            Event::Watermark(mark) => format!("{}", mark.0),
            Event::Idle(round) => format!("idle in {}", round.0),
            Event::Active(round) => format!("active in {}", round.0),
            Event::Aligned(_) => "barrier".to_owned(),
            Event::End => "end".to_owned(),
        };
        std::iter::from_fn(|| inputs.next()).map(shown).collect()
    }

    const fn idle(round: u64) -> Message {
        Message::Idle(Round(round))
    }

    const fn active(round: u64) -> Message {
        Message::Active(Round(round))
    }

    const fn mark(ms: i64) -> Message {
        Message::Watermark(Watermark(ms))
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
        c[1].push(idle(0));
        assert!(matches!(inputs.next(), Some(Event::Watermark(Watermark(10)))));
    }

    #[test]
    fn all_idle_sends_the_furthest_watermark_and_then_idle_once() {
        let (c, mut inputs) = setup(2);
        c[0].push(mark(10));
        c[0].push(idle(0));
        assert!(inputs.next().is_none());
        c[1].push(idle(0));
        assert_eq!(heard(&mut inputs), ["10", "idle in 0"]);
        c[1].push(idle(0));
        assert!(inputs.next().is_none());
    }

    #[test]
    fn the_end_of_idleness_is_passed_on_even_when_the_watermark_stays() {
        let (c, mut inputs) = setup(2);
        for channel in &c {
            channel.push(mark(10));
            channel.push(idle(0));
        }
        assert_eq!(heard(&mut inputs), ["10", "idle in 0"]);
        c[0].push(active(0));
        assert_eq!(heard(&mut inputs), ["active in 0"]);
        c[0].push(idle(0));
        assert_eq!(heard(&mut inputs), ["idle in 0"]);
    }

    /// A burst of files: the quick reader must not close windows that the slow one, which has not
    /// yet heard of its file, is about to fill.
    #[test]
    fn a_reader_that_was_idle_holds_its_peers_until_it_has_heard_what_they_have() {
        let (c, mut inputs) = setup(2);
        for channel in &c {
            channel.push(mark(10));
            channel.push(idle(1));
        }
        assert_eq!(heard(&mut inputs), ["active in 1", "10", "idle in 2"]);
        c[0].push(active(2));
        c[0].push(mark(90));
        assert_eq!(heard(&mut inputs), ["active in 3"]);
        c[1].push(active(2));
        c[1].push(mark(40));
        assert_eq!(heard(&mut inputs), ["active in 4", "40"]);
        c[1].push(idle(2));
        assert_eq!(heard(&mut inputs), ["90"]);
    }

    #[test]
    fn a_reader_that_got_nothing_of_a_round_holds_nothing_once_it_has_heard_of_it() {
        let (c, mut inputs) = setup(2);
        c[1].push(idle(1));
        c[0].push(active(2));
        c[0].push(mark(90));
        assert_eq!(heard(&mut inputs), ["active in 2", "active in 3"]);
        c[1].push(idle(2));
        assert_eq!(heard(&mut inputs), ["active in 4", "90"]);
    }

    /// Behind an exchange all subtasks hear the same, but one may be slower to work on it.
    #[test]
    fn a_subtask_that_is_idle_beside_an_active_peer_holds_it_until_both_are_active() {
        let channels: Vec<_> = (0..2).map(|_| Arc::new(Channel::new(1 << 20))).collect();
        let mut inputs = Inputs::new(lanes(&channels, true), None);
        for channel in &channels {
            channel.push(mark(10));
            channel.push(idle(0));
        }
        assert_eq!(heard(&mut inputs), ["10", "idle in 0"]);
        channels[0].push(active(0));
        channels[0].push(mark(90));
        assert_eq!(heard(&mut inputs), ["active in 0"]);
        channels[1].push(active(0));
        channels[1].push(mark(90));
        assert_eq!(heard(&mut inputs), ["90"]);
    }

    /// Which is why each subtask's own watermark is stored: the same messages in front of the same
    /// barrier, in another order, and one subtask has passed a watermark that the other has not.
    #[test]
    fn where_inputs_are_idle_subtasks_may_differ_at_the_same_barrier() {
        let stands_at = |order: [usize; 2]| {
            let (c, mut inputs) = setup(2);
            for from in order {
                let said: &[Message] = match from {
                    0 => &[mark(90)],
                    _ => &[mark(10), idle(0), active(0)],
                };
                for message in said {
                    c[from].push(message.clone());
                    heard(&mut inputs);
                }
            }
            for channel in &c {
                channel.push(barrier(1));
            }
            assert_eq!(heard(&mut inputs), ["barrier"]);
            inputs.watermark()
        };
        assert_eq!(stands_at([0, 1]), Watermark(90));
        assert_eq!(stands_at([1, 0]), Watermark(10));
    }

    #[test]
    fn the_end_of_time_on_one_input_does_not_pass_another_that_is_idle_already() {
        let (c, mut inputs) = setup(2);
        c[1].push(mark(10));
        c[1].push(idle(0));
        assert!(heard(&mut inputs).is_empty());
        c[0].push(Message::Watermark(Watermark::MAX));
        c[0].push(Message::End);
        assert_eq!(heard(&mut inputs), ["10", "idle in 0"]);
        assert_eq!(inputs.watermark(), Watermark(10));
    }

    /// An aligned barrier holds what came behind it. When all have come, the rows of the one wait as
    /// those of the other do, and neither may close windows that the other fills.
    #[test]
    fn what_waits_on_an_idle_input_behind_a_barrier_is_not_passed_by_its_peers() {
        for edge in [0, 1] {
            let channels: Vec<_> = (0..2).map(|_| Arc::new(Channel::new(1 << 20))).collect();
            let mut lanes = lanes(&channels, false);
            lanes[1].edge = edge;
            let mut inputs = Inputs::new(lanes, None);
            for channel in &channels {
                channel.push(mark(10));
                channel.push(idle(0));
            }
            assert_eq!(heard(&mut inputs), ["10", "idle in 0"]);
            for message in [barrier(1), active(0), mark(40)] {
                channels[1].push(message);
            }
            assert!(heard(&mut inputs).is_empty());
            for message in [barrier(1), active(0), mark(90)] {
                channels[0].push(message);
            }
            assert_eq!(heard(&mut inputs), ["barrier", "active in 0", "40"]);
        }
    }

    #[test]
    fn a_barrier_that_waits_on_an_idle_input_holds_its_peers_no_longer_than_it_waits() {
        let (c, mut inputs) = setup(2);
        c[0].push(mark(10));
        assert!(heard(&mut inputs).is_empty());
        c[1].push(idle(0));
        c[1].push(barrier(1));
        c[0].push(barrier(1));
        assert_eq!(heard(&mut inputs), ["barrier", "10"]);
        assert_eq!(inputs.watermark(), Watermark(10));
    }

    /// Subtasks store the watermark in front of a barrier, not the one that the barrier held back.
    #[test]
    fn a_watermark_that_a_waiting_barrier_held_back_comes_behind_it() {
        let (c, mut inputs) = setup(2);
        c[0].push(mark(10));
        c[0].push(barrier(1));
        c[1].push(idle(0));
        c[1].push(barrier(1));
        assert!(matches!(inputs.next(), Some(Event::Aligned(_))));
        assert_eq!(inputs.watermark(), Watermark::MIN);
        assert_eq!(heard(&mut inputs), ["10"]);
    }

    #[test]
    fn the_end_of_time_does_not_pass_an_input_that_becomes_idle_before_the_end_has_come() {
        let (c, mut inputs) = setup(2);
        c[0].push(Message::Watermark(Watermark::MAX));
        assert!(heard(&mut inputs).is_empty());
        c[1].push(mark(10));
        c[1].push(idle(0));
        assert_eq!(heard(&mut inputs), ["10", "idle in 0"]);
    }

    #[test]
    fn an_input_that_ended_promises_nothing_for_one_that_is_idle() {
        let (c, mut inputs) = setup(2);
        c[0].push(Message::Watermark(Watermark::MAX));
        c[0].push(Message::End);
        c[1].push(mark(10));
        assert_eq!(heard(&mut inputs), ["10"]);
        c[1].push(idle(0));
        assert_eq!(heard(&mut inputs), ["idle in 0"]);
        c[1].push(active(0));
        c[1].push(mark(20));
        assert_eq!(heard(&mut inputs), ["active in 0", "20"]);
        c[1].push(Message::End);
        assert_eq!(heard(&mut inputs).last().map(String::as_str), Some("end"));
        assert_eq!(inputs.watermark(), Watermark::MAX);
    }

    #[test]
    fn a_restored_watermark_holds_for_every_input_and_for_the_next_cut() {
        let channels: Vec<_> = (0..2).map(|_| Arc::new(Channel::new(1 << 20))).collect();
        let mut inputs = Inputs::new(lanes(&channels, false), Some(Watermark(50)));
        for channel in &channels {
            channel.push(mark(30));
            channel.push(barrier(1));
        }
        assert_eq!(heard(&mut inputs), ["barrier"]);
        assert_eq!(inputs.watermark(), Watermark(50));
        channels[0].push(mark(70));
        assert!(inputs.next().is_none(), "the other input still stands at 50");
        channels[1].push(mark(60));
        assert_eq!(heard(&mut inputs), ["60"]);
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
        assert_eq!(heard(&mut inputs), [Watermark::MAX.0.to_string(), "end".to_owned()]);
        c[0].push(barrier(3));
        c[1].push(barrier(3));
        assert!(matches!(inputs.next(), Some(Event::Aligned(_))));
    }
}

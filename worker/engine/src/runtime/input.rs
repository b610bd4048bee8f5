//! The receiving side of a task: merges watermarks, aligns barriers.
//!
//! What idleness means for the merged watermark (PROTOCOL section 7):
//!
//! - Inputs that have ended hold nothing back, and promise nothing for the others either.
//! - An input that is idle holds nothing back, provided that its sender's peers cannot be ahead of
//!   it in what they know. Senders that all hear the same (they stand behind an exchange) become
//!   active together, only not at the same moment: they are idle once all of them are. Readers of
//!   sources become active each for itself, when splits were found; idleness counts until a peer
//!   shows that it has heard of a later [`Round`] of any source.
//! - All idle: the furthest watermark is in force, and then the idleness is passed on.
//! - What waits to be read on an idle input may be its first rows: it holds its peers until it is
//!   read, so that none of them overtakes what has come before, as behind an aligned barrier.
//!
//! Rows say nothing about idleness: they reach some subtasks, what is said reaches all.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::channel::Channel;
use crate::message::{Barrier, Round};
use crate::{Batch, Message, Watermark};
use weir_protocol::{Attempt, VertexId};

/// What a task is to do next.
#[derive(Debug)]
pub(crate) enum Event {
    /// Rows for the first operator.
    Batch(usize, Batch),
    /// The merged watermark has advanced.
    Watermark(Watermark),
    /// Every input is idle.
    Idle,
    /// An input is not idle any more.
    Active,
    /// Every input that a source feeds has heard of its round.
    Round(VertexId, Round),
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
    /// Whether it was passed on last that all is idle.
    told_idle: bool,
    /// The rounds that were passed on last.
    told_rounds: Rounds,
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
    rounds: Rounds,
    ended: bool,
    /// Has delivered the barrier that others still owe.
    blocked: bool,
}

/// The senders of one edge.
struct Peers {
    edge: usize,
    alike: bool,
    /// The last rounds that any of them has heard of.
    latest: Rounds,
}

/// The rounds of sources, by their vertices. What was not heard of is the first.
type Rounds = BTreeMap<VertexId, Round>;

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
                        peers.push(Peers { edge, alike, latest: Rounds::new() });
                        peers.len() - 1
                    }),
                    watermark: merged,
                    idle: false,
                    rounds: Rounds::new(),
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
            told_idle: false,
            told_rounds: Rounds::new(),
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
            Message::Idle => {
                input.idle = true;
                self.merge();
            }
            Message::Active => {
                input.idle = false;
                self.merge();
            }
            Message::Round(source, round) => {
                raise(&mut input.rounds, source, round);
                raise(&mut self.peers[input.peers].latest, source, round);
                self.tell_rounds();
                self.merge();
            }
            Message::Barrier(barrier) => self.on_barrier(position, barrier),
            Message::End => {
                input.ended = true;
                input.watermark = Watermark::MAX;
                self.tell_rounds();
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
        let counts_as_idle = |input: &Input| {
            let peers = &self.peers[input.peers];
            if peers.alike {
                idle[input.peers]
            } else {
                input.idle
                    && peers.latest.iter().all(|(source, round)| input.heard(*source, *round))
            }
        };
        // An empty channel says nothing of what is under way to it: that a row is counted is then
        // a matter of chance, as for every row that comes after its partition was called idle.
        let holds = |input: &&Input| !counts_as_idle(input) || !input.channel.is_empty();
        let least = open().filter(holds).map(|i| i.watermark).min();
        let furthest = open().map(|i| i.watermark).max();
        // Without open inputs nothing is to come any more.
        let candidate = least.or(furthest).unwrap_or(Watermark::MAX);
        // Idleness follows the furthest watermark. Where it was told already, something that
        // waits does not end it: it may be no more than a barrier.
        let idle = furthest.is_some() && open().all(counts_as_idle);
        let idle = idle && (least.is_none() || self.told_idle);
        let news = idle != std::mem::replace(&mut self.told_idle, idle);
        if news && !idle {
            self.events.push_back(Event::Active);
        }
        if candidate > self.merged {
            self.merged = candidate;
            self.events.push_back(Event::Watermark(candidate));
        }
        if news && idle {
            self.events.push_back(Event::Idle);
        }
    }

    /// Passes on the rounds that every open input has heard of which their sources feed: one that
    /// has not may become active of them.
    fn tell_rounds(&mut self) {
        let sources = self.peers.iter().flat_map(|peers| peers.latest.keys());
        let sources: Vec<VertexId> = sources.copied().collect();
        for source in sources {
            let fed = |i: &&Input| self.peers[i.peers].latest.contains_key(&source);
            let open = self.inputs.iter().filter(|i| !i.ended).filter(fed);
            let Some(round) = open.map(|i| i.round(source)).min() else { continue };
            if raise(&mut self.told_rounds, source, round) {
                self.events.push_back(Event::Round(source, round));
            }
        }
    }

    /// Whether all of these peers are idle, but for those that have ended.
    fn all_idle(&self, peers: usize) -> bool {
        self.inputs.iter().filter(|i| i.peers == peers).all(|i| i.idle || i.ended)
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

impl Input {
    fn round(&self, source: VertexId) -> Round {
        self.rounds.get(&source).copied().unwrap_or_default()
    }

    fn heard(&self, source: VertexId, round: Round) -> bool {
        self.round(source) >= round
    }
}

/// Notes a round; whether it is a later one.
fn raise(rounds: &mut Rounds, source: VertexId, round: Round) -> bool {
    let known = rounds.entry(source).or_default();
    let later = round > *known;
    *known = round.max(*known);
    later
}

#[cfg(test)]
mod tests;

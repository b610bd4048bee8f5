//! What operators hold back never comes behind what passes them.

use std::sync::Arc;

use weir_protocol::{Attempt, Subtask};

use super::*;
use crate::graph::Exchange;
use crate::runtime::channel::Channel;
use crate::runtime::testing::{context, records};

/// Holds back every batch until it is told to let go, which it does one batch a call.
#[derive(Default)]
struct Hoarder {
    held: Vec<Batch>,
}

impl Hoarder {
    fn let_go(&mut self, out: &mut Output) -> Progress {
        if !self.held.is_empty() {
            out.push(self.held.remove(0));
        }
        if self.held.is_empty() { Progress::Done } else { Progress::More }
    }
}

impl Operator for Hoarder {
    fn on_batch(
        &mut self,
        _: &mut Context,
        _: usize,
        batch: Batch,
        _: &mut Output,
    ) -> Result<Progress, EngineError> {
        self.held.push(batch);
        Ok(Progress::Done)
    }

    fn flush(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, EngineError> {
        Ok(self.let_go(out))
    }

    fn resume(&mut self, _: &mut Context, out: &mut Output) -> Result<Progress, EngineError> {
        Ok(self.let_go(out))
    }

    fn on_barrier(&mut self, _: &mut Context, _: SnapshotRequest) -> Result<Snapshot, EngineError> {
        assert!(self.held.is_empty(), "the state is taken once nothing is held back");
        Ok(Snapshot::default())
    }
}

/// Two operators in a row that feed a channel with room for one batch.
struct Bench {
    chain: Chain,
    channel: Arc<Channel>,
    _io: tokio::runtime::Runtime,
}

impl Bench {
    fn new() -> Self {
        let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let link = |name| Link { operator: Box::new(Hoarder::default()), cx: context(name, &io) };
        let channel = Arc::new(Channel::new(1));
        let lanes = vec![Arc::clone(&channel)];
        let partition =
            ResultPartition::new(1, OutputTag::Main, &Exchange::Forward, lanes, Subtask(0), 24);
        let links = vec![link("first"), link("second")];
        let chain = Chain::new(links, vec![partition], Arc::new(()), 1 << 20);
        Self { chain, channel, _io: io }
    }

    /// Gives rows, then whatever `give` gives, and tells what arrives: numbers of rows and names.
    fn arrives(&mut self, give: impl FnOnce(&mut Chain)) -> Vec<String> {
        for rows in 1..=3 {
            self.chain.give_batch(0, Batch::new(records(&vec![0; rows])));
        }
        give(&mut self.chain);
        let mut arrived = Vec::new();
        let mut full = 0;
        while !self.chain.is_idle() {
            let driven = self.chain.drive().expect("drives");
            full += usize::from(matches!(driven, Driven::Full));
            while let Some(message) = self.channel.pop() {
                arrived.push(match message {
                    Message::Data(batch) => batch.num_rows().to_string(),
                    Message::Watermark(_) => "watermark".to_owned(),
                    Message::Idle => "idle".to_owned(),
                    Message::Active => "active".to_owned(),
                    Message::Round(..) => "round".to_owned(),
                    Message::Barrier(_) => "barrier".to_owned(),
                    Message::End => "end".to_owned(),
                });
            }
        }
        assert_eq!(full, 3, "each batch filled the output");
        arrived
    }
}

#[test]
fn what_operators_hold_back_leaves_in_front_of_idleness() {
    assert_eq!(Bench::new().arrives(Chain::give_idle), ["1", "2", "3", "idle"]);
}

#[test]
fn what_operators_hold_back_leaves_in_front_of_a_barrier_in_as_many_steps_as_it_takes() {
    let barrier = Barrier { attempt: Attempt(1), freeze: false, full: false, last: false };
    let arrived = Bench::new().arrives(|chain| chain.give_barrier(barrier));
    assert_eq!(arrived, ["1", "2", "3", "barrier"]);
}

#[test]
fn what_operators_hold_back_leaves_in_front_of_the_end() {
    assert_eq!(Bench::new().arrives(Chain::give_end), ["1", "2", "3", "end"]);
}

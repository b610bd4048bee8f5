//! Subtasks of one table, checkpoints in flight, a chain, and a model of what must be there.

use std::fmt::Debug;

use arrow::array::RecordBatch;
use proptest::prelude::*;
use weir_protocol::{Attempt, KeyGroupRange, Term};
use weir_state::merge::Input;
use weir_state::sorted::Age;
use weir_state::table::{Encoded, Frozen, Groups, Table, TableSpec};

use super::{Chain, GROUPS, range};

/// A kind of table with its model.
pub(crate) trait Subject: Sized {
    type Change: Clone + Debug;
    type Model: Clone + Default;
    type Seen: Debug
        + PartialEq
        + Default
        + IntoIterator
        + Extend<<Self::Seen as IntoIterator>::Item>;
    /// After how many steps the table is looked at.
    const LOOKS_EVERY: usize = 1;

    fn empty(spec: &TableSpec, groups: Groups) -> Self;
    fn restore(spec: &TableSpec, groups: Groups, inputs: &[Input]) -> Self;
    fn table(&mut self) -> &mut dyn Table;
    /// What was frozen up to this age is published; these are the segments.
    fn published(&mut self, _: &[Input], up_to: Age) {
        self.table().published(up_to);
    }
    /// Makes the change as far as it concerns the subtask's groups.
    fn change(&mut self, groups: Groups, change: &Self::Change);
    fn change_model(spec: &TableSpec, model: &mut Self::Model, clock: u32, change: &Self::Change);
    /// Everything that the subtask holds, read in every way there is.
    fn see(&mut self, groups: Groups) -> Self::Seen;
    fn see_model(spec: &TableSpec, model: &Self::Model, clock: u32) -> Self::Seen;
    /// What batches of rows hold that were read from segments without a table.
    fn see_rows(rows: &[RecordBatch]) -> Self::Seen;
}

/// What happens next.
#[derive(Clone, Debug)]
pub(crate) enum Step<C> {
    Change(C),
    /// A barrier: the next attempt.
    Freeze,
    /// A barrier, and everything so far is published.
    Checkpoint,
    /// The oldest attempt that is not encoded is.
    Encode,
    /// The attempts so far but for this many are published, with what earlier ones that were
    /// declined handed on.
    Publish(usize),
    Compact {
        within: (u16, u16),
        first: usize,
        count: usize,
        cut: usize,
    },
    /// All is lost but the chain; goes on with subtasks cut at these groups.
    Restart(Vec<u16>),
    Tick(u32),
    Sweep(usize),
}

pub(crate) fn steps<C: Clone + Debug + 'static>(
    change: impl Strategy<Value = C> + 'static,
) -> impl Strategy<Value = Vec<Step<C>>> {
    let groups = 0..=GROUPS as u16;
    let step = prop_oneof![
        12 => change.prop_map(Step::Change),
        3 => Just(Step::Checkpoint),
        3 => Just(Step::Freeze),
        2 => Just(Step::Encode),
        3 => (0_usize..3).prop_map(Step::Publish),
        3 => ((groups.clone(), groups.clone()), 0_usize..4, 1_usize..4, prop_oneof![Just(0), Just(9_000), Just(usize::MAX)])
            .prop_map(|(within, first, count, cut)| Step::Compact { within, first, count, cut }),
        2 => prop::collection::vec(groups, 0..4).prop_map(Step::Restart),
        2 => (0_u32..6).prop_map(Step::Tick),
        2 => prop_oneof![1_usize..20, Just(100_000)].prop_map(Step::Sweep),
    ];
    prop::collection::vec(step, 1..60)
}

struct Attempted<M> {
    age: Age,
    frozen: Vec<Frozen>,
    encoded: Vec<Encoded>,
    model: M,
    clock: u32,
}

pub(crate) struct World<S: Subject> {
    spec: TableSpec,
    subtasks: Vec<(Groups, S)>,
    model: S::Model,
    clock: u32,
    age: Age,
    attempts: Vec<Attempted<S::Model>>,
    chain: Chain,
    published: (S::Model, u32),
    /// The youngest age that is published.
    last: Age,
}

impl<S: Subject> World<S> {
    pub(crate) fn new(spec: TableSpec) -> Self {
        let groups = super::all_groups();
        Self {
            subtasks: vec![(groups, S::empty(&spec, groups))],
            spec,
            model: S::Model::default(),
            clock: 0,
            age: Age { term: Term(1), attempt: Attempt(0) },
            attempts: Vec::new(),
            chain: Chain::default(),
            published: (S::Model::default(), 0),
            last: Age::ZERO,
        }
    }

    /// Runs the steps; after each one the tables must hold what the model does.
    pub(crate) fn run(spec: TableSpec, steps: &[Step<S::Change>]) -> Self {
        let mut world = Self::new(spec);
        for (i, step) in steps.iter().enumerate() {
            world.step(step);
            world.chain.check_ages();
            if (i + 1) % S::LOOKS_EVERY > 0 && i + 1 < steps.len() {
                continue;
            }
            let mut seen = S::Seen::default();
            let mut parts = 0;
            for (groups, subtask) in &mut world.subtasks {
                let part = subtask.see(*groups);
                seen.extend(part.into_iter().inspect(|_| parts += 1));
            }
            let wanted = S::see_model(&world.spec, &world.model, world.clock);
            assert_eq!(seen, wanted, "after step {i}, {step:?}");
            assert_eq!(parts, wanted.into_iter().count(), "two subtasks hold the same");
        }
        world
    }

    fn step(&mut self, step: &Step<S::Change>) {
        match step {
            Step::Change(change) => {
                for (groups, subtask) in &mut self.subtasks {
                    subtask.change(*groups, change);
                }
                S::change_model(&self.spec, &mut self.model, self.clock, change);
            }
            Step::Freeze => self.freeze(),
            Step::Checkpoint => {
                self.freeze();
                self.publish(0);
            }
            Step::Encode => {
                if let Some(at) = self.attempts.iter().position(|a| !a.frozen.is_empty()) {
                    self.encode(at);
                }
            }
            Step::Publish(but) => self.publish(*but),
            Step::Compact { within: (a, b), first, count, cut } => {
                let within = range(*a.min(b), *a.max(b));
                self.chain.compact(&self.spec, within, *first, *count, *cut);
                self.tell();
            }
            Step::Restart(cuts) => self.restart(cuts),
            Step::Tick(by) => {
                self.clock += by;
                self.set_clocks();
            }
            Step::Sweep(limit) => {
                for (_, subtask) in &mut self.subtasks {
                    subtask.table().sweep(*limit);
                }
            }
        }
    }

    fn set_clocks(&mut self) {
        for (_, subtask) in &mut self.subtasks {
            subtask.table().set_clock(self.clock);
        }
    }

    fn freeze(&mut self) {
        self.age.attempt = self.age.attempt.next();
        let frozen = self.subtasks.iter_mut().map(|(_, s)| s.table().freeze(self.age));
        self.attempts.push(Attempted {
            age: self.age,
            frozen: frozen.collect(),
            encoded: Vec::new(),
            model: self.model.clone(),
            clock: self.clock,
        });
    }

    fn encode(&mut self, at: usize) {
        for frozen in std::mem::take(&mut self.attempts[at].frozen) {
            let id = self.chain.id();
            self.attempts[at].encoded.push(frozen.encode(id).unwrap());
        }
    }

    fn publish(&mut self, but: usize) {
        let count = self.attempts.len().saturating_sub(but);
        for at in 0..count {
            self.encode(at);
        }
        for attempt in self.attempts.drain(..count) {
            for encoded in attempt.encoded {
                self.chain.push(encoded);
            }
            self.published = (attempt.model, attempt.clock);
            self.last = attempt.age;
        }
        if count > 0 {
            self.tell();
        }
    }

    /// Tells the subtasks which segments there are.
    fn tell(&mut self) {
        let inputs = self.chain.inputs();
        for (groups, subtask) in &mut self.subtasks {
            subtask.published(&overlapping(&inputs, groups.range), self.last);
        }
    }

    fn restart(&mut self, cuts: &[u16]) {
        let mut cuts = cuts.to_vec();
        cuts.extend([0, GROUPS as u16]);
        cuts.sort_unstable();
        cuts.dedup();
        self.age = Age { term: self.age.term.next(), attempt: Attempt(0) };
        self.attempts.clear();
        (self.model, self.clock) = self.published.clone();
        let inputs = self.chain.inputs();
        let pieces = cuts.windows(2).map(|w| KeyGroupRange { start: w[0], end: w[1] });
        self.subtasks = pieces
            .map(|range| {
                let groups = Groups { range, of: GROUPS };
                let here = overlapping(&inputs, range);
                let mut subtask = S::restore(&self.spec, groups, &here);
                let rows = super::rows(&self.spec, groups, &here);
                assert_eq!(S::see_rows(&rows), subtask.see(groups), "as data and restored");
                (groups, subtask)
            })
            .collect();
        self.set_clocks();
    }
}

fn overlapping(inputs: &[Input], range: KeyGroupRange) -> Vec<Input> {
    inputs.iter().filter(|input| input.range.overlaps(range)).cloned().collect()
}

//! An operator's tables as the engine keeps them: frozen, published, read ahead, begun anew.

use std::sync::Arc;

use weir_protocol::{Attempt, KeyGroupRange, Term};
use weir_state::merge::Input;
use weir_state::sorted::{Age, Stored};
use weir_state::table::{Groups, Layer, StoredTable};

use crate::operator::TableKeys;
use crate::{Operator, RowKind};

pub(super) const GROUPS: Groups = Groups { range: KeyGroupRange { start: 0, end: 8 }, of: 8 };

/// What is stored of an operator's tables.
pub(super) struct StoredTables {
    age: u64,
    segments: Vec<Vec<Input>>,
}

impl StoredTables {
    /// Nothing, for an operator that begins.
    pub(super) fn of(operator: &mut dyn Operator) -> Self {
        let mut segments = Vec::new();
        for table in operator.tables() {
            segments.push(Vec::new());
            table.take_over(StoredTable::Whole(Vec::new())).unwrap();
        }
        Self { age: 0, segments }
    }

    /// Freezes and publishes what changed.
    pub(super) fn checkpoint(&mut self, operator: &mut dyn Operator) {
        self.age += 1;
        let age = Age { term: Term(1), attempt: Attempt(self.age) };
        for (table, segments) in operator.tables().into_iter().zip(&mut self.segments) {
            let id = u128::from(self.age);
            let encoded = table.freeze(age).encode(id).unwrap();
            if encoded.footer.rows > 0 {
                let length = encoded.bytes.len() as u64;
                let stored = Stored::open(Arc::new(encoded.bytes), length).unwrap();
                segments.push(Input { stored, range: encoded.footer.range });
            }
            table.follow(layers(segments), age).unwrap();
        }
    }

    /// Gives a fresh operator what is stored, with all rows in memory or none.
    pub(super) fn restore(&self, operator: &mut dyn Operator, whole: bool) {
        for (table, segments) in operator.tables().into_iter().zip(&self.segments) {
            let stored = match whole || table.spec().is_in_memory() {
                true => StoredTable::Whole(segments.clone()),
                false => StoredTable::Layers(layers(segments)),
            };
            table.take_over(stored).unwrap();
        }
    }

    /// Brings the rows of keys into memory.
    pub(super) fn read(&self, operator: &mut dyn Operator, keys: Vec<TableKeys>) {
        for TableKeys { table: at, keys, rows } in keys {
            let mut tables = operator.tables();
            let Some(mut announced) = tables[at].announce(&keys, rows).unwrap() else { continue };
            let missing: Vec<_> = announced.missing().collect();
            for (segment, block) in missing {
                let of = |input: &&Input| input.stored.reader().footer().id == segment;
                let input = self.segments[at].iter().find(of).unwrap();
                announced.put(segment, block.number, &input.stored.read(block).unwrap()).unwrap();
            }
            assert!(tables[at].install(&announced).unwrap());
        }
    }
}

/// Drops rows from memory that segments hold, so that about as many bytes become free.
pub(super) fn trim(operator: &mut dyn Operator, want: usize) {
    operator.tables().into_iter().for_each(|table| {
        table.trim(want);
    });
}

/// A kind of a row that comes, or that goes.
pub(super) fn kind(comes: bool, other: bool) -> RowKind {
    match (comes, other) {
        (true, false) => RowKind::Insert,
        (true, true) => RowKind::UpdateAfter,
        (false, false) => RowKind::Delete,
        (false, true) => RowKind::UpdateBefore,
    }
}

fn layers(inputs: &[Input]) -> Vec<Layer> {
    let layer = |input: &Input| Layer {
        reader: Arc::new(input.stored.reader().clone()),
        range: input.range,
    };
    inputs.iter().map(layer).collect()
}

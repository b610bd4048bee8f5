//! What the engine does with an operator's tables, in the memory of a test.

use std::sync::Arc;

use weir_protocol::{Attempt, KeyGroupRange, Term};
use weir_state::merge::Input;
use weir_state::sorted::{Age, Stored};
use weir_state::table::{Groups, Layer, StoredTable};

use crate::operator::TableKeys;
use crate::{Batch, Operator};

/// All key groups of a small job.
pub(crate) const GROUPS: Groups = Groups { range: KeyGroupRange { start: 0, end: 8 }, of: 8 };

/// The segments of an operator's tables.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    age: u64,
    tables: Vec<Vec<Input>>,
}

impl Segments {
    /// Begins with an operator that has no state.
    pub(crate) fn begin(operator: &mut impl Operator) -> Self {
        let tables = operator.tables();
        let segments = tables.iter().map(|_| Vec::new()).collect();
        for table in tables {
            table.take_over(StoredTable::Whole(Vec::new())).unwrap();
        }
        Self { age: 0, tables: segments }
    }

    /// What changed is frozen and published.
    pub(crate) fn checkpoint(&mut self, operator: &mut impl Operator) {
        self.age += 1;
        let age = Age { term: Term(1), attempt: Attempt(self.age) };
        for (table, segments) in operator.tables().into_iter().zip(&mut self.tables) {
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

    /// Gives a new operator what is stored: with all rows in memory, or none.
    pub(crate) fn restore(&self, operator: &mut impl Operator, whole: bool) {
        for (table, segments) in operator.tables().into_iter().zip(&self.tables) {
            // Timers are always in memory.
            let stored = match whole || table.spec().is_in_memory() {
                true => StoredTable::Whole(segments.clone()),
                false => StoredTable::Layers(layers(segments)),
            };
            table.take_over(stored).unwrap();
        }
    }

    /// Brings the rows into memory that a batch needs.
    pub(crate) fn read(&self, operator: &mut impl Operator, input: usize, batch: &Batch) {
        let keys = operator.keys_of(input, batch).unwrap();
        self.read_keys(operator, keys);
    }

    /// Brings the rows of these keys into memory.
    pub(crate) fn read_keys(&self, operator: &mut impl Operator, keys: Vec<TableKeys>) {
        for TableKeys { table: at, keys, rows } in keys {
            let mut tables = operator.tables();
            let Some(mut announced) = tables[at].announce(&keys, rows).unwrap() else { continue };
            let missing: Vec<_> = announced.missing().collect();
            for (segment, block) in missing {
                let of = |input: &&Input| input.stored.reader().footer().id == segment;
                let input = self.tables[at].iter().find(of).unwrap();
                announced.put(segment, block.number, &input.stored.read(block).unwrap()).unwrap();
            }
            assert!(tables[at].install(&announced).unwrap());
        }
    }
}

fn layers(inputs: &[Input]) -> Vec<Layer> {
    let layer = |input: &Input| Layer {
        reader: Arc::new(input.stored.reader().clone()),
        range: input.range,
    };
    inputs.iter().map(layer).collect()
}

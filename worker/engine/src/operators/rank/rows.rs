//! The rows of a batch on their way into the table.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::row::Rows;
use weir_state::sorted::Strings;
use weir_state::sorted::order::{decode_orders, encode_orders};

use super::plan::{Place, Plan};
use crate::operators::rows::{BatchKeys, take_all};
use crate::{Batch, OperatorError};

/// A batch, taken apart.
pub(super) struct Incoming {
    pub(super) keys: BatchKeys,
    /// Its columns as the table would give them back.
    pub(super) columns: Vec<ArrayRef>,
    /// Per row its encoded order without the arrival.
    pub(super) orders: Strings,
    /// Rows that come, in the order in which they do; but for those of `gone` that
    /// [`Incoming::settle`] adds.
    pub(super) come: Vec<u32>,
    /// Rows that are equal as a whole and of which one goes, in their order.
    pub(super) gone: Vec<Equal>,
}

/// Rows that are equal as a whole.
pub(super) struct Equal {
    /// What happens, in order: the row, and whether it goes.
    events: Vec<(u32, bool)>,
}

impl Equal {
    /// Any of them.
    pub(super) fn row(&self) -> u32 {
        self.events.first().map_or(0, |(row, _)| *row)
    }

    /// How many go.
    pub(super) fn leaving(&self) -> usize {
        self.events.iter().filter(|(_, goes)| *goes).count()
    }
}

impl Incoming {
    pub(super) fn new(
        plan: &Plan,
        batch: &Batch,
        gone: Option<&BooleanArray>,
    ) -> Result<Self, OperatorError> {
        let (records, rows) = (batch.records(), batch.num_rows());
        let pick = |columns: &[usize]| -> Vec<ArrayRef> {
            columns.iter().map(|&c| Arc::clone(records.column(c))).collect()
        };
        let keys = BatchKeys::number(&pick(&plan.spec.keys), rows)?;
        let order = pick(&plan.order);
        let mut orders = Strings::with_capacity(rows, 16);
        encode_orders(plan.order_fields(), &order, rows, &mut orders)
            .map_err(OperatorError::user)?;
        let mut columns = records.columns().to_vec();
        let (come, gone) = match gone {
            None => ((0..rows as u32).collect(), Vec::new()),
            Some(gone) => {
                // What is compared with rows of the table has to be as it is there: one zero of
                // keys, one NaN of orders.
                let numbers = UInt32Array::from(keys.numbers.clone());
                let key_columns = take_all(&keys.keys, &numbers)?;
                let order_columns = decode_orders(plan.order_fields(), orders.iter())
                    .map_err(OperatorError::internal)?;
                for (column, place) in columns.iter_mut().zip(&plan.places) {
                    match *place {
                        Place::Key(at) => *column = Arc::clone(&key_columns[at]),
                        Place::Order(at) => *column = Arc::clone(&order_columns[at]),
                        Place::Row(_) => {}
                    }
                }
                sort_out(&plan.whole.convert_columns(&columns)?, gone)
            }
        };
        Ok(Self { keys, columns, orders, come, gone })
    }

    /// Adds the rows that stay of those of which one goes: whoever goes takes the first of them
    /// away that is there. `there`: how many each had before the batch.
    pub(super) fn settle(&mut self, there: &[usize]) {
        for (equal, &there) in self.gone.iter().zip(there) {
            let (mut there, mut come) = (there, VecDeque::new());
            for &(row, goes) in &equal.events {
                if !goes {
                    come.push_back(row);
                } else if there > 0 {
                    there -= 1;
                } else {
                    come.pop_front();
                }
            }
            self.come.extend(come);
        }
        self.come.sort_unstable();
    }

    /// The number of a row's key.
    pub(super) fn key(&self, row: u32) -> u32 {
        self.keys.numbers[row as usize]
    }

    /// A row's encoded order without the arrival.
    pub(super) fn order(&self, row: u32) -> &[u8] {
        self.orders.get(row as usize)
    }

    /// Columns of the input of these rows.
    pub(super) fn take(
        &self,
        columns: &[usize],
        rows: &[u32],
    ) -> Result<Vec<ArrayRef>, OperatorError> {
        let columns: Vec<ArrayRef> =
            columns.iter().map(|&c| Arc::clone(&self.columns[c])).collect();
        take_all(&columns, &UInt32Array::from(rows.to_vec()))
    }

    /// All columns of these rows.
    pub(super) fn take_whole(&self, rows: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        take_all(&self.columns, &UInt32Array::from(rows.to_vec()))
    }

    /// The keys of these rows.
    pub(super) fn keys_of(&self, rows: &[u32]) -> Result<Vec<ArrayRef>, OperatorError> {
        let numbers: UInt32Array = rows.iter().map(|&row| self.key(row)).collect();
        take_all(&self.keys.keys, &numbers)
    }

    /// Leaves out rows that come too late in their order to be among the first, whatever is in
    /// the table.
    pub(super) fn keep_first(&mut self, plan: &Plan) {
        let mut come = std::mem::take(&mut self.come);
        come.sort_by(|&a, &b| {
            (self.key(a), self.order(a), a).cmp(&(self.key(b), self.order(b), b))
        });
        let mut last: Option<(u32, u64, u64)> = None;
        come.retain(|&row| {
            let (rows, rank) = match last {
                Some((before, rows, rank)) if self.key(before) == self.key(row) => {
                    let equal = self.order(before) == self.order(row);
                    (rows, plan.next_rank(rows, rank, equal))
                }
                _ => (0, 1),
            };
            last = Some((row, rows + 1, rank));
            rank <= plan.spec.to
        });
        come.sort_unstable();
        self.come = come;
    }
}

/// Rows that come, and those that are equal to one that goes.
fn sort_out(rows: &Rows, gone: &BooleanArray) -> (Vec<u32>, Vec<Equal>) {
    let leaving = (0..gone.len()).filter(|&row| gone.value(row));
    let mut of_row: HashMap<&[u8], usize> = HashMap::new();
    let mut equal: Vec<Equal> = Vec::new();
    for row in leaving {
        of_row.entry(rows.row(row).data()).or_insert_with(|| {
            equal.push(Equal { events: Vec::new() });
            equal.len() - 1
        });
    }
    let mut come = Vec::new();
    for row in 0..gone.len() {
        match of_row.get(rows.row(row).data()) {
            Some(&at) => equal[at].events.push((row as u32, gone.value(row))),
            None => come.push(row as u32),
        }
    }
    (come, equal)
}

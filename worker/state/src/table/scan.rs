//! Where a scan of the rows of a key stands.

use arrow::array::ArrayRef;

use super::{Ordered, TableError};
use crate::sorted::Strings;
use crate::sorted::order::encode_orders;

/// A part of the rows of one key, in one direction. Made once, then given to [`Ordered::scan`]
/// until that says that there is no more: a key may have millions of rows, and a step of a task
/// is short.
#[derive(Clone, Debug)]
pub struct Scan {
    pub(crate) key: u32,
    /// The first encoded order that belongs to it.
    pub(crate) from: Vec<u8>,
    /// The first that no longer does.
    pub(crate) to: Option<Vec<u8>>,
    pub(crate) backward: bool,
}

impl Scan {
    /// All rows of the key in a slot that [`Ordered::lookup`] gave, first to last.
    #[must_use]
    pub fn all(key: u32) -> Self {
        Self { key, from: Vec::new(), to: None, backward: false }
    }

    /// The same rows, last to first.
    #[must_use]
    pub fn backward(self) -> Self {
        Self { backward: true, ..self }
    }

    /// Rows that do not sort before `from`.
    #[must_use]
    pub fn from(self, from: &Edge) -> Self {
        Self { from: from.0.clone(), ..self }
    }

    /// Rows that do not sort after `to`; what only begins like it does not.
    #[must_use]
    pub fn to(self, to: &Edge) -> Self {
        Self { to: successor(&to.0), ..self }
    }

    /// Rows that sort before `to`.
    #[must_use]
    pub fn before(self, to: &Edge) -> Self {
        Self { to: Some(to.0.clone()), ..self }
    }

    /// Goes on behind this order.
    pub(crate) fn pass(&mut self, order: &[u8]) {
        if self.backward {
            self.to = Some(order.to_vec());
        } else {
            self.from = order.to_vec();
            // Nothing sorts between a string and itself with a 0 behind.
            self.from.push(0);
        }
    }
}

/// A place between rows: values of the first order columns, all of them or some.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge(Vec<u8>);

impl Ordered {
    /// The edges of these values of the first order columns, one per row of `columns`.
    ///
    /// # Errors
    /// When the columns are of other types than the table's.
    pub fn edges(&self, columns: &[ArrayRef], rows: usize) -> Result<Vec<Edge>, TableError> {
        let fields = super::Table::spec(self).order_fields();
        let fields = fields.get(..columns.len()).ok_or(TableError::Width {
            what: "an edge",
            given: columns.len(),
            wanted: fields.len(),
        })?;
        let mut orders = Strings::with_capacity(rows, 16);
        encode_orders(fields, columns, rows, &mut orders)?;
        Ok(orders.iter().map(|order| Edge(order.to_vec())).collect())
    }
}

/// The smallest string that sorts after everything that begins with this one.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != u8::MAX)?;
    let mut successor = prefix[..=last].to_vec();
    successor[last] += 1;
    Some(successor)
}

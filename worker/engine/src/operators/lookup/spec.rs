//! What a lookup join asks, independent of how.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;

use crate::lookup::LookupSource;
use crate::operators::join::spec::Condition;

/// A join of rows with a table that is asked for each of them.
#[derive(Clone)]
pub struct LookupJoin {
    /// Rows without a match are given as well (`LEFT`).
    pub outer: bool,
    /// Columns that come in.
    pub left: SchemaRef,
    /// The columns that the table is asked by, in its order.
    pub keys: Vec<usize>,
    /// The table.
    pub table: Arc<dyn LookupSource>,
    /// What must hold beside equal keys.
    pub condition: Option<Condition>,
    /// The longest that a batch may be asked for, all tries together.
    pub timeout: Duration,
    /// Whether to ask again for keys that had no row.
    pub retry: Option<Retry>,
}

/// How often a key is asked for again that had no row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// How many times at most, the first included.
    pub attempts: u32,
    /// The pause before each.
    pub delay: Duration,
}

impl fmt::Debug for LookupJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupJoin")
            .field("outer", &self.outer)
            .field("keys", &self.keys)
            .field("retry", &self.retry)
            .finish_non_exhaustive()
    }
}

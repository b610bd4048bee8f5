//! What a join computes, independent of how.

use std::fmt;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::datatypes::SchemaRef;

use crate::OperatorError;
use crate::aggregate::InputRows;

/// A join of two inputs over all of their rows.
///
/// Output columns: the left input's, then the right one's; of [`JoinKind::Semi`] and
/// [`JoinKind::Anti`] the left input's alone.
#[derive(Clone, Debug)]
pub struct Join {
    /// Which rows it gives.
    pub kind: JoinKind,
    /// The first input.
    pub left: JoinInput,
    /// The second one.
    pub right: JoinInput,
    /// Per key whether NULL equals NULL; where it does not, a row with a NULL matches nothing.
    pub null_safe: Vec<bool>,
    /// What must hold beside equal keys.
    pub condition: Option<Condition>,
}

/// One side of a join.
#[derive(Clone, Debug)]
pub struct JoinInput {
    /// Columns that come in.
    pub schema: SchemaRef,
    /// Whether rows may go again.
    pub rows: InputRows,
    /// Key columns, as many on either side and of the same types; none joins every row with
    /// every other in one subtask.
    pub keys: Vec<usize>,
    /// Columns that tell rows apart, where there are some: a row then takes the place of the
    /// one that was there. Otherwise equal rows are counted.
    pub unique: Option<Vec<usize>>,
    /// Seconds after which a row is forgotten that nothing happened to.
    pub ttl: Option<u32>,
}

/// Which rows a join gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JoinKind {
    /// Pairs that match.
    Inner,
    /// These, and rows of the left without a match.
    Left,
    /// These, and rows of the right without a match.
    Right,
    /// All three.
    Full,
    /// Rows of the left that have a match.
    Semi,
    /// Rows of the left that have none.
    Anti,
}

impl JoinKind {
    /// Whether pairs are given.
    #[must_use]
    pub fn gives_pairs(self) -> bool {
        !matches!(self, Self::Semi | Self::Anti)
    }

    /// Whether rows are given by themselves for having a match or having none: of the left, of
    /// the right.
    #[must_use]
    pub fn gives_alone(self) -> [bool; 2] {
        match self {
            Self::Inner => [false, false],
            Self::Left | Self::Semi | Self::Anti => [true, false],
            Self::Right => [false, true],
            Self::Full => [true, true],
        }
    }

    /// Whether rows can be taken back that were given, although inputs take nothing back.
    #[must_use]
    pub fn corrects(self) -> bool {
        !matches!(self, Self::Inner | Self::Semi)
    }
}

/// Looks at pairs of rows.
pub type Test = Arc<dyn Fn(&RecordBatch) -> Result<BooleanArray, OperatorError> + Send + Sync>;

/// A condition on pairs of rows.
#[derive(Clone)]
pub struct Condition {
    /// The columns that it looks at: of the left input, then of the right one, numbered through.
    pub columns: Vec<usize>,
    /// Their values in, whether they match out; NULL is no.
    pub test: Test,
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("columns", &self.columns).finish_non_exhaustive()
    }
}

/// A join of rows that are near each other in event time. Output as of [`Join`]; both inputs only
/// add rows.
#[derive(Clone, Debug)]
pub struct IntervalJoin {
    /// `Inner`, `Left`, `Right` or `Full`.
    pub kind: JoinKind,
    /// The first input, with its event time.
    pub left: TimedInput,
    /// The second one.
    pub right: TimedInput,
    /// As of [`Join`].
    pub null_safe: Vec<bool>,
    /// Least and largest time of the right row less that of the left one, in milliseconds,
    /// inclusive. The condition may be narrower.
    pub within: [i64; 2],
    /// As of [`Join`].
    pub condition: Option<Condition>,
    /// Rows that come when nothing can match them that is not late are left out.
    pub leaves_late: bool,
}

/// A join of rows with the latest version, at their time, of the row of the same key. Columns that
/// leave: the left input's, then the right one's. Left rows only come; a row of the right is a
/// version of the row of its key from its time on, and `-D` says that there is none from then on.
#[derive(Clone, Debug)]
pub struct TemporalJoin {
    /// Rows that meet no version are given as well (`LEFT`).
    pub outer: bool,
    /// The rows.
    pub left: TimedInput,
    /// The versions; the keys tell their rows apart. NULL matches nothing.
    pub right: TimedInput,
    /// What must hold of a row and the version that it meets, beside equal keys.
    pub condition: Option<Condition>,
    /// Seconds after which a version is forgotten that was neither written nor asked for.
    pub ttl: Option<u32>,
}

/// One side of a join by time.
#[derive(Clone, Debug)]
pub struct TimedInput {
    /// Columns that come in.
    pub schema: SchemaRef,
    /// Key columns.
    pub keys: Vec<usize>,
    /// The event time, a timestamp.
    pub time: usize,
    /// Milliseconds that are added to it: the end of a window is 1 later than its last time.
    pub shift: i64,
}

//! What MATCH_RECOGNIZE finds and gives, independent of how.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, SchemaRef};

use crate::OperatorError;
use crate::aggregate::AggregateCall;
use crate::operators::join::spec::Test;
use crate::operators::rank::spec::SortColumn;

/// Rows of a key that follow each other and fit a pattern.
///
/// Output columns: [`Pattern::output`].
#[derive(Clone, Debug)]
pub struct Pattern {
    /// Columns that come in; rows only come.
    pub input: SchemaRef,
    /// Key columns; none where all rows are one sequence.
    pub keys: Vec<usize>,
    /// The event time, by which rows are sorted first: `Timestamp(Millisecond, _)`.
    pub time: usize,
    /// What rows of one time are sorted by; nothing is the order in which they come.
    pub order: Vec<SortColumn>,
    /// What rows of a match are called.
    pub variables: Vec<Variable>,
    /// Which of them follow which.
    pub shape: Shape,
    /// Where the search goes on behind a match.
    pub skip: Skip,
    /// All rows of a match are less than so many milliseconds behind its first one.
    pub within: Option<i64>,
    /// What is computed of a match.
    pub measures: Measures,
    /// Whether a match gives each of its rows; else it gives one.
    pub all_rows: bool,
    /// The columns that leave.
    pub output: Vec<OutputColumn>,
}

/// A name for rows of a match.
#[derive(Clone, Debug)]
pub struct Variable {
    /// As it is written.
    pub name: String,
    /// What must all hold of a row that is to be called so; nothing holds of every row.
    pub checks: Vec<Check>,
}

/// A part of a condition.
#[derive(Clone)]
pub struct Check {
    /// What it looks at.
    pub values: Vec<Value>,
    /// Whether values can make it fail, so that it must not see rows that are no candidates.
    pub may_fail: bool,
    /// A column per value in, whether the rows fit out; NULL is no.
    pub test: Test,
}

/// Computes columns from columns.
pub type Compute = Arc<dyn Fn(&RecordBatch) -> Result<Vec<ArrayRef>, OperatorError> + Send + Sync>;

/// What is computed of matches.
#[derive(Clone)]
pub struct Measures {
    /// What it is computed from.
    pub values: Vec<Value>,
    /// The measures' columns.
    pub fields: Vec<Field>,
    /// A column per value in, one per field out.
    pub compute: Compute,
}

/// A column that leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutputColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub of: Output,
}

/// What a column holds that leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// A column of the input: of the row that is given, or of the key.
    Input(usize),
    /// A measure.
    Measure(usize),
}

/// A value that is taken from the rows of a match, as they are when a row is looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Of one row.
    Row {
        /// What of it.
        what: What,
        /// Which row.
        place: Place,
    },
    /// An aggregate over columns of the input.
    Aggregate {
        /// The call.
        call: AggregateCall,
        /// Over which rows.
        of: Of,
        /// Over those of the whole match, not only up to the row that is looked at.
        whole: bool,
    },
    /// The number of the match among those of its key, from 1.
    MatchNumber,
}

/// What of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A column of the input.
    Column(usize),
    /// The name that the row has in the match.
    Classifier,
}

/// Rows of a match.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Of {
    /// All.
    All,
    /// Those called by one of these variables, as numbers of [`Pattern::variables`].
    Variables(Vec<usize>),
}

/// Which row: NULL where there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Among which rows of the match.
    pub of: Of,
    /// Counted from their end, else from their beginning.
    pub last: bool,
    /// How many rows from there.
    pub offset: u32,
    /// From that row, how many rows further in the key's order, in the match or not.
    pub shift: i64,
    /// Counted in the whole match, not only up to the row that is looked at.
    pub whole: bool,
}

impl Place {
    /// The row that is looked at.
    #[must_use]
    pub fn current() -> Self {
        Self { of: Of::All, last: true, offset: 0, shift: 0, whole: false }
    }
}

/// Which variables follow which.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shape {
    /// One row.
    Variable {
        /// What it is called.
        variable: usize,
        /// Whether it is left out of what ALL ROWS gives.
        excluded: bool,
    },
    /// One after the other.
    Sequence(Vec<Shape>),
    /// One of these, the first that fits.
    Choice(Vec<Shape>),
    /// The same several times.
    Repeat {
        /// What is repeated.
        of: Box<Shape>,
        /// How often at least.
        least: u32,
        /// How often at most.
        most: Option<u32>,
        /// As rarely as possible instead of as often.
        reluctant: bool,
    },
}

impl Shape {
    /// Whether no row at all fits it.
    #[must_use]
    pub fn may_be_empty(&self) -> bool {
        match self {
            Self::Variable { .. } => false,
            Self::Sequence(parts) => parts.iter().all(Self::may_be_empty),
            Self::Choice(parts) => parts.iter().any(Self::may_be_empty),
            Self::Repeat { of, least, .. } => *least == 0 || of.may_be_empty(),
        }
    }
}

/// Where the search goes on behind a match. A variable without a row in the match, or whose row is the
/// first of the match, ends the attempt with an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Skip {
    /// Behind its last row.
    PastLastRow,
    /// At its second row.
    ToNextRow,
    /// At the first row of these.
    ToFirst(Vec<usize>),
    /// At the last one.
    ToLast(Vec<usize>),
}

impl Value {
    /// The type of its column.
    ///
    /// # Errors
    /// When it reads a column that is not there.
    pub(super) fn data_type(&self, input: &SchemaRef) -> Result<DataType, OperatorError> {
        match self {
            Self::Row { what: What::Classifier, .. } => Ok(DataType::Utf8),
            Self::MatchNumber => Ok(DataType::Int64),
            Self::Row { what: What::Column(column), .. } => {
                let field = input.fields().get(*column);
                field.map(|field| field.data_type().clone()).ok_or_else(|| {
                    OperatorError::internal(format!(
                        "a pattern reads column {column}, which is not there"
                    ))
                })
            }
            Self::Aggregate { call, .. } => {
                let call = compiled(call, input)?;
                Ok(call.aggregate().output().clone())
            }
        }
    }

    /// How far it reaches from the row of the match that it names.
    pub(super) fn shift(&self) -> i64 {
        match self {
            Self::Row { place, .. } => place.shift,
            Self::Aggregate { .. } | Self::MatchNumber => 0,
        }
    }
}

/// An aggregate call, compiled over the input.
pub(super) fn compiled(
    call: &AggregateCall,
    input: &SchemaRef,
) -> Result<crate::aggregate::call::Call, OperatorError> {
    let rows = crate::aggregate::InputRows::Appended;
    Ok(crate::aggregate::call::Call::new(call, input, rows)?.with_own_sets())
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("values", &self.values).finish_non_exhaustive()
    }
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").field("values", &self.values).finish_non_exhaustive()
    }
}

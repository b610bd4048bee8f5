//! A table as a connector sees it, and what a connector makes of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use weir_engine::graph::OperatorInfo;
use weir_engine::operator::OperatorFactory;
use weir_engine::sink::Committer;
use weir_engine::source::Source;

use crate::reference::OptionText;

/// A `CREATE TABLE`, as far as its connector is concerned.
#[derive(Clone, Debug)]
pub struct Table {
    /// The table's name.
    pub name: String,
    /// Physical and metadata columns in declaration order; computed columns are not among
    /// them. For a sink: the columns that are written, in declaration order.
    pub schema: SchemaRef,
    /// What the columns' SQL types say beyond `schema`; columns that are missing here say nothing.
    pub declared: Vec<Declared>,
    /// Columns that are declared NOT NULL: indices in `schema`, where those of a source may be NULL
    /// whatever is declared.
    pub not_null: Vec<usize>,
    /// Columns of whose type a part is declared NOT NULL (`ARRAY<INT NOT NULL>`), which `schema` does
    /// not say: indices in it.
    pub part_not_null: Vec<usize>,
    /// Metadata columns: index in `schema` → metadata key (`METADATA FROM 'key'`).
    pub metadata: BTreeMap<usize, String>,
    /// `PRIMARY KEY (…) NOT ENFORCED`: indices in `schema`.
    pub primary_key: Vec<usize>,
    /// `PARTITIONED BY (…)`: indices in `schema`.
    pub partitioned_by: Vec<usize>,
    /// Of a source: the column of `WATERMARK FOR`, as its index in `schema`, where that is a
    /// physical column. What a connector knows of its values before they are read
    /// ([`Split::lower_bound`](weir_engine::source::Split::lower_bound)) lets windows close
    /// while other splits still wait.
    pub event_time: Option<usize>,
    /// The `WITH` clause.
    pub options: BTreeMap<String, OptionValue>,
    /// Of a sink: how its output takes its place.
    pub output: Output,
}

/// How what is written takes its place among what is there.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// The job ends by itself, and its results are those of its end (`execution.runtime-mode` is
    /// `batch`).
    pub at_end: bool,
    /// `INSERT OVERWRITE`: at the job's end it takes the place of what was there. The columns that
    /// `PARTITION (…)` gives a value, as indices in the schema, with these values, of one row each.
    pub overwrites: Option<Vec<(usize, ArrayRef)>>,
}

/// What a column's SQL type says beyond its Arrow type.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Declared {
    /// Nothing.
    #[default]
    Plain,
    /// `CHAR(n)`, or a `VARCHAR(n)` that is no STRING: so many characters, at most.
    Text(u32),
    /// `MULTISET<t>`, which is a map from values to how often each is there.
    Multiset(Box<Declared>),
    /// The element of an ARRAY, key and value of a MAP, the fields of a ROW.
    Parts(Vec<Declared>),
}

impl Declared {
    /// The part of this number.
    #[must_use]
    pub fn part(&self, number: usize) -> &Self {
        match self {
            Self::Parts(parts) => parts.get(number).unwrap_or(&Self::Plain),
            Self::Multiset(of) if number == 0 => of,
            _ => &Self::Plain,
        }
    }
}

impl Table {
    /// What the SQL type of a column says beyond its Arrow type.
    #[must_use]
    pub fn declared(&self, column: usize) -> &Declared {
        self.declared.get(column).unwrap_or(&Declared::Plain)
    }

    /// Whether a value of an option is not known here: such a table is only checked, never read
    /// or written.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        self.options.values().any(|option| option.value.is_withheld())
    }
}

/// An option's value and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OptionValue {
    /// The value, which may come from the environment.
    pub value: OptionText,
    /// Position of the option's key in the program.
    pub at: Position,
}

/// A place in the program text, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Position {
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

/// Something that is wrong with a table, with the fix in the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// Where; `None`: the table's own place.
    pub at: Option<Position>,
    /// Cause and fix.
    pub message: String,
}

/// What a sink guarantees; shown by `weir plan`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guarantee {
    /// Each result once, visible when its epoch is committed.
    ExactlyOnce,
    /// Each result at least once; some again after a failure.
    AtLeastOnce,
    /// Nothing is kept (blackhole), or shown to a person (print).
    None,
}

/// What a sink connector gives to the graph.
#[derive(Clone)]
pub struct SinkParts {
    /// Makes the writers.
    pub factory: Arc<dyn OperatorFactory>,
    /// Commits what writers stage; absent where nothing is staged.
    pub committer: Option<Arc<dyn Committer>>,
    /// What it guarantees.
    pub guarantee: Guarantee,
    /// All rows go to one task, whatever the job's parallelism: what is written follows from all of
    /// them.
    pub single: bool,
    /// Details for `weir plan`: path, format, topic.
    pub details: BTreeMap<String, String>,
}

/// What a source connector gives to the graph.
#[derive(Clone)]
pub struct SourceParts {
    /// The source; its schema holds the columns of `projection`, in that order.
    pub source: Arc<dyn Source>,
    /// Idle timeout of a split's watermark (`scan.watermark.idle-timeout`).
    pub idle_after: Option<std::time::Duration>,
    /// Details for `weir plan`.
    pub details: BTreeMap<String, String>,
}

/// Where a connector's parts go.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The job, `namespace/name`: part of default names such as a consumer group's.
    pub job: String,
    /// The operator that the parts will become; its uid names committables.
    pub operator: OperatorInfo,
    /// Directory that relative local paths are resolved against (the manifest's).
    pub base: std::path::PathBuf,
    /// Of a source whose table has a `WATERMARK FOR` clause: what it makes of rows.
    pub first_row: Option<FirstRow>,
}

/// A table's `WATERMARK FOR` clause, applied to the first of some rows (the source's columns, as
/// its projection has them): no row of the same split that stands behind that row and is not late
/// has an event time below the answer, in milliseconds. `None` where the row does not tell.
#[derive(Clone)]
pub struct FirstRow(pub Arc<OfFirstRow>);

type OfFirstRow = dyn Fn(&RecordBatch) -> Option<i64> + Send + Sync;

impl std::fmt::Debug for FirstRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FirstRow")
    }
}

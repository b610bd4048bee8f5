//! The program's own tables and views.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field as ArrowField, Schema};
use weir_connectors::registry::{self, Changes};
use weir_connectors::table::{OptionValue, Output, Table};

use crate::error::Span;
use crate::expr::Expr;
use crate::rel::Rel;
use crate::types::{Kind, SqlType};

/// The option of a source table that names the table for late rows: `'weir.late-rows.table' =
/// 'missed'`.
///
/// A row that a window over the source drops, because the watermark had passed the end of all
/// of its windows, is written to that table. Its columns are found by name among those of the
/// source table (computed and metadata columns too), and may be fewer. Rows that a WHERE removed
/// before the window are not late. Where several windows read the source, each gives its own.
pub const LATE_ROWS_TABLE: &str = "weir.late-rows.table";

/// What a name stands for.
#[derive(Clone)]
pub(crate) enum Relation {
    Table(Arc<TableDef>),
    View(Arc<Rel>),
    /// Declared, but wrongly: whoever uses it is not told again.
    Broken,
}

/// A declared table, with the options of one place where it is used.
#[derive(Clone)]
pub(crate) struct TableDef {
    pub(crate) name: String,
    /// What tells it from every other of the program: the name, and the options of a hint.
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) columns: Vec<Column>,
    pub(crate) watermark: Option<Watermark>,
    /// Indices in `columns`.
    pub(crate) primary_key: Vec<usize>,
    /// Indices in `columns`.
    pub(crate) partitioned_by: Vec<usize>,
    /// Options with `${env:…}` replaced; those of the planner itself are not among them.
    pub(crate) options: BTreeMap<String, OptionValue>,
    /// Options as written, for names and hashes: no secrets in them.
    pub(crate) written: BTreeMap<String, String>,
    /// The whole name of the table that late rows go to, and where that is said.
    pub(crate) late_rows: Option<(String, Span)>,
    /// Where `INSERT OVERWRITE` writes it: columns that `PARTITION (…)` gives a value, with it.
    pub(crate) overwrites: Option<Vec<(usize, ArrayRef)>>,
}

#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: SqlType,
    /// A part of the type is declared NOT NULL, which the type does not say.
    pub(crate) part_not_null: bool,
    pub(crate) kind: ColumnKind,
}

#[derive(Clone)]
pub(crate) enum ColumnKind {
    Physical,
    Metadata {
        key: String,
        is_virtual: bool,
    },
    /// Over the table's columns, computed columns already replaced.
    Computed(Expr),
}

/// `WATERMARK FOR`.
#[derive(Clone)]
pub(crate) struct Watermark {
    /// Index in the table's columns.
    pub(crate) column: usize,
    pub(crate) rule: WatermarkRule,
}

#[derive(Clone)]
pub(crate) enum WatermarkRule {
    /// The event time less so many milliseconds.
    Delay(Duration),
    /// Any other expression, over the table's columns.
    Expr(Expr),
}

impl TableDef {
    /// Whether the column is the connector's.
    fn is_stored(&self, index: usize) -> bool {
        !matches!(self.columns[index].kind, ColumnKind::Computed(_))
    }

    /// Columns that a source's connector gives, as indices in `columns`.
    pub(crate) fn source_columns(&self) -> Vec<usize> {
        (0..self.columns.len()).filter(|&i| self.is_stored(i)).collect()
    }

    /// Columns that are written, as indices in `columns`.
    pub(crate) fn sink_columns(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|&i| match self.columns[i].kind {
                ColumnKind::Physical => true,
                ColumnKind::Metadata { is_virtual, .. } => !is_virtual,
                ColumnKind::Computed(_) => false,
            })
            .collect()
    }

    /// The key by which rows are written, as positions among the columns that are; none where the
    /// connector does not go by it.
    pub(crate) fn key_when_written(&self) -> Vec<usize> {
        if self.takes() != Changes::ByKey {
            return Vec::new();
        }
        let columns = self.sink_columns();
        let place = |index: &usize| columns.iter().position(|c| c == index);
        self.primary_key.iter().filter_map(place).collect()
    }

    /// The table as a source's connector sees it.
    pub(crate) fn as_source(&self) -> Table {
        self.as_table(&self.source_columns(), true)
    }

    /// The table as a sink's connector sees it.
    pub(crate) fn as_sink(&self) -> Table {
        self.as_table(&self.sink_columns(), false)
    }

    fn as_table(&self, columns: &[usize], source: bool) -> Table {
        let fields: Vec<ArrowField> = columns
            .iter()
            .map(|&i| {
                let column = &self.columns[i];
                // What is read may hold NULL whatever is declared; the task that reads it tells
                // where (see `EventTimes::not_null`), which no connector has to know.
                ArrowField::new(&column.name, column.ty.kind.arrow(), source || column.ty.nullable)
            })
            .collect();
        let place = |index: &usize| columns.iter().position(|c| c == index);
        let those = |of: fn(&Column) -> bool| {
            (0..columns.len()).filter(|at| of(&self.columns[columns[*at]])).collect()
        };
        Table {
            name: self.name.clone(),
            not_null: those(|column| !column.ty.nullable),
            part_not_null: those(|column| column.part_not_null),
            schema: Arc::new(Schema::new(fields)),
            declared: columns.iter().map(|&i| self.columns[i].ty.kind.declared()).collect(),
            metadata: columns
                .iter()
                .enumerate()
                .filter_map(|(position, &i)| match &self.columns[i].kind {
                    ColumnKind::Metadata { key, .. } => Some((position, key.clone())),
                    _ => None,
                })
                .collect(),
            primary_key: self.primary_key.iter().filter_map(place).collect(),
            partitioned_by: self.partitioned_by.iter().filter_map(place).collect(),
            event_time: self
                .watermark
                .as_ref()
                .filter(|w| source && matches!(self.columns[w.column].kind, ColumnKind::Physical))
                .and_then(|w| place(&w.column)),
            options: self.options.clone(),
            output: Output {
                at_end: false,
                overwrites: self.overwrites.as_ref().filter(|_| !source).map(|fixed| {
                    let fixed = fixed.iter();
                    fixed.filter_map(|(c, value)| Some((place(c)?, value.clone()))).collect()
                }),
            },
        }
    }

    /// The format of its rows, if it has one.
    pub(crate) fn format(&self) -> Option<&str> {
        let given = ["format", "value.format"].into_iter().find_map(|key| self.options.get(key));
        given.map(|option| option.value.stand_in())
    }

    /// Whether what is read of it says of rows that they were changed.
    pub(crate) fn gives_changes(&self) -> bool {
        registry::gives_changes(self.connector(), self.format())
    }

    /// What it takes.
    pub(crate) fn takes(&self) -> Changes {
        registry::changes(self.connector(), self.format())
    }

    /// Whether what is read of it are upserts: rows that take the place of the one of their key,
    /// and keys of rows that go.
    pub(crate) fn gives_upserts(&self) -> bool {
        self.takes() == Changes::ByKey
    }

    /// The connector's name, or `?`.
    pub(crate) fn connector(&self) -> &str {
        self.written.get("connector").map_or("?", String::as_str)
    }
}

/// Whether a value may be stored in a column without an explicit CAST, as Flink decides it.
pub(crate) fn implicit(from: Kind, to: Kind) -> bool {
    use Kind::{
        BigInt, Date, Decimal, Double, Float, Int, Null, SmallInt, Time, Timestamp, TimestampLtz,
        TinyInt,
    };
    if from == to || from == Null {
        return true;
    }
    match (from, to) {
        (TinyInt, SmallInt | Int | BigInt) | (SmallInt, Int | BigInt) | (Int, BigInt) => true,
        (a, Decimal(..)) => a.is_numeric(),
        (a, Float) => a.is_integer() || matches!(a, Decimal(..)),
        (a, Double) => a.is_numeric(),
        (a, b) if a.is_text() && b.is_text() => true,
        (Timestamp(_) | TimestampLtz(_), Timestamp(_) | TimestampLtz(_)) => true,
        (Kind::Nested(a), Kind::Nested(b)) => {
            let parts = a.parts_with(b);
            !parts.is_empty() && parts.into_iter().all(|(from, to)| implicit(from, to))
        }
        (Timestamp(_), Date | Time(_)) | (Time(_), Time(_)) => true,
        _ => false,
    }
}

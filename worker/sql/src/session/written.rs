//! Declarations and rows as they are shown.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{
    ArrowTimestampType, DataType, Field, Schema, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use crate::ast::{ColumnKind, CreateTable, Ident};
use crate::error::Span;
use crate::expr::time::Instant;
use crate::types::SqlType;
use crate::zone::Zone;

/// The statement that declares a table with all that it has, where what was written says so only
/// together with another table or a query. `text`: a stretch of what was written.
pub(super) fn declaration(table: &CreateTable, text: &dyn Fn(Span) -> String) -> String {
    let written = |span: Span| text(span).trim().to_owned();
    let ty = |ty: &SqlType| format!("{}{}", ty.kind, if ty.nullable { "" } else { " NOT NULL" });
    let comment = |comment: &Option<String>| match comment {
        Some(comment) => format!(" COMMENT {}", quoted(comment)),
        None => String::new(),
    };
    let mut parts: Vec<String> = Vec::new();
    for column in &table.columns {
        let what = match &column.kind {
            ColumnKind::Physical(of) => ty(of),
            ColumnKind::Computed(expr) => format!("AS {}", written(expr.span)),
            ColumnKind::Metadata { ty: of, key, is_virtual } => {
                let from = key.as_ref().map(|key| format!(" FROM {}", quoted(key)));
                let is_virtual = if *is_virtual { " VIRTUAL" } else { "" };
                format!("{} METADATA{}{is_virtual}", ty(of), from.unwrap_or_default())
            }
            // Columns of a query have its types by now.
            ColumnKind::OfQuery => continue,
        };
        parts.push(format!("{} {what}{}", name(&column.name), comment(&column.comment)));
    }
    if let Some(mark) = &table.watermark {
        let (column, expr) = (name(&mark.column), written(mark.expr.span));
        parts.push(format!("WATERMARK FOR {column} AS {expr}"));
    }
    if !table.primary_key.is_empty() {
        parts.push(format!("PRIMARY KEY ({}) NOT ENFORCED", names(&table.primary_key)));
    }
    let temporary = if table.temporary { "TEMPORARY " } else { "" };
    let of = table.name.shown();
    let of: Vec<String> = of.split('.').map(|part| format!("`{part}`")).collect();
    let mut all =
        format!("CREATE {temporary}TABLE {} (\n  {}\n)\n", of.join("."), parts.join(",\n  "));
    if !table.partitioned_by.is_empty() {
        all.push_str(&format!("PARTITIONED BY ({})\n", names(&table.partitioned_by)));
    }
    let options = table.options.iter();
    let options = options.map(|o| format!("{} = {}", quoted(&o.key), quoted(&o.value)));
    let options: Vec<String> = options.collect();
    all.push_str(&format!("WITH (\n  {}\n);\n", options.join(",\n  ")));
    all
}

pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

pub(super) fn name(name: &Ident) -> String {
    format!("`{}`", name.alone().replace('`', "``"))
}

fn names(of: &[Ident]) -> String {
    of.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Rows with what a clock of this zone shows in the place of points in time.
pub(super) fn on_the_clock(records: &RecordBatch, zone: Zone) -> RecordBatch {
    let mut fields: Vec<Field> = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in records.schema().fields().iter().zip(records.columns()) {
        let shown = match column.data_type() {
            DataType::Timestamp(unit, Some(_)) => match unit {
                TimeUnit::Second => local::<TimestampSecondType>(column, zone),
                TimeUnit::Millisecond => local::<TimestampMillisecondType>(column, zone),
                TimeUnit::Microsecond => local::<TimestampMicrosecondType>(column, zone),
                TimeUnit::Nanosecond => local::<TimestampNanosecondType>(column, zone),
            },
            _ => Arc::clone(column),
        };
        fields.push(
            Field::clone(field).with_data_type(shown.data_type().clone()).with_nullable(true),
        );
        columns.push(shown);
    }
    // Columns have the lengths and types that they had, so that there is always a batch of them.
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap_or_else(|_| records.clone())
}

fn local<T: ArrowTimestampType>(column: &ArrayRef, zone: Zone) -> ArrayRef {
    let at = |value: i64| zone.local(Instant::of_unit(value, T::UNIT))?.in_unit(T::UNIT);
    Arc::new(column.as_primitive::<T>().unary_opt::<_, T>(at))
}

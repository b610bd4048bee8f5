//! Calc over batches: metadata stays with its rows.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Int32Array, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field as ArrowField, Int32Type, Schema};
use weir_engine::{Batch, RowKind};

use crate::bind::expr::{Scope, bind_plain};
use crate::calc::Calc;
use crate::expr::Expr;
use crate::parse::parse_expr;
use crate::rel::{Field, Role};
use crate::types::{Kind, SqlType};

fn bind(sql: &str) -> Expr {
    let fields = [Field {
        name: "n".to_owned(),
        ty: SqlType::nullable(Kind::Int),
        role: Role::Plain,
    }];
    let scope = Scope {
        fields: &fields,
        qualifier: None,
        place: "t",
        aliases: &[],
    };
    bind_plain(&parse_expr(sql).unwrap(), &scope, "").unwrap()
}

fn schema(nullable: bool) -> Arc<Schema> {
    Arc::new(Schema::new(vec![ArrowField::new(
        "m",
        DataType::Int32,
        nullable,
    )]))
}

fn batch() -> Batch {
    let n = Int32Array::from(vec![Some(1), Some(2), None, Some(4)]);
    let records =
        RecordBatch::try_from_iter_with_nullable(vec![("n", Arc::new(n) as _, true)]).unwrap();
    Batch::new(records)
        .with_kinds(Some(
            [
                RowKind::Insert,
                RowKind::Delete,
                RowKind::Insert,
                RowKind::UpdateAfter,
            ]
            .into(),
        ))
        .with_behind(Some(Int64Array::from(vec![None, Some(7), None, Some(9)])))
        .with_hashes(UInt64Array::from(vec![1, 2, 3, 4]))
}

#[test]
fn a_filter_keeps_metadata_with_its_rows_and_drops_hashes() {
    let calc = Calc::new(Some(&bind("n >= 2")), &[bind("n * 10")], schema(true));
    let out = calc.apply(batch()).unwrap();
    assert_eq!(
        out.records().column(0).as_primitive::<Int32Type>().values(),
        &[20, 40]
    );
    assert_eq!(
        out.kinds().map(|k| k.to_vec()),
        Some(vec![RowKind::Delete, RowKind::UpdateAfter])
    );
    assert_eq!(out.behind().map(|b| b.values().to_vec()), Some(vec![7, 9]));
    assert!(out.hashes().is_none());
}

#[test]
fn a_filter_that_nothing_passes_gives_an_empty_batch() {
    let calc = Calc::new(Some(&bind("n > 100")), &[bind("1 / (n - n)")], schema(true));
    let out = calc.apply(batch()).unwrap();
    assert_eq!(out.num_rows(), 0);
    assert_eq!(out.records().schema(), schema(true));
}

#[test]
fn null_in_a_not_null_column_is_an_error_with_its_words() {
    let calc = Calc::new(None, &[bind("n")], schema(false))
        .with_not_null(vec![(0, "m must not be NULL".to_owned())]);
    assert_eq!(
        calc.apply(batch()).unwrap_err().message,
        "m must not be NULL"
    );
    let calc = Calc::new(Some(&bind("n IS NOT NULL")), &[bind("n")], schema(false))
        .with_not_null(vec![(0, String::new())]);
    assert_eq!(
        calc.apply(batch())
            .unwrap()
            .records()
            .column(0)
            .null_count(),
        0
    );
}

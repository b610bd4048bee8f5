//! Comparison and tests that give TRUE, FALSE or NULL.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::compute::kernels::cmp;
use arrow::compute::{is_not_null, is_null, not};
use arrow::datatypes::{Float32Type, Float64Type};

use super::col::{Bools, Col, Prims, rows_of};
use super::{Kernel, nested};
use crate::ast::BinaryOp;
use crate::types::Kind;

/// Compares two columns of the same type.
pub(crate) fn kernel(op: BinaryOp, kind: Kind) -> Kernel {
    let holds = move |order: Option<Ordering>| match op {
        // NaN equals nothing, as in Java; −0.0 equals 0.0.
        BinaryOp::Eq => order == Some(Ordering::Equal),
        BinaryOp::NotEq => order != Some(Ordering::Equal),
        BinaryOp::Less => order == Some(Ordering::Less),
        BinaryOp::LessEq => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        BinaryOp::Greater => order == Some(Ordering::Greater),
        _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    };
    match kind {
        Kind::Null => Arc::new(|args, rows| {
            let rows = rows_of(args, rows);
            Ok(Col::of(Arc::new(BooleanArray::new_null(rows)), args))
        }),
        Kind::Float => Arc::new(move |args, rows| {
            let (a, b) = (Prims::<Float32Type>::of(&args[0]), Prims::<Float32Type>::of(&args[1]));
            let result: BooleanArray = (0..rows_of(args, rows))
                .map(|row| Some(holds(a.get(row)?.partial_cmp(&b.get(row)?))))
                .collect();
            Ok(Col::of(Arc::new(result), args))
        }),
        Kind::Double => Arc::new(move |args, rows| {
            let (a, b) = (Prims::<Float64Type>::of(&args[0]), Prims::<Float64Type>::of(&args[1]));
            let result: BooleanArray = (0..rows_of(args, rows))
                .map(|row| Some(holds(a.get(row)?.partial_cmp(&b.get(row)?))))
                .collect();
            Ok(Col::of(Arc::new(result), args))
        }),
        Kind::Nested(nested) => Arc::new(move |args, rows| {
            let at = |col: &Col, row: usize| if col.is_scalar() { 0 } else { row };
            let one = |row: usize| {
                let (a, b) =
                    ((args[0].values(), at(&args[0], row)), (args[1].values(), at(&args[1], row)));
                let equal = nested::equal(nested, a, b)?;
                Some(equal == (op == BinaryOp::Eq))
            };
            let result: BooleanArray = (0..rows_of(args, rows)).map(one).collect();
            Ok(Col::of(Arc::new(result), args))
        }),
        _ => Arc::new(move |args, _| {
            let (a, b) = (&args[0], &args[1]);
            let result = match op {
                BinaryOp::Eq => cmp::eq(a, b),
                BinaryOp::NotEq => cmp::neq(a, b),
                BinaryOp::Less => cmp::lt(a, b),
                BinaryOp::LessEq => cmp::lt_eq(a, b),
                BinaryOp::Greater => cmp::gt(a, b),
                _ => cmp::gt_eq(a, b),
            }?;
            Ok(Col::of(Arc::new(result), args))
        }),
    }
}

/// `IS [NOT] DISTINCT FROM`: like `<>`, with NULL as a value of its own.
pub(crate) fn distinct(kind: Kind, negated: bool) -> Kernel {
    let equal = kernel(BinaryOp::Eq, kind);
    Arc::new(move |args, rows| {
        let rows = rows_of(args, rows);
        let equal = equal(args, rows)?.to_rows(rows)?;
        let equal = equal.as_boolean();
        // The kernel also knows that a column of type NULL is all NULL.
        let (a, b) = (is_null(&args[0].to_rows(rows)?)?, is_null(&args[1].to_rows(rows)?)?);
        let result: BooleanArray = (0..rows)
            .map(|row| {
                let same = match (a.value(row), b.value(row)) {
                    (true, true) => true,
                    (false, false) => equal.is_valid(row) && equal.value(row),
                    _ => false,
                };
                Some(same == negated)
            })
            .collect();
        Ok(Col::of(Arc::new(result), args))
    })
}

/// `IS [NOT] NULL`.
pub(crate) fn null_test(negated: bool) -> Kernel {
    Arc::new(move |args, _| {
        let values = args[0].values();
        let result = if negated { is_not_null(values)? } else { is_null(values)? };
        Ok(Col::of(Arc::new(result), args))
    })
}

/// `IS [NOT] TRUE`, `FALSE`, `UNKNOWN`.
pub(crate) fn truth_test(value: Option<bool>, negated: bool) -> Kernel {
    Arc::new(move |args, rows| {
        let of = Bools::of(&args[0]);
        let result: BooleanArray =
            (0..rows_of(args, rows)).map(|row| Some((of.get(row) == value) != negated)).collect();
        Ok(Col::of(Arc::new(result), args))
    })
}

/// `NOT`.
pub(crate) fn negation() -> Kernel {
    Arc::new(|args, _| Ok(Col::of(Arc::new(not(args[0].values().as_boolean())?), args)))
}

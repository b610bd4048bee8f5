//! What is computed below an operator, a column each.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Int64Type};

use super::aggregate::{map_children, same};
use super::over::OVER;
use super::query::short_name;
use crate::expr::Expr;
use crate::rel::Field;

/// Expressions over what FROM gives, each once.
#[derive(Default)]
pub(super) struct Below {
    pub(super) exprs: Vec<Expr>,
    pub(super) names: Vec<String>,
}

impl Below {
    /// Where this is computed.
    pub(super) fn place(&mut self, expr: &Expr, name: impl FnOnce() -> String) -> usize {
        self.exprs.iter().position(|known| same(known, expr)).unwrap_or_else(|| {
            self.exprs.push(expr.clone());
            self.names.push(name());
            self.exprs.len() - 1
        })
    }

    /// The expression over what is below, calls of OVER left as they are.
    pub(super) fn split(&mut self, expr: &Expr, fields: &[Field]) -> Expr {
        let mut columns = std::collections::BTreeSet::new();
        expr.columns(&mut columns);
        if columns.is_empty() || expr.as_column().is_some_and(|column| column >= OVER) {
            return expr.clone();
        }
        if columns.iter().any(|column| *column >= OVER) {
            return map_children(expr, &mut |child| self.split(child, fields));
        }
        let at = self.place(expr, || short_name(expr, fields));
        Expr::column(at, expr.ty, expr.span)
    }
}

/// The number of a literal.
pub(super) fn literal(expr: &Expr) -> Option<i64> {
    let value = expr.as_literal()?;
    if value.is_null(0) {
        return None;
    }
    let value = arrow::compute::cast(value, &DataType::Int64).ok()?;
    Some(value.as_primitive::<Int64Type>().value(0))
}

//! What PERCENTILE, an aggregate, takes in the place of its arguments.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};
use weir_engine::EngineError;
use weir_engine::aggregate::functions::percentile_item;

use super::{Function, Site, Want, special};
use crate::error::SqlError;
use crate::expr::Expr;
use crate::types::{Kind, Nested, SqlType};

pub(super) const FUNCTIONS: &[Function] = &[special(
    "PERCENTILE ITEM",
    "PERCENTILE(number, part from 0 to 1, or an array of parts [, how often])",
    item,
)];

fn item(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=3)?;
    let value = site.want(0, Want::Double)?;
    let asked = site.expr(1)?;
    let parts = match asked.kind() {
        Kind::Nested(Nested::Array(of)) if of.is_numeric() => {
            crate::bind::expr::cast_to(asked.clone(), Nested::array(Kind::Double), asked.span)?
        }
        Kind::Nested(_) => return site.type_error(1, "a number from 0 to 1, or an array of such"),
        _ => site.want(1, Want::Double)?,
    };
    let at = parts.span;
    let Some(known) = parts.as_literal() else {
        return Err(SqlError::new(
            at,
            "the part that PERCENTILE asks for is a number in the text, or an array of such",
        ));
    };
    let items = match known.as_list_opt::<i32>() {
        Some(list) => list.values().clone(),
        None => known.clone(),
    };
    let items = items.as_primitive::<Float64Type>();
    if known.is_null(0) || items.null_count() > 0 {
        return Err(SqlError::new(at, "a part that PERCENTILE asks for is not NULL"));
    }
    if let Some(part) = items.values().iter().find(|part| !(0.0..=1.0).contains(*part)) {
        let message = format!("a part that PERCENTILE asks for is from 0 to 1, not {part}");
        return Err(SqlError::new(at, message));
    }
    let mut args = vec![value, parts];
    if site.args.len() > 2 {
        args.push(site.want(2, Want::BigInt)?);
    }
    let fields = ["value", "parts", "count"].into_iter().map(str::to_owned);
    let kinds = [Kind::Double, args[1].kind(), Kind::BigInt];
    let kind = Nested::Row(fields.zip(kinds).collect()).kind();
    site.call(args, SqlType::nullable(kind), true, |args, rows| {
        let values = args[0].to_rows(rows)?;
        let parts = args[1].to_rows(rows)?;
        let counts = match args.get(2) {
            Some(counts) => counts.to_rows(rows)?.as_primitive::<Int64Type>().clone(),
            None => Int64Array::from(vec![1; rows]),
        };
        if counts.iter().flatten().any(|count| count < 0) {
            return Err(EngineError::user(
                "PERCENTILE counts a value less than never; the third argument is 0 or more",
            ));
        }
        percentile_item(values.as_primitive::<Float64Type>(), &parts, &counts)
    })
}

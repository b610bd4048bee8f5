//! TYPEOF, and what a program is in: CURRENT_DATABASE.

use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray};

use super::{Function, Site, special};
use crate::error::SqlError;
use crate::expr::{Expr, Node, Style};
use crate::types::{Kind, STRING_LENGTH};

pub(super) const FUNCTIONS: &[Function] = &[
    special("TYPEOF", "TYPEOF(value [, TRUE for types without short names])", type_of),
    special("CURRENT_DATABASE", "CURRENT_DATABASE()", |site| {
        site.expect_count(0..=0)?;
        Ok(text(site, crate::database::name_of(&crate::database::current())))
    }),
];

fn text(site: &Site, value: &str) -> Expr {
    Expr::literal(Arc::new(StringArray::from(vec![value])), Kind::STRING, site.span)
}

fn type_of(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=2)?;
    let of = site.expr(0)?;
    let long = match site.args.get(1) {
        None => false,
        Some(_) => {
            let flag = site.expr(1)?;
            let value = flag.as_literal().filter(|v| v.is_valid(0) && flag.kind() == Kind::Boolean);
            match value {
                Some(value) => value.as_boolean().value(0),
                None => return site.type_error(1, "TRUE or FALSE"),
            }
        }
    };
    let (kind, nullable) = (of.kind(), of.ty.nullable);
    let name = match kind {
        Kind::Null => return Ok(text(site, "NULL")),
        Kind::Time(p) => format!("TIME({p})"),
        Kind::IntervalMillis => "INTERVAL SECOND(3)".to_owned(),
        Kind::IntervalMonths => "INTERVAL MONTH".to_owned(),
        Kind::VarChar(STRING_LENGTH) if long => format!("VARCHAR({STRING_LENGTH})"),
        Kind::Bytes if long => format!("VARBINARY({STRING_LENGTH})"),
        Kind::TimestampLtz(p) if long => format!("TIMESTAMP({p}) WITH LOCAL TIME ZONE"),
        Kind::Nested(_) => {
            return site.error(
                of.span,
                "TYPEOF of ARRAY, MAP, MULTISET and ROW is not supported: whether their parts may be NULL is not kept",
            );
        }
        // Lengths are not followed through functions.
        Kind::Char(_) | Kind::VarChar(_) if kind != Kind::STRING && !has_exact_length(&of) => {
            return site.error(
                of.span,
                "TYPEOF of such a string is not supported: its longest length is not known; CAST it AS VARCHAR(n) or STRING",
            );
        }
        kind => kind.to_string(),
    };
    Ok(text(site, &format!("{name}{}", if nullable { "" } else { " NOT NULL" })))
}

/// Whether the length in a string's type is the one that Flink has.
fn has_exact_length(of: &Expr) -> bool {
    match &*of.node {
        Node::Column(_) | Node::Literal(_) => true,
        Node::Call(call) => call.style == Style::Cast,
        _ => false,
    }
}

//! Functions that choose among their arguments; those not chosen are not computed.

use super::{Function, Site, special};
use crate::ast::BinaryOp;
use crate::bind::expr::{call, choose, compare_op};
use crate::error::SqlError;
use crate::expr::{Expr, Style, compare};
use crate::types::{Kind, SqlType};

pub(super) const FUNCTIONS: &[Function] = &[
    special("COALESCE", "COALESCE(value, value, …)", coalesce),
    special("IFNULL", "IFNULL(value, replacement)", |site| {
        site.expect_count(2..=2)?;
        coalesce(site)
    }),
    special("NULLIF", "NULLIF(value, value)", nullif),
    special("IF", "IF(condition, value, value)", if_),
    special("GREATEST", "GREATEST(value, value, …)", |site| extreme(site, BinaryOp::GreaterEq)),
    special("LEAST", "LEAST(value, value, …)", |site| extreme(site, BinaryOp::LessEq)),
];

fn is_null(expr: Expr, negated: bool) -> Result<Expr, SqlError> {
    let span = expr.span;
    let name = if negated { "IS NOT NULL" } else { "IS NULL" };
    call(
        name,
        vec![expr],
        compare::null_test(negated),
        SqlType::not_null(Kind::Boolean),
        Style::Postfix,
        span,
    )
}

fn all(site: &Site) -> Result<Vec<Expr>, SqlError> {
    (0..site.args.len()).map(|i| site.expr(i)).collect()
}

fn what(site: &Site) -> String {
    format!("the arguments of {}", site.function.name)
}

fn coalesce(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=usize::MAX)?;
    let args = all(site)?;
    let nullable = args.iter().all(|a| a.ty.nullable);
    let conditions = args[..args.len() - 1]
        .iter()
        .map(|a| is_null(a.clone(), true))
        .collect::<Result<Vec<_>, _>>()?;
    let mut result = choose(conditions, args, &what(site), site.span)?;
    result.ty.nullable = nullable;
    Ok(result)
}

fn nullif(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let (a, b) = (site.expr(0)?, site.expr(1)?);
    let equal = compare_op(a.clone(), BinaryOp::Eq, b, site.span)?;
    let null = Expr::null(a.kind(), site.span);
    choose(vec![equal], vec![null, a], &what(site), site.span)
}

fn if_(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(3..=3)?;
    let condition = site.want(0, super::Want::Boolean)?;
    choose(vec![condition], vec![site.expr(1)?, site.expr(2)?], &what(site), site.span)
}

/// NULL when any argument is NULL.
fn extreme(site: &mut Site, op: BinaryOp) -> Result<Expr, SqlError> {
    site.expect_count(1..=usize::MAX)?;
    let args = all(site)?;
    let mut best = args[0].clone();
    for next in &args[1..] {
        let better = compare_op(best.clone(), op, next.clone(), site.span)?;
        let missing = crate::bind::expr::logical(
            BinaryOp::Or,
            is_null(best.clone(), false)?,
            is_null(next.clone(), false)?,
            site.span,
        );
        let null = Expr::null(Kind::Null, site.span);
        best = choose(
            vec![missing, better],
            vec![null, best.clone(), next.clone()],
            &what(site),
            site.span,
        )?;
        if best.kind() == Kind::Null {
            break;
        }
    }
    Ok(best)
}

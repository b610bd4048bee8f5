//! Operators: arithmetic, comparison, logic, casts.

use std::sync::Arc;

use arrow::array::{Decimal128Array, Int32Array, Int64Array};

use super::literals::number;
use super::{Bound, ExprBinder, call, call_with, fail};
use crate::ast::{self, BinaryOp, ExprKind};
use crate::bind::interval;
use crate::error::{Span, SqlError};
use crate::expr::{Col, Expr, Kernel, Node, Style, arith, cast, compare};
use crate::functions::{self, Arg};
use crate::types::{Kind, SqlType};
use crate::zone;

impl ExprBinder<'_> {
    pub(super) fn negate(&mut self, of: &ast::Expr, span: Span) -> Bound {
        // -9223372036854775808 is a BIGINT although its digits alone are not.
        if let ExprKind::Number(text) = &of.kind {
            return number(&format!("-{text}"), span);
        }
        let of = self.bind(of)?;
        let zero = match of.kind() {
            Kind::IntervalMillis | Kind::IntervalMonths => {
                Expr::literal(Arc::new(Int64Array::from(vec![0])), of.kind(), span)
            }
            kind if kind.is_numeric() => {
                let zero = Expr::literal(Arc::new(Int32Array::from(vec![0])), Kind::Int, span);
                let ty = of.ty;
                let zero = cast_to(zero, ty.kind, span)?;
                let kernel = match ty.kind {
                    Kind::Decimal(..) => return negate_decimal(of, span),
                    kind => arith::kernel(BinaryOp::Subtract, kind, kind, kind),
                };
                let Some(kernel) = kernel else {
                    return fail(span, format!("{} cannot be negated", ty.kind));
                };
                // 0 - x, shown as -x; −0.0 does not matter to any comparison.
                let negated: Kernel = Arc::new(move |args, rows| {
                    let zero = match zero.as_literal() {
                        Some(zero) => Col::Scalar(zero.clone()),
                        None => args[0].clone(),
                    };
                    kernel(&[zero, args[0].clone()], rows)
                });
                return call("-", vec![of], negated, ty, Style::Prefix, span);
            }
            Kind::Null => return Ok(Expr::null(Kind::Null, span)),
            kind => {
                return fail(span, format!("'-' needs a number or an interval, not {kind}"));
            }
        };
        interval::arithmetic(zero, BinaryOp::Subtract, of, span)
            .unwrap_or_else(|| fail(span, "an interval cannot be negated here"))
    }

    pub(super) fn binary(
        &mut self,
        left: &ast::Expr,
        op: BinaryOp,
        right: &ast::Expr,
        span: Span,
    ) -> Bound {
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let a = self.boolean(left, op.sign())?;
                let b = self.boolean(right, op.sign())?;
                Ok(logical(op, a, b, span))
            }
            BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Less
            | BinaryOp::LessEq
            | BinaryOp::Greater
            | BinaryOp::GreaterEq => {
                let (a, b) = (self.bind(left)?, self.bind(right)?);
                compare_op(a, op, b, span)
            }
            BinaryOp::Concat => {
                let args = vec![Arg::Expr(self.bind(left)?), Arg::Expr(self.bind(right)?)];
                functions::bind("||", args, span, span)
            }
            _ => {
                let (a, b) = (self.bind(left)?, self.bind(right)?);
                arithmetic(a, op, b, span)
            }
        }
    }
}

pub(super) fn not(expr: Expr, span: Span) -> Bound {
    let ty = expr.ty;
    call("NOT", vec![expr], compare::negation(), ty, Style::Prefix, span)
}

/// AND or OR of two conditions.
pub(crate) fn logical(op: BinaryOp, a: Expr, b: Expr, span: Span) -> Expr {
    let ty = SqlType { kind: Kind::Boolean, nullable: a.ty.nullable || b.ty.nullable };
    let node = if op == BinaryOp::And { Node::And(a, b) } else { Node::Or(a, b) };
    Expr::new(node, ty, span)
}

pub(crate) fn cast_to(expr: Expr, kind: Kind, span: Span) -> Bound {
    cast::cast(expr, SqlType::nullable(kind), Style::Hidden, false, span)
        .map_err(|m| SqlError::new(span, m))
}

/// Both sides as one type that can be compared.
pub(super) fn comparable(a: Expr, b: Expr, span: Span) -> Result<(Expr, Expr, Kind), SqlError> {
    let (ka, kb) = (a.kind(), b.kind());
    let common = match (ka, kb) {
        // A literal string beside a date or time is read as one.
        (ka, kb) if ka.is_temporal() && kb.is_text() && b.as_literal().is_some() => Some(ka),
        (ka, kb) if kb.is_temporal() && ka.is_text() && a.as_literal().is_some() => Some(kb),
        // On the session's clock, where an hour that comes twice is one.
        (Kind::TimestampLtz(p), Kind::Timestamp(q))
        | (Kind::Timestamp(p), Kind::TimestampLtz(q))
            if !zone::current().is_utc() =>
        {
            Some(Kind::Timestamp(p.max(q)))
        }
        _ => ka.common(kb),
    };
    let Some(common) = common else {
        let hint =
            if ka.is_text() || kb.is_text() { "; CAST one side to the other's type" } else { "" };
        return fail(span, format!("{ka} and {kb} cannot be compared{hint}"));
    };
    let (sa, sb) = (a.span, b.span);
    Ok((cast_to(a, common, sa)?, cast_to(b, common, sb)?, common))
}

/// A TIMESTAMP in the text that points in time are ordered by, or looked up among others, is one of
/// them, as in Flink: of an hour that comes twice the first. Beside another column's, and where it
/// is to be equal, what the clock shows counts. In UTC all of that is the same.
pub(super) fn as_point(value: Expr, beside: &Expr) -> Bound {
    match (value.kind(), beside.kind()) {
        (Kind::Timestamp(p), Kind::TimestampLtz(q))
            if value.as_literal().is_some() && !zone::current().is_utc() =>
        {
            let at = value.span;
            cast_to(value, Kind::TimestampLtz(p.max(q)), at)
        }
        _ => Ok(value),
    }
}

pub(crate) fn compare_op(a: Expr, op: BinaryOp, b: Expr, span: Span) -> Bound {
    let (a, b) = match op {
        BinaryOp::Eq | BinaryOp::NotEq => (a, b),
        _ => (as_point(a.clone(), &b)?, as_point(b, &a)?),
    };
    let (a, b, kind) = comparable(a, b, span)?;
    if matches!(kind, Kind::Bytes) && !matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
        return fail(span, "BYTES can only be compared with = and <>");
    }
    if kind == Kind::Bitmap {
        return fail(span, "BITMAP cannot be compared; compare BITMAP_TO_STRING of both");
    }
    let has_order = !matches!(kind, Kind::Nested(_) | Kind::Variant);
    if !has_order && !matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
        return fail(span, format!("{kind} can only be compared with = and <>"));
    }
    let of_parts = matches!(kind, Kind::Nested(_));
    let nullable = a.ty.nullable || b.ty.nullable || of_parts;
    let ty = SqlType { kind: Kind::Boolean, nullable };
    call(op.sign(), vec![a, b], compare::kernel(op, kind), ty, Style::Infix, span)
}

pub(crate) fn arithmetic(a: Expr, op: BinaryOp, b: Expr, span: Span) -> Bound {
    if let Some(result) = interval::arithmetic(a.clone(), op, b.clone(), span) {
        return result;
    }
    let (ka, kb) = (a.kind(), b.kind());
    let (ka, kb) = match (ka, kb) {
        (Kind::Null, Kind::Null) => (Kind::Int, Kind::Int),
        (Kind::Null, kind) => (kind, kind),
        (kind, Kind::Null) => (kind, kind),
        other => other,
    };
    let Some(result) = arith::result_kind(op, ka, kb) else {
        let hint = match (op, ka, kb) {
            (BinaryOp::Add, a, b) if a.is_text() || b.is_text() => "; strings are joined with ||",
            (BinaryOp::Subtract, a, b) if a.is_temporal() && b.is_temporal() => {
                "; use TIMESTAMPDIFF(SECOND, b, a)"
            }
            (BinaryOp::Add | BinaryOp::Subtract, a, b) if a.is_temporal() && b.is_numeric() => {
                "; add an interval, such as INTERVAL '1' HOUR"
            }
            (_, a, b) if a.is_text() || b.is_text() => "; CAST the string to a number",
            _ => "",
        };
        return fail(span, format!("'{}' cannot take {ka} and {kb}{hint}", op.sign()));
    };
    let operand = |kind: Kind| match (result, kind.as_decimal()) {
        (Kind::Decimal(..), Some((p, s))) => Kind::Decimal(p, s),
        // MOD gives the second type, but is computed in the wider.
        _ if op == BinaryOp::Modulo && ka.is_integer() && kb.is_integer() => {
            ka.common(kb).unwrap_or(result)
        }
        _ => result,
    };
    let (da, db) = (operand(ka), operand(kb));
    let computed = if matches!(result, Kind::Decimal(..)) { result } else { da };
    let divides = matches!(op, BinaryOp::Divide | BinaryOp::Modulo);
    let nullable = a.ty.nullable || b.ty.nullable || matches!(result, Kind::Decimal(..));
    let (sa, sb) = (a.span, b.span);
    let safe_divisor = b.as_literal().is_some_and(|v| {
        crate::expr::render::literal(v, b.kind()).bytes().any(|d| (b'1'..=b'9').contains(&d))
    });
    let args = vec![cast_to(a, da, sa)?, cast_to(b, db, sb)?];
    let Some(kernel) = arith::kernel(op, computed, da, db) else {
        return fail(span, format!("'{}' cannot take {ka} and {kb}", op.sign()));
    };
    let fallible = divides && !computed.is_approximate() && !safe_divisor;
    let ty = SqlType { kind: computed, nullable };
    let value = call_with(op.sign(), args, kernel, ty, Style::Infix, fallible, span)?;
    cast_to(value, result, span)
}

pub(super) fn negate_decimal(of: Expr, span: Span) -> Bound {
    use arrow::array::AsArray;
    use arrow::datatypes::Decimal128Type;
    let ty = of.ty;
    let kernel: Kernel = Arc::new(|args, _| {
        let values = args[0].values().as_primitive::<Decimal128Type>();
        let (p, s) = (values.precision(), values.scale());
        let negated: Decimal128Array =
            values.unary::<_, Decimal128Type>(|v| -v).with_precision_and_scale(p, s)?;
        Ok(Col::of(Arc::new(negated), args))
    });
    call("-", vec![of], kernel, ty, Style::Prefix, span)
}

pub(super) fn cast_hint(from: Kind, to: Kind) -> &'static str {
    match (from, to) {
        (Kind::Variant, _) => "; JSON_STRING gives its text, and v['member'] or v[1] its parts",
        (a, Kind::TimestampLtz(_)) if a.is_numeric() => "; use TO_TIMESTAMP_LTZ(number, 3)",
        (a, Kind::Timestamp(_)) if a.is_numeric() => {
            "; use CAST(TO_TIMESTAMP_LTZ(number, 3) AS TIMESTAMP(3))"
        }
        (a, b) if a.is_timestamp() && b.is_numeric() => "; use UNIX_TIMESTAMP or EXTRACT",
        _ => "",
    }
}

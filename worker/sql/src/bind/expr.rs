//! Expressions: names → columns, operators and functions → typed calls.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
};
use weir_engine::operators::window::spec::Function as Aggregation;

use super::interval;
use crate::ast::{self, BinaryOp, ExprKind};
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::{Call, Col, Expr, Kernel, Node, Style, arith, cast, compare};
use crate::functions::{self, Arg};
use crate::rel::Field;
use crate::types::{Kind, SqlType};

/// What names mean in an expression.
pub(crate) struct Scope<'a> {
    pub(crate) fields: &'a [Field],
    /// The name that columns may be qualified with.
    pub(crate) qualifier: Option<&'a str>,
    /// What the columns belong to, for messages: `table "flights"`.
    pub(crate) place: &'a str,
    /// Names that the SELECT list gives: not visible here, but worth a hint.
    pub(crate) aliases: &'a [String],
}

/// An aggregate call found in a SELECT list or HAVING; its column follows the input's.
pub(crate) struct FoundAggregate {
    pub(crate) function: Aggregation,
    pub(crate) arg: Option<Expr>,
    pub(crate) filter: Option<Expr>,
    pub(crate) distinct: bool,
    pub(crate) kind: Kind,
}

/// Binds expressions in a scope.
pub(crate) struct ExprBinder<'a> {
    pub(crate) scope: &'a Scope<'a>,
    /// Where aggregates go; `None` where they are not allowed.
    pub(crate) aggregates: Option<&'a mut Vec<FoundAggregate>>,
    /// Why they are not allowed.
    pub(crate) no_aggregates: &'static str,
}

type Bound = Result<Expr, SqlError>;

fn fail<T>(span: Span, message: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::new(span, message))
}

/// Binds an expression in which aggregates have no place.
pub(crate) fn bind_plain(
    expr: &ast::Expr,
    scope: &Scope<'_>,
    no_aggregates: &'static str,
) -> Bound {
    ExprBinder { scope, aggregates: None, no_aggregates }.bind(expr)
}

/// Binds a condition: a BOOLEAN.
pub(crate) fn condition(binder: &mut ExprBinder<'_>, expr: &ast::Expr, clause: &str) -> Bound {
    let bound = binder.bind(expr)?;
    match bound.kind() {
        Kind::Boolean => Ok(bound),
        Kind::Null => Ok(Expr::null(Kind::Boolean, expr.span)),
        kind => fail(
            expr.span,
            format!("{clause} is a BOOLEAN, not {kind}; compare the value with something"),
        ),
    }
}

impl ExprBinder<'_> {
    pub(crate) fn bind(&mut self, expr: &ast::Expr) -> Bound {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Column(parts) => self.column(parts, span),
            ExprKind::Number(text) => number(text, span),
            ExprKind::Text(text) => Ok(text_literal(text, span)),
            ExprKind::Bool(value) => {
                Ok(Expr::literal(Arc::new(BooleanArray::from(vec![*value])), Kind::Boolean, span))
            }
            ExprKind::Null => Ok(Expr::null(Kind::Null, span)),
            ExprKind::Typed { keyword, text } => typed_literal(keyword, text, span),
            ExprKind::Interval { text, from, to } => interval::bind(text, *from, *to, span),
            ExprKind::Unit(_) => fail(span, "a unit of time has no meaning here"),
            ExprKind::Negate(of) => self.negate(of, span),
            ExprKind::Not(of) => {
                let of = self.boolean(of, "NOT")?;
                let ty = of.ty;
                call("NOT", vec![of], compare::negation(), ty, Style::Prefix, span)
            }
            ExprKind::Binary { left, op, right } => self.binary(left, *op, right, span),
            ExprKind::IsNull { of, negated } => {
                let of = self.bind(of)?;
                let name = if *negated { "IS NOT NULL" } else { "IS NULL" };
                call(
                    name,
                    vec![of],
                    compare::null_test(*negated),
                    SqlType::not_null(Kind::Boolean),
                    Style::Postfix,
                    span,
                )
            }
            ExprKind::IsBool { of, value, negated } => {
                let of = self.boolean(of, "IS TRUE")?;
                let word = match value {
                    Some(true) => "TRUE",
                    Some(false) => "FALSE",
                    None => "UNKNOWN",
                };
                let name = format!("IS {}{word}", if *negated { "NOT " } else { "" });
                call(
                    &name,
                    vec![of],
                    compare::truth_test(*value, *negated),
                    SqlType::not_null(Kind::Boolean),
                    Style::Postfix,
                    span,
                )
            }
            ExprKind::IsDistinct { left, right, negated } => {
                let (a, b) = (self.bind(left)?, self.bind(right)?);
                let (a, b, kind) = comparable(a, b, span)?;
                let name = if *negated { "IS NOT DISTINCT FROM" } else { "IS DISTINCT FROM" };
                call(
                    name,
                    vec![a, b],
                    compare::distinct(kind, *negated),
                    SqlType::not_null(Kind::Boolean),
                    Style::Infix,
                    span,
                )
            }
            ExprKind::Between { of, low, high, negated, symmetric } => {
                let (of, low, high) = (self.bind(of)?, self.bind(low)?, self.bind(high)?);
                let between = |low: &Expr, high: &Expr| {
                    let above = compare_op(of.clone(), BinaryOp::GreaterEq, low.clone(), span)?;
                    let below = compare_op(of.clone(), BinaryOp::LessEq, high.clone(), span)?;
                    Ok::<_, SqlError>(logical(BinaryOp::And, above, below, span))
                };
                let mut result = between(&low, &high)?;
                if *symmetric {
                    result = logical(BinaryOp::Or, result, between(&high, &low)?, span);
                }
                if *negated { not(result, span) } else { Ok(result) }
            }
            ExprKind::InList { of, list, negated } => {
                let of = self.bind(of)?;
                let mut tests = list
                    .iter()
                    .map(|item| {
                        let item = self.bind(item)?;
                        let at = item.span;
                        compare_op(of.clone(), BinaryOp::Eq, item, at)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                // A balanced tree, so that a long list is not a deep one.
                while tests.len() > 1 {
                    let mut next = Vec::with_capacity(tests.len().div_ceil(2));
                    let mut pairs = tests.into_iter();
                    while let Some(a) = pairs.next() {
                        next.push(match pairs.next() {
                            Some(b) => logical(BinaryOp::Or, a, b, span),
                            None => a,
                        });
                    }
                    tests = next;
                }
                let result = tests.remove(0);
                if *negated { not(result, span) } else { Ok(result) }
            }
            ExprKind::Like { of, pattern, escape, negated, similar } => {
                let mut args = vec![Arg::Expr(self.bind(of)?), Arg::Expr(self.bind(pattern)?)];
                if let Some(escape) = escape {
                    args.push(Arg::Expr(text_literal(escape, span)));
                }
                let name = if *similar { "SIMILAR" } else { "LIKE" };
                let result = functions::bind(name, args, span, span)?;
                if *negated { not(result, span) } else { Ok(result) }
            }
            ExprKind::Case { operand, whens, otherwise } => {
                self.case(operand.as_deref(), whens, otherwise.as_deref(), span)
            }
            ExprKind::Cast { of, ty, lenient } => {
                let of = self.bind(of)?;
                let from = of.kind();
                if !cast::exists(from, ty.kind) {
                    let hint = cast_hint(from, ty.kind);
                    return fail(
                        span,
                        format!("CAST from {from} to {} does not exist{hint}", ty.kind),
                    );
                }
                cast::cast(of, *ty, Style::Cast, *lenient, span).map_err(|m| SqlError::new(span, m))
            }
            ExprKind::Call(call) => self.function(call, span),
        }
    }

    fn boolean(&mut self, expr: &ast::Expr, clause: &str) -> Bound {
        condition(self, expr, &format!("the operand of {clause}"))
    }

    fn column(&self, parts: &[ast::Ident], span: Span) -> Bound {
        let scope = self.scope;
        let name = match parts {
            [name] => name,
            [qualifier, name] => {
                if scope.qualifier != Some(qualifier.text.as_str()) {
                    if scope.fields.iter().any(|f| f.name == qualifier.text) {
                        return fail(
                            span,
                            format!(
                                "\"{}\" is a column, not a table; fields of a column cannot be read",
                                qualifier.text
                            ),
                        );
                    }
                    let known = match scope.qualifier {
                        Some(known) => format!("; FROM has \"{known}\""),
                        None => String::new(),
                    };
                    return fail(
                        qualifier.span,
                        format!("table \"{}\" is not in FROM{known}", qualifier.text),
                    );
                }
                name
            }
            _ => return fail(span, "a column is named as column or table.column"),
        };
        let mut found = scope.fields.iter().enumerate().filter(|(_, f)| f.name == name.text);
        let Some((index, field)) = found.next() else {
            return fail(name.span, self.not_found(&name.text));
        };
        if found.next().is_some() {
            return fail(
                name.span,
                format!(
                    "column \"{}\" is ambiguous: {} has several of this name; give them different names with AS",
                    name.text, scope.place
                ),
            );
        }
        Ok(Expr::column(index, field.ty, span))
    }

    fn not_found(&self, name: &str) -> String {
        let scope = self.scope;
        if scope.fields.is_empty() {
            return format!(
                "column \"{name}\" not found: there is no FROM; strings are written in 'single quotes'"
            );
        }
        if scope.aliases.iter().any(|alias| alias == name) {
            return format!(
                "\"{name}\" is a name given in SELECT, which is not visible here; repeat its expression, or name it in a subquery"
            );
        }
        let hint = did_you_mean(name, scope.fields.iter().map(|f| f.name.as_str()), '"');
        let windows = ["window_start", "window_end", "window_time"];
        if windows.contains(&name) && hint.is_empty() {
            return format!(
                "column \"{name}\" not found in {}: it comes from a window function, FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL …))",
                scope.place
            );
        }
        let listed: Vec<&str> = scope.fields.iter().take(12).map(|f| f.name.as_str()).collect();
        let hint = if hint.is_empty() {
            let more = if scope.fields.len() > listed.len() { ", …" } else { "" };
            format!("; it has {}{more}", listed.join(", "))
        } else {
            hint
        };
        format!("column \"{name}\" not found in {}{hint}", scope.place)
    }

    fn negate(&mut self, of: &ast::Expr, span: Span) -> Bound {
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

    fn binary(&mut self, left: &ast::Expr, op: BinaryOp, right: &ast::Expr, span: Span) -> Bound {
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

    fn case(
        &mut self,
        operand: Option<&ast::Expr>,
        whens: &[(ast::Expr, ast::Expr)],
        otherwise: Option<&ast::Expr>,
        span: Span,
    ) -> Bound {
        let operand = operand.map(|o| self.bind(o)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        for (when, then) in whens {
            conditions.push(match &operand {
                Some(operand) => {
                    let value = self.bind(when)?;
                    let at = value.span;
                    compare_op(operand.clone(), BinaryOp::Eq, value, at)?
                }
                None => condition(self, when, "WHEN")?,
            });
            results.push(self.bind(then)?);
        }
        results.push(match otherwise {
            Some(otherwise) => self.bind(otherwise)?,
            None => Expr::null(Kind::Null, span),
        });
        choose(conditions, results, "the results of CASE", span)
    }

    fn function(&mut self, call: &ast::Call, span: Span) -> Bound {
        let name = call.name.text.to_ascii_uppercase();
        if functions::AGGREGATES.contains(&name.as_str()) {
            return self.aggregate(&name, call, span);
        }
        if let Some(filter) = &call.filter {
            return fail(filter.span, format!("FILTER belongs to aggregates, and {name} is none"));
        }
        if call.distinct {
            return fail(span, format!("DISTINCT belongs to aggregates, and {name} is none"));
        }
        if call.star {
            return fail(span, format!("only COUNT takes '*', not {name}"));
        }
        let args = call
            .args
            .iter()
            .map(|arg| match &arg.kind {
                ExprKind::Unit(unit) => Ok(Arg::Unit(*unit, arg.span)),
                _ => self.bind(arg).map(Arg::Expr),
            })
            .collect::<Result<Vec<_>, _>>()?;
        functions::bind(&call.name.text, args, call.name.span, span)
    }

    fn aggregate(&mut self, name: &str, call: &ast::Call, span: Span) -> Bound {
        let Some(found) = self.aggregates.take() else {
            return fail(span, format!("{name} is an aggregate, which {}", self.no_aggregates));
        };
        // Arguments cannot hold aggregates themselves.
        self.no_aggregates = "cannot stand inside another aggregate";
        let bound = self.aggregate_call(name, call, span);
        let result = bound.map(|aggregate| {
            let ty = SqlType {
                kind: aggregate.kind,
                nullable: aggregate.function != Aggregation::Count,
            };
            let position = found.iter().position(|known| same_call(known, &aggregate));
            let position = position.unwrap_or_else(|| {
                found.push(aggregate);
                found.len() - 1
            });
            Expr::column(self.scope.fields.len() + position, ty, span)
        });
        self.aggregates = Some(found);
        result
    }

    fn aggregate_call(
        &mut self,
        name: &str,
        call: &ast::Call,
        span: Span,
    ) -> Result<FoundAggregate, SqlError> {
        let function = match name {
            "COUNT" => Aggregation::Count,
            "SUM" => Aggregation::Sum,
            "AVG" => Aggregation::Avg,
            "MIN" => Aggregation::Min,
            _ => Aggregation::Max,
        };
        let filter = match &call.filter {
            Some(filter) => Some(condition(self, filter, "FILTER (WHERE …)")?),
            None => None,
        };
        if call.star {
            if function != Aggregation::Count {
                return fail(span, format!("only COUNT takes '*', not {name}"));
            }
            return Ok(FoundAggregate {
                function,
                arg: None,
                filter,
                distinct: false,
                kind: Kind::BigInt,
            });
        }
        let [arg] = call.args.as_slice() else {
            if function == Aggregation::Count && call.args.len() > 1 {
                return fail(
                    span,
                    "COUNT of several columns is not supported; concatenate them, or count each",
                );
            }
            return fail(span, format!("{name} takes one argument"));
        };
        let arg = self.bind(arg)?;
        let kind = aggregate_kind(function, &arg, name)?;
        // COUNT of what is never NULL is COUNT(*), and keeps no column.
        let arg = if function == Aggregation::Count && !call.distinct && !arg.ty.nullable {
            None
        } else {
            Some(arg)
        };
        Ok(FoundAggregate { function, arg, filter, distinct: call.distinct, kind })
    }
}

fn same_call(a: &FoundAggregate, b: &FoundAggregate) -> bool {
    let text = |e: &Option<Expr>| e.as_ref().map(|e| e.canonical(&|i| format!("#{i}")));
    a.function == b.function
        && a.distinct == b.distinct
        && text(&a.arg) == text(&b.arg)
        && text(&a.filter) == text(&b.filter)
}

/// An aggregate's result type, as Flink derives it.
fn aggregate_kind(function: Aggregation, arg: &Expr, name: &str) -> Result<Kind, SqlError> {
    let kind = arg.kind();
    match function {
        Aggregation::Count => Ok(Kind::BigInt),
        Aggregation::Sum | Aggregation::Avg => match kind {
            Kind::Decimal(_, s) if function == Aggregation::Sum => Ok(Kind::Decimal(38, s)),
            Kind::Decimal(_, s) => Ok(Kind::Decimal(38, s.max(6))),
            kind if kind.is_numeric() => Ok(kind),
            _ => fail(arg.span, format!("{name} needs a number, not {kind}")),
        },
        Aggregation::Min | Aggregation::Max => {
            if kind.is_numeric() || kind.is_text() || kind.is_temporal() {
                Ok(kind)
            } else {
                fail(
                    arg.span,
                    format!("{name} needs a number, a string, a date or a time, not {kind}"),
                )
            }
        }
    }
}

/// A typed call, folded when all of its arguments are values.
pub(crate) fn call(
    name: &str,
    args: Vec<Expr>,
    kernel: Kernel,
    ty: SqlType,
    style: Style,
    span: Span,
) -> Bound {
    call_with(name, args, kernel, ty, style, false, span)
}

pub(crate) fn call_with(
    name: &str,
    args: Vec<Expr>,
    kernel: Kernel,
    ty: SqlType,
    style: Style,
    fallible: bool,
    span: Span,
) -> Bound {
    let call =
        Call { name: name.to_owned(), args, kernel, fallible, nondeterministic: None, style };
    Expr::call(call, ty, span).map_err(|message| SqlError::new(span, message))
}

fn not(expr: Expr, span: Span) -> Bound {
    let ty = expr.ty;
    call("NOT", vec![expr], compare::negation(), ty, Style::Prefix, span)
}

/// AND or OR of two conditions.
pub(crate) fn logical(op: BinaryOp, a: Expr, b: Expr, span: Span) -> Expr {
    let ty = SqlType { kind: Kind::Boolean, nullable: a.ty.nullable || b.ty.nullable };
    let node = if op == BinaryOp::And { Node::And(a, b) } else { Node::Or(a, b) };
    Expr::new(node, ty, span)
}

/// CASE over bound parts; the last of `results` is ELSE.
pub(crate) fn choose(conditions: Vec<Expr>, results: Vec<Expr>, what: &str, span: Span) -> Bound {
    let mut common = Kind::Null;
    for result in &results {
        common = match common.common(result.kind()) {
            Some(kind) => kind,
            None => {
                return fail(
                    result.span,
                    format!(
                        "{what} have no common type: {common} and {}; CAST one of them",
                        result.kind()
                    ),
                );
            }
        };
    }
    let nullable = results.iter().any(|r| r.ty.nullable);
    let mut results = results
        .into_iter()
        .map(|r| {
            let at = r.span;
            cast_to(r, common, at)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let Some(otherwise) = results.pop() else {
        return fail(span, "CASE without results");
    };
    let whens = conditions.into_iter().zip(results).collect();
    Ok(Expr::new(Node::Case { whens, otherwise }, SqlType { kind: common, nullable }, span))
}

pub(crate) fn cast_to(expr: Expr, kind: Kind, span: Span) -> Bound {
    cast::cast(expr, SqlType::nullable(kind), Style::Hidden, false, span)
        .map_err(|m| SqlError::new(span, m))
}

/// Both sides as one type that can be compared.
fn comparable(a: Expr, b: Expr, span: Span) -> Result<(Expr, Expr, Kind), SqlError> {
    let (ka, kb) = (a.kind(), b.kind());
    let common = match (ka, kb) {
        // A literal string beside a date or time is read as one.
        (ka, kb) if ka.is_temporal() && kb.is_text() && b.as_literal().is_some() => Some(ka),
        (ka, kb) if kb.is_temporal() && ka.is_text() && a.as_literal().is_some() => Some(kb),
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

pub(crate) fn compare_op(a: Expr, op: BinaryOp, b: Expr, span: Span) -> Bound {
    let (a, b, kind) = comparable(a, b, span)?;
    if matches!(kind, Kind::Bytes) && !matches!(op, BinaryOp::Eq | BinaryOp::NotEq) {
        return fail(span, "BYTES can only be compared with = and <>");
    }
    let ty = SqlType { kind: Kind::Boolean, nullable: a.ty.nullable || b.ty.nullable };
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

fn negate_decimal(of: Expr, span: Span) -> Bound {
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

pub(crate) fn text_literal(text: &str, span: Span) -> Expr {
    let length = text.chars().count() as u32;
    let kind = if length == 0 { Kind::VarChar(1) } else { Kind::Char(length) };
    Expr::literal(Arc::new(StringArray::from(vec![text])), kind, span)
}

fn number(text: &str, span: Span) -> Bound {
    let too_long = || {
        SqlError::new(
            span,
            format!(
                "the number {text} has more than 38 digits; write it as a DOUBLE, such as 1E40"
            ),
        )
    };
    let (array, kind): (ArrayRef, Kind) = if text.contains('E') {
        let value: f64 = text.parse().map_err(|_| too_long())?;
        (Arc::new(Float64Array::from(vec![value])), Kind::Double)
    } else if text.contains('.') {
        let scale = text.split_once('.').map_or(0, |(_, part)| part.len());
        // Leading zeros count: 0.05 is a DECIMAL(3, 2).
        let precision = text.chars().filter(char::is_ascii_digit).count();
        if precision > 38 {
            return Err(too_long());
        }
        let (p, s) = (precision as u8, scale as u8);
        let value = cast::decimal(text, p, s).ok_or_else(too_long)?;
        let array = Decimal128Array::from(vec![value])
            .with_precision_and_scale(p, s as i8)
            .map_err(|_| too_long())?;
        (Arc::new(array), Kind::Decimal(p, s))
    } else if let Ok(value) = text.parse::<i32>() {
        (Arc::new(Int32Array::from(vec![value])), Kind::Int)
    } else if let Ok(value) = text.parse::<i64>() {
        (Arc::new(Int64Array::from(vec![value])), Kind::BigInt)
    } else {
        let digits = text.trim_start_matches(['-', '0']).len();
        if digits > 38 {
            return Err(too_long());
        }
        let value = cast::decimal(text, digits as u8, 0).ok_or_else(too_long)?;
        let array = Decimal128Array::from(vec![value])
            .with_precision_and_scale(digits as u8, 0)
            .map_err(|_| too_long())?;
        (Arc::new(array), Kind::Decimal(digits as u8, 0))
    };
    Ok(Expr::literal(array, kind, span))
}

fn typed_literal(keyword: &str, text: &str, span: Span) -> Bound {
    let (kind, form) = match keyword {
        "DATE" => (Kind::Date, "DATE '2001-01-31'"),
        "TIME" => (Kind::Time, "TIME '23:59:59'"),
        _ => {
            let digits = text.split_once('.').map_or(0, |(_, part)| part.trim().len().min(9));
            (Kind::Timestamp(digits as u8), "TIMESTAMP '2001-01-31 23:59:59.123'")
        }
    };
    let literal = text_literal(text, span);
    cast::cast(literal, SqlType::not_null(kind), Style::Hidden, false, span)
        .map_err(|_| SqlError::new(span, format!("'{text}' is no {keyword}; it is written {form}")))
}

fn cast_hint(from: Kind, to: Kind) -> &'static str {
    match (from, to) {
        (a, Kind::TimestampLtz(_)) if a.is_numeric() => "; use TO_TIMESTAMP_LTZ(number, 3)",
        (a, Kind::Timestamp(_)) if a.is_numeric() => {
            "; use CAST(TO_TIMESTAMP_LTZ(number, 3) AS TIMESTAMP(3))"
        }
        (a, b) if a.is_timestamp() && b.is_numeric() => "; use UNIX_TIMESTAMP or EXTRACT",
        _ => "",
    }
}

//! Expressions: names → columns, operators and functions → typed calls.

mod calls;
mod literals;
mod operators;

use std::sync::Arc;

use arrow::array::BooleanArray;
use weir_engine::aggregate::Function as Aggregation;

use super::above::{self, is_above};
use super::asked;
use super::interval;
use super::join::Joined;
use super::over::OverCalls;
use super::pattern::Matching;
use crate::ast::{self, BinaryOp, ExprKind};
use crate::database;
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::{Expr, Node, Style, cast, compare};
use crate::functions::{self, Arg};
use crate::parse::{CATALOG, DATABASE};
use crate::rel::Field;
use crate::types::{Kind, Nested, SqlType};

pub(crate) use calls::{SINGLE_VALUE, call, call_with};
pub(crate) use literals::text_literal;
use literals::{number, typed_literal};
pub(crate) use operators::{arithmetic, cast_to, compare_op, logical};
use operators::{as_point, cast_hint, comparable, not};

/// What names mean in an expression.
pub(crate) struct Scope<'a> {
    pub(crate) fields: &'a [Field],
    /// The name that columns may be qualified with.
    pub(crate) qualifier: Option<&'a str>,
    /// What the columns belong to, for messages: `table "flights"`.
    pub(crate) place: &'a str,
    /// Names that the SELECT list gives: not visible here, but worth a hint.
    pub(crate) aliases: &'a [String],
    /// The tables of a FROM with joins, whose names columns may be qualified with.
    pub(crate) joined: Option<&'a Joined>,
}

impl Scope<'_> {
    /// Whether columns may be qualified with this name.
    fn has_table(&self, name: &str) -> bool {
        self.qualifier == Some(name) || self.joined.is_some_and(|joined| joined.has_table(name))
    }

    fn not_found(&self, name: &ast::Ident) -> SqlError {
        if !self.fields.is_empty() && self.aliases.contains(&name.text) {
            let message = format!(
                "\"{}\" is a name given in SELECT, which is not visible here; repeat its expression, or name it in a subquery",
                name.text
            );
            return SqlError::new(name.span, message);
        }
        SqlError::of_a_name(name.span, self.why_not_found(&name.text))
    }

    fn why_not_found(&self, name: &str) -> String {
        let scope = self;
        if scope.fields.is_empty() {
            return format!(
                "column \"{name}\" not found: there is no FROM; strings are written in 'single quotes'"
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
    /// Where calls with OVER go; `None` where they are not allowed.
    pub(crate) over: Option<&'a mut OverCalls>,
    /// The match that names are about, in MEASURES and DEFINE.
    pub(crate) matching: Option<&'a mut Matching>,
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
    ExprBinder { scope, aggregates: None, no_aggregates, over: None, matching: None }.bind(expr)
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
            ExprKind::Column(parts) => match self.column(parts, span) {
                Err(unknown) => self.field_of_row(parts, span).unwrap_or(Err(unknown)),
                found => found,
            },
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
                        let item = if list.len() > 1 { as_point(item, &of)? } else { item };
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
            ExprKind::InQuery { .. }
            | ExprKind::Compared { .. }
            | ExprKind::Exists(_)
            | ExprKind::Scalar(_) => {
                match self.scope.joined.and_then(|joined| joined.value(span)) {
                    Some(value) => match &expr.kind {
                        ExprKind::InQuery { of, .. } | ExprKind::Compared { of, .. }
                            if value.as_column().is_some_and(is_above) =>
                        {
                            let of = asked::sought(of).iter().map(|of| self.bind(of));
                            Ok(above::sought(value, of.collect::<Result<_, _>>()?, span))
                        }
                        _ => Ok(value),
                    },
                    None => fail(
                        span,
                        "a query that stands for a value has its place in SELECT, WHERE and HAVING; here, join it",
                    ),
                }
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

    fn column(&mut self, parts: &[ast::Ident], span: Span) -> Bound {
        let scope = self.scope;
        let named = |at: usize, name: &str| parts.get(at).is_some_and(|part| part.text == name);
        // In front of a table's name may stand that of its database, and of the catalog.
        let now = database::current();
        let [catalog, of] = [database::catalog_of(&now), database::name_of(&now)];
        let parts = match parts {
            [_, _, table @ ..] if named(0, CATALOG) && named(1, DATABASE) => table,
            [_, _, table @ ..] if table.len() > 1 && named(0, catalog) && named(1, of) => table,
            // A table of FROM by the same name comes first, unless it is one of its own database.
            [first, table @ ..]
                if table.len() > 1
                    && (named(0, DATABASE) || named(0, of))
                    && (!scope.has_table(&first.text) || named(1, of)) =>
            {
                table
            }
            parts => parts,
        };
        if let Some(matching) = &mut self.matching {
            let lacks = |name: &ast::Ident| self.scope.not_found(name);
            return matching.column(parts, span, &lacks);
        }
        let name = match (parts, scope.joined) {
            ([name], Some(joined)) => {
                let found = joined.unqualified(name, scope.fields, span)?;
                return found.ok_or_else(|| scope.not_found(name));
            }
            ([qualifier, name], Some(joined)) => {
                return joined.qualified(qualifier, name, scope.fields, span);
            }
            ([name], None) => name,
            ([qualifier, name], None) => {
                if scope.qualifier != Some(qualifier.text.as_str()) {
                    if scope.fields.iter().any(|f| f.name == qualifier.text) {
                        return Err(SqlError::of_a_name(
                            span,
                            format!(
                                "\"{}\" is a column, not a table; fields of a column cannot be read",
                                qualifier.text
                            ),
                        ));
                    }
                    let known = match scope.qualifier {
                        Some(known) => format!("; FROM has \"{known}\""),
                        None => String::new(),
                    };
                    return Err(SqlError::of_a_name(
                        qualifier.span,
                        format!("table \"{}\" is not in FROM{known}", qualifier.text),
                    ));
                }
                name
            }
            _ => return fail(span, "a column is named as column or table.column"),
        };
        let mut found = scope.fields.iter().enumerate().filter(|(_, f)| f.name == name.text);
        let Some((index, field)) = found.next() else {
            return Err(scope.not_found(name));
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

    /// `r.f`, where `r` is a column of type ROW, after all.
    fn field_of_row(&mut self, parts: &[ast::Ident], span: Span) -> Option<Bound> {
        let (row, names) = (1..parts.len()).find_map(|end| {
            let row = self.column(&parts[..end], span).ok()?;
            matches!(row.kind(), Kind::Nested(Nested::Row(_))).then(|| (row, &parts[end..]))
        })?;
        Some(names.iter().try_fold(row, |of, name| {
            let name_of = Arg::Expr(text_literal(&name.text, name.span));
            functions::bind(".", vec![Arg::Expr(of), name_of], name.span, span)
        }))
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

//! `IN` and `EXISTS` of a query as a value: TRUE, FALSE or not known. What the answer needs of the
//! query is joined to FROM: how many rows it has, how many of them are known, and whether one is the
//! value that is looked for.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::Int64Type;
use weir_engine::EngineError;
use weir_engine::aggregate::functions;

use super::aggregate::name_of_call;
use super::around::Rows;
use super::expr::{SINGLE_VALUE, bind_plain, call, call_with, choose, compare_op, logical};
use super::join::Joined;
use super::query::{Ctes, From};
use super::sets::{grouped, plain};
use super::subquery::{always_has_a_row, of_exists, scope_of};
use super::{Binder, Reported};
use crate::ast::{self, BinaryOp, ExprKind};
use crate::error::{Span, SqlError, Warning};
use crate::expr::{Expr, Kernel, Style, compare};
use crate::rel::{AggregateCall, Field, JoinKind, Rel, Role, calc, join};
use crate::types::{Kind, SqlType};

/// A query that stands for TRUE, FALSE or NULL.
pub(super) struct Asked<'a> {
    /// The values that are looked for; none where any row will do.
    of: Vec<Expr>,
    query: std::borrow::Cow<'a, ast::Query>,
    negated: bool,
    /// How a value is compared with any of the query's, or with all of them.
    compared: Option<(BinaryOp, bool)>,
    span: Span,
}

impl<'a> Asked<'a> {
    /// The query in an expression, if it is one of these, and what it looks for.
    pub(super) fn new(expr: &'a ast::Expr, of: Vec<Expr>) -> Option<Self> {
        use std::borrow::Cow::{Borrowed, Owned};
        let span = expr.span;
        let (query, negated, compared) = match &expr.kind {
            ExprKind::InQuery { query, negated, .. } => (Borrowed(&**query), *negated, None),
            ExprKind::Compared { op, all, query, .. } => {
                (Borrowed(&**query), false, Some((*op, *all)))
            }
            ExprKind::Exists(query) => (Owned(of_exists(query)), false, None),
            _ => return None,
        };
        Some(Self { of, query, negated, compared, span })
    }
}

/// The values that `IN` looks for.
pub(super) fn sought(of: &ast::Expr) -> &[ast::Expr] {
    crate::parse::row(of).unwrap_or(std::slice::from_ref(of))
}

/// What a query has for a row, NULL where it has no rows.
struct Counts {
    rows: Expr,
    known: Expr,
    /// Where they are asked for.
    least: Expr,
    greatest: Expr,
}

/// A value of so many rows that there must be one of at most; whoever has more `gave` them.
pub(super) fn only_value(
    value: Expr,
    rows: Expr,
    gave: &'static str,
    span: Span,
) -> Result<Expr, SqlError> {
    let ty = SqlType::nullable(value.kind());
    let only: Kernel = Arc::new(move |args, rows| {
        let counts = args[1].to_rows(rows)?;
        let counts = counts.as_primitive::<Int64Type>();
        match counts.iter().flatten().find(|count| *count > 1) {
            Some(count) => Err(EngineError::user(format!(
                "at {}:{} {gave} {count} rows where one value is wanted; take an aggregate of them, such as MAX, or the first by ORDER BY … LIMIT 1",
                span.line, span.column
            ))),
            None => Ok(args[0].clone()),
        }
    });
    call_with(SINGLE_VALUE, vec![value, rows], only, ty, Style::Function, true, span)
}

impl Binder<'_> {
    /// The query in an expression, with what it looks for bound to FROM.
    pub(super) fn asked<'a>(
        &mut self,
        from: &From,
        expr: &'a ast::Expr,
    ) -> Result<Option<Asked<'a>>, Reported> {
        let of = match &expr.kind {
            ExprKind::InQuery { of, .. } => sought(of),
            ExprKind::Compared { of, .. } => std::slice::from_ref(&**of),
            _ => &[],
        };
        let scope = scope_of(from);
        let of = of.iter().map(|of| bind_plain(of, &scope, "has no place in front of IN here"));
        let of = self.keep(of.collect::<Result<Vec<_>, _>>())?;
        Ok(Asked::new(expr, of))
    }

    /// FROM with the answer as a column more.
    pub(super) fn answered(
        &mut self,
        from: From,
        asked: Asked<'_>,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let Asked { of, query, negated, compared, span } = asked;
        let Rows { rel, around, .. } = self.rows_of(&from, &query, span, ctes)?;
        let keys = around.len();
        let given = rel.fields.len() - keys;
        if of.is_empty() && always_has_a_row(&query) {
            return Ok(with_value(from, truth(true, span), span));
        }
        if of.is_empty() {
            let (from, counts) = self.with_counts(from, &rel, &around, false, false, span)?;
            let rows = counts.rows;
            let value = self.more_than_none(rows, span)?;
            return Ok(with_value(from, value, span));
        }
        if of.len() != given {
            let message = format!(
                "{} compares with {}, and this query gives {given}; select {}",
                if compared.is_some() { "ANY or ALL" } else { "IN" },
                if of.len() == 1 {
                    "one column".to_owned()
                } else {
                    format!("{} columns", of.len())
                },
                if of.len() == 1 { "the one that is meant" } else { "those that are meant" },
            );
            return self.fail(query.span, message);
        }
        if let Some((op, all)) = compared {
            return self.compared(from, rel, around, of, op, all, span);
        }
        // Values that are known, each once.
        let boolean = SqlType::not_null(Kind::Boolean);
        let values = (keys..rel.fields.len()).map(|c| Expr::column(c, rel.fields[c].ty, span));
        let values: Vec<Expr> = values.collect();
        let (known, sure) = self.all_known(&values, span)?;
        let keyed = (0..keys).map(|c| Expr::column(c, rel.fields[c].ty, span));
        let exprs: Vec<Expr> = keyed.chain(values).collect();
        let filter = if sure { None } else { Some(known) };
        let fields = plain(&rel.fields);
        let distinct = grouped(calc(&rel, filter, exprs, fields), keys + given, Vec::new(), span);
        let distinct = self.final_rows(&distinct);
        let mut fields = distinct.fields.clone();
        fields.push(Field { name: "$there".to_owned(), ty: boolean, role: Role::Plain });
        let mut exprs = crate::rel::identity(&distinct);
        exprs.push(truth(true, span));
        let distinct = calc(&distinct, None, exprs, fields);
        let (sought, all_sought) = self.all_known(&of, span)?;
        // How many rows there are matters where there may be NULL among them, or NULL is sought.
        let (from, counts) = match sure && all_sought {
            true => (from, None),
            false => {
                let (from, counts) = self.with_counts(from, &rel, &around, true, false, span)?;
                (from, Some((counts.rows, counts.known)))
            }
        };
        let width = from.rel.fields.len();
        let mut on = self.found(&around, &distinct, width, span)?;
        for (number, of) in of.iter().enumerate() {
            let column =
                Expr::column(width + keys + number, distinct.fields[keys + number].ty, span);
            on.push(self.keep(compare_op(of.clone(), BinaryOp::Eq, column, span))?);
        }
        self.refuse_chance(&on)?;
        let there = Expr::column(width + keys + given, SqlType::nullable(Kind::Boolean), span);
        let from = beside(from, &distinct, on, span);
        let is_there = self.is_not_null(there, span)?;
        let mut value = match counts {
            None => is_there,
            Some((rows, known)) => {
                let some = self.more_than_none(rows.clone(), span)?;
                let none = self.not(some, span)?;
                let lacks = self.keep(compare_op(known, BinaryOp::Less, rows, span))?;
                let unknown = self.not(sought, span)?;
                let null = || Expr::null(Kind::Boolean, span);
                let whens = vec![none, unknown, is_there, lacks];
                let thens =
                    vec![truth(false, span), null(), truth(true, span), null(), truth(false, span)];
                let chosen = choose(whens, thens, "the answers of IN", span);
                self.keep(chosen)?
            }
        };
        if negated {
            value = self.not(value, span)?;
        }
        Ok(with_value(from, value, span))
    }

    /// FROM with the value of a query that must not give several rows for one around it.
    pub(super) fn only_value(
        &mut self,
        from: From,
        rel: &Arc<Rel>,
        around: &[(Expr, bool)],
        span: Span,
    ) -> Result<From, Reported> {
        if let Some(field) = rel.fields.last()
            && super::over::has_order(field.ty.kind).is_err()
        {
            let message = format!(
                "this query may give several rows where one {} is wanted, and rows of such values are not counted; write what there is one of, such as an aggregate or a key in WHERE, or take the first by ORDER BY … LIMIT 1",
                field.ty.kind
            );
            return self.fail(span, message);
        }
        self.warnings.push(Warning {
            span,
            message: "this query may give several rows where one value is wanted, and the job fails when it does; take an aggregate of them, such as MAX, or the first by ORDER BY … LIMIT 1".to_owned(),
        });
        let (from, counts) = self.with_counts(from, rel, around, false, true, span)?;
        let Counts { rows, least, .. } = counts;
        let value = only_value(least, rows, "the query gave", span);
        let value = self.keep(value)?;
        Ok(with_value(from, value, span))
    }

    /// `of op ANY (query)`, or ALL: what is so of the least or the greatest value is so of any or all.
    #[expect(clippy::too_many_arguments, reason = "the parts of one comparison")]
    fn compared(
        &mut self,
        from: From,
        rel: Arc<Rel>,
        around: Vec<(Expr, bool)>,
        of: Vec<Expr>,
        op: BinaryOp,
        all: bool,
        span: Span,
    ) -> Result<From, Reported> {
        let (from, counts) = self.with_counts(from, &rel, &around, true, true, span)?;
        let of = of.into_iter().next().unwrap_or_else(|| Expr::null(Kind::Null, span));
        let Counts { rows, known, least, greatest } = counts;
        let mut holds = |value: Expr| {
            let test = compare_op(of.clone(), op, value, span);
            self.keep(test)
        };
        let holds = match (op, all) {
            (BinaryOp::Less | BinaryOp::LessEq, true)
            | (BinaryOp::Greater | BinaryOp::GreaterEq, false) => holds(least)?,
            (BinaryOp::Less | BinaryOp::LessEq, false)
            | (BinaryOp::Greater | BinaryOp::GreaterEq, true) => holds(greatest)?,
            // Equal to all, or other than any of them.
            (_, true) => logical(BinaryOp::And, holds(least)?, holds(greatest)?, span),
            (_, false) => logical(BinaryOp::Or, holds(least)?, holds(greatest)?, span),
        };
        let some = self.more_than_none(rows.clone(), span)?;
        let none = self.not(some, span)?;
        let unknown = self.is_null(of, span)?;
        let decided = if all { self.not(holds, span)? } else { holds };
        let lacks = self.keep(compare_op(known, BinaryOp::Less, rows, span))?;
        let null = || Expr::null(Kind::Boolean, span);
        let whens = vec![none, unknown, decided, lacks];
        let thens = vec![truth(all, span), null(), truth(!all, span), null(), truth(all, span)];
        let chosen = choose(whens, thens, "the answers of ANY and ALL", span);
        let value = self.keep(chosen)?;
        Ok(with_value(from, value, span))
    }

    /// FROM with how many rows a query has, and with `known` how many of them hold no NULL; with
    /// `extremes` also its least and greatest value.
    fn with_counts(
        &mut self,
        from: From,
        rel: &Arc<Rel>,
        around: &[(Expr, bool)],
        known: bool,
        extremes: bool,
        span: Span,
    ) -> Result<(From, Counts), Reported> {
        let keys = around.len();
        let mut exprs = crate::rel::identity(rel);
        let values = exprs.split_off(keys);
        let value = values.first().map(|value| value.kind()).unwrap_or(Kind::Null);
        exprs.push(if known { self.all_known(&values, span)?.0 } else { truth(true, span) });
        let mut fields = plain(&rel.fields[..keys]);
        let ty = SqlType::nullable(Kind::Boolean);
        fields.push(Field { name: "$known".to_owned(), ty, role: Role::Plain });
        if extremes {
            exprs.extend(values.into_iter().take(1));
            let ty = SqlType::nullable(value);
            fields.push(Field { name: "$value".to_owned(), ty, role: Role::Plain });
        }
        let input = calc(rel, None, exprs, fields);
        let count = |filter: Option<usize>| AggregateCall {
            function: functions::COUNT,
            input: None,
            filter,
            distinct: false,
            kind: Kind::BigInt,
            name: name_of_call(functions::COUNT, false, None, filter.map(|_| "$known")),
        };
        let mut calls = vec![count(None), count(Some(keys))];
        for function in [functions::MIN, functions::MAX].into_iter().filter(|_| extremes) {
            if let Err(refusal) = function.resolve(Some(&value.exact_arrow())) {
                let message =
                    format!("this query's values are compared, which needs {}", refusal.takes);
                return self.fail(span, message);
            }
            calls.push(AggregateCall {
                function,
                input: Some(keys + 1),
                filter: None,
                distinct: false,
                kind: value,
                name: name_of_call(function, false, Some("$value"), None),
            });
        }
        let counted = grouped(input, keys, calls, span);
        let counted = self.final_rows(&counted);
        let width = from.rel.fields.len();
        let on = self.found(around, &counted, width, span)?;
        self.refuse_chance(&on)?;
        let from = beside(from, &counted, on, span);
        let column = |number: usize, kind: Kind| {
            Expr::column(width + keys + number, SqlType::nullable(kind), span)
        };
        let counts = Counts {
            rows: column(0, Kind::BigInt),
            known: column(1, Kind::BigInt),
            least: column(2, value),
            greatest: column(3, value),
        };
        Ok((from, counts))
    }

    /// What finds the rows of a query that stand behind `width` columns.
    pub(super) fn found(
        &mut self,
        around: &[(Expr, bool)],
        rel: &Rel,
        width: usize,
        span: Span,
    ) -> Result<Vec<Expr>, Reported> {
        let mut on = Vec::new();
        for (number, (of, null_safe)) in around.iter().enumerate() {
            let key = Expr::column(width + number, rel.fields[number].ty, span);
            on.push(self.equal(of.clone(), key, *null_safe, span)?);
        }
        Ok(on)
    }

    /// `a = b`, or `a IS NOT DISTINCT FROM b`, of values of one type.
    pub(super) fn equal(
        &mut self,
        a: Expr,
        b: Expr,
        null_safe: bool,
        span: Span,
    ) -> Result<Expr, Reported> {
        if !null_safe || !(a.ty.nullable || b.ty.nullable) {
            return self.keep(compare_op(a, BinaryOp::Eq, b, span));
        }
        let kernel = compare::distinct(a.kind(), true);
        let ty = SqlType::not_null(Kind::Boolean);
        let name = "IS NOT DISTINCT FROM";
        self.keep(call(name, vec![a, b], kernel, ty, Style::Infix, span))
    }

    pub(super) fn is_null(&mut self, of: Expr, span: Span) -> Result<Expr, Reported> {
        let (test, ty) = (compare::null_test(false), SqlType::not_null(Kind::Boolean));
        self.keep(call("IS NULL", vec![of], test, ty, Style::Postfix, span))
    }

    pub(super) fn is_not_null(&mut self, of: Expr, span: Span) -> Result<Expr, Reported> {
        let (test, ty) = (compare::null_test(true), SqlType::not_null(Kind::Boolean));
        self.keep(call("IS NOT NULL", vec![of], test, ty, Style::Postfix, span))
    }

    fn not(&mut self, of: Expr, span: Span) -> Result<Expr, Reported> {
        let ty = of.ty;
        self.keep(call("NOT", vec![of], compare::negation(), ty, Style::Prefix, span))
    }

    /// Whether none of these is NULL; also whether that is so of any row.
    fn all_known(&mut self, values: &[Expr], span: Span) -> Result<(Expr, bool), Reported> {
        let mut all = truth(true, span);
        let mut sure = true;
        for value in values.iter().filter(|value| value.ty.nullable) {
            let known = self.is_not_null(value.clone(), span)?;
            all = if sure { known } else { logical(BinaryOp::And, all, known, span) };
            sure = false;
        }
        Ok((all, sure))
    }

    /// Whether a count that may be missing says that there is a row.
    fn more_than_none(&mut self, count: Expr, span: Span) -> Result<Expr, Reported> {
        let zero: ArrayRef = Arc::new(Int64Array::from(vec![0]));
        let zero = Expr::literal(zero, Kind::BigInt, span);
        let there = self.is_not_null(count.clone(), span)?;
        let some = self.keep(compare_op(count, BinaryOp::Greater, zero, span))?;
        let chosen = choose(vec![there], vec![some, truth(false, span)], "a count", span);
        let value = self.keep(chosen)?;
        Ok(Expr { ty: SqlType::not_null(Kind::Boolean), ..value })
    }
}

pub(super) fn truth(value: bool, span: Span) -> Expr {
    Expr::literal(Arc::new(BooleanArray::from(vec![value])), Kind::Boolean, span)
}

/// FROM with the rows of a query beside it, whose columns have no names there.
pub(super) fn beside(from: From, rel: &Arc<Rel>, on: Vec<Expr>, span: Span) -> From {
    let width = from.rel.fields.len();
    let mut joined = Joined::of(&from);
    joined.hide(width..width + rel.fields.len());
    let rel = join(&from.rel, rel, JoinKind::Left, on, span);
    From { rel, joined: Some(joined), ..from }
}

/// FROM with a value over it that stands for a query.
pub(super) fn with_value(from: From, value: Expr, span: Span) -> From {
    let mut joined = Joined::of(&from);
    joined.add_value(span, value);
    From { joined: Some(joined), ..from }
}

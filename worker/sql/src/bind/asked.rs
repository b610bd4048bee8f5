//! `IN` and `EXISTS` of a query as a value: TRUE, FALSE or not known. What the answer needs of the
//! query is joined to FROM: how many rows it has, how many of them are known, and whether one is the
//! value that is looked for.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};
use weir_engine::aggregate::functions;

use super::aggregate::{Keys, name_of_call, same};
use super::expr::{ExprBinder, bind_plain, call, choose, compare_op, condition, logical};
use super::join::Joined;
use super::query::{Ctes, From};
use super::sets::grouped;
use super::subquery::{Beside, always_has_a_row, of_exists, plain as plain_query, scope_of};
use super::{Binder, Reported};
use crate::ast::{self, BinaryOp, ExprKind, SelectItem};
use crate::error::{Span, SqlError};
use crate::expr::{Expr, Style, compare};
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

/// What is left of a query for the rows around it.
pub(super) struct Rows {
    /// The columns by which they find their rows, then the query's values.
    pub(super) rel: Arc<Rel>,
    /// The other side of these columns, over FROM around, and whether NULL finds NULL.
    pub(super) around: Vec<(Expr, bool)>,
    /// Whether a row around finds one of them at most.
    pub(super) is_one: bool,
}

/// What a query has for a row, NULL where it has no rows.
struct Counts {
    rows: Expr,
    known: Expr,
    /// Where they are asked for.
    least: Expr,
    greatest: Expr,
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
                "IN compares with {} columns, and this query gives {given}; select those that are meant",
                of.len()
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

    /// The rows of a query by what it says of the rows around it.
    fn rows_of(
        &mut self,
        from: &From,
        query: &ast::Query,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Rows, Reported> {
        let Some((inside, values)) = self.inside_of(from, query, ctes)? else {
            return self.rows_by_itself(from, query, span, ctes);
        };
        let Beside { from: own, filter, keys, moved } = self.beside_rows(from, inside, span)?;
        let values = values.iter().map(|value| value.renumber(&|column| column + moved));
        let (mut exprs, mut around) = (Vec::new(), Vec::new());
        for key in keys {
            exprs.push(key.own);
            around.push((key.around, key.null_safe));
        }
        exprs.extend(values);
        let (rel, filter) = crate::rel::filtered(&own.rel, filter);
        let field = |(number, expr): (usize, &Expr)| Field {
            name: format!("value{number}"),
            ty: expr.ty,
            role: Role::Plain,
        };
        let fields = exprs.iter().enumerate().map(field).collect();
        Ok(Rows { rel: calc(&rel, filter, exprs, fields), around, is_one: false })
    }

    /// The rows of a query that does more than select: by itself, or where it groups and speaks of
    /// the rows around it, grouped by what it says of them as well.
    pub(super) fn rows_by_itself(
        &mut self,
        outer: &From,
        query: &ast::Query,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Rows, Reported> {
        let (errors, warnings) = (self.errors.len(), self.warnings.len());
        let by_itself = self.query(query, ctes);
        let grouped = plain_query(query).filter(|select| {
            let sets = |group: &ast::GroupBy| !group.sets.is_empty() || group.keys.is_empty();
            select.group_by.as_ref().is_some_and(|group| !sets(group)) && select.distinct.is_none()
        });
        let select = match (by_itself, grouped) {
            (Ok(rel), _) => {
                let is_one = rel.keys().iter().any(Vec::is_empty);
                return Ok(Rows { rel, around: Vec::new(), is_one });
            }
            (Err(reported), None) => return Err(reported),
            (Err(Reported), Some(select)) => select,
        };
        self.errors.truncate(errors);
        self.warnings.truncate(warnings);
        let inside = self.inside(outer, select, ctes)?;
        let scope = scope_of(&inside.from);
        let mut found = Vec::new();
        let (mut keys, mut items) = (Vec::new(), Vec::new());
        for key in select.group_by.iter().flat_map(|group| &group.keys) {
            let bound = bind_plain(key, &scope, "has no place in GROUP BY");
            keys.push(self.keep(bound)?);
        }
        let mut binder = ExprBinder {
            scope: &scope,
            aggregates: Some(&mut found),
            no_aggregates: "",
            over: None,
            matching: None,
        };
        let mut having = None;
        for item in &select.items {
            let bound = match item {
                SelectItem::Expr { expr, .. } => binder.bind(expr),
                SelectItem::Star { span, .. } => {
                    Err(SqlError::new(*span, "a query that groups names its columns"))
                }
            };
            items.push(self.keep(bound)?);
        }
        if let Some(condition_of) = &select.having {
            let bound = condition(&mut binder, condition_of, "HAVING");
            having = Some((self.keep(bound)?, condition_of.span));
        }
        let Beside { from, filter, keys: own, moved } = self.beside_rows(outer, inside, span)?;
        let place = |column: usize| column + moved;
        for call in &mut found {
            for part in [&mut call.arg, &mut call.filter].into_iter().flatten() {
                *part = part.renumber(&place);
            }
        }
        let keys: Vec<Expr> = keys.iter().map(|key| key.renumber(&place)).collect();
        let having = having.map(|(having, at)| (having.renumber(&place), at));
        let is_one = keys.iter().all(|key| own.iter().any(|known| same(&known.own, key)));
        let (mut by, mut around, mut named) = (Vec::new(), Vec::new(), Vec::new());
        for (number, key) in own.into_iter().enumerate() {
            named.push((key.own.clone(), format!("key{number}")));
            by.push(key.own);
            around.push((key.around, key.null_safe));
        }
        by.extend(keys);
        for (number, item) in items.iter().enumerate() {
            named.push((item.renumber(&place), format!("value{number}")));
        }
        let keys = Keys::all(by);
        let rel = self.aggregate(select, &from, filter, keys, found, named, having)?;
        Ok(Rows { rel: self.final_rows(&rel), around, is_one })
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
        let test = compare::null_test(false);
        let boolean = SqlType::not_null(Kind::Boolean);
        let unknown = self.keep(call("IS NULL", vec![of], test, boolean, Style::Postfix, span))?;
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
                let message = format!("a comparison with ANY or ALL needs {}", refusal.takes);
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
    fn found(
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

fn truth(value: bool, span: Span) -> Expr {
    Expr::literal(Arc::new(BooleanArray::from(vec![value])), Kind::Boolean, span)
}

/// Columns that mean nothing for time.
fn plain(fields: &[Field]) -> Vec<Field> {
    fields.iter().map(|field| Field { role: Role::Plain, ..field.clone() }).collect()
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
fn with_value(from: From, value: Expr, span: Span) -> From {
    let mut joined = Joined::of(&from);
    joined.add_value(span, value);
    From { joined: Some(joined), ..from }
}

//! Queries inside of WHERE: `IN`, `EXISTS` and their opposites are joins that give rows of FROM
//! alone; a query that gives one value is a column more.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::Int64Array;

use super::aggregate::{Keys, unique};
use super::around::Rows;
use super::asked::{beside, truth, with_value};
use super::expr::{
    ExprBinder, FoundAggregate, Scope, bind_plain, choose, compare_op, condition, logical,
};
use super::join::Joined;
use super::query::{Ctes, From};
use super::select::item_name;
use super::sets::grouped;
use super::{Binder, Reported};
use crate::ast::{self, BinaryOp, Body, ExprKind, SelectItem};
use crate::error::Span;
use crate::expr::Expr;
use crate::rel::{
    Equal, Field, JoinKind, Rel, RelKind, Role, and, calc, conjuncts, equality, join, join_fields,
};
use crate::types::{Kind, SqlType};

/// Whether rows of a query match.
struct Question<'a> {
    of: Option<&'a ast::Expr>,
    query: &'a ast::Query,
    negated: bool,
    span: Span,
}

fn question(expr: &ast::Expr) -> Option<Question<'_>> {
    match &expr.kind {
        ExprKind::InQuery { of, query, negated } => {
            Some(Question { of: Some(of), query, negated: *negated, span: expr.span })
        }
        ExprKind::Exists(query) => {
            Some(Question { of: None, query, negated: false, span: expr.span })
        }
        ExprKind::Not(inner) => {
            question(inner).map(|asked| Question { negated: !asked.negated, ..asked })
        }
        _ => None,
    }
}

/// The parts of a condition that must all hold.
pub(super) fn parts<'a>(expr: &'a ast::Expr, into: &mut Vec<&'a ast::Expr>) {
    match &expr.kind {
        ExprKind::Binary { left, op: BinaryOp::And, right } => {
            parts(left, into);
            parts(right, into);
        }
        _ => into.push(expr),
    }
}

/// Expressions that are a query which stands for a value, those inside of others first.
pub(super) fn values<'a>(expr: &'a ast::Expr, into: &mut Vec<&'a ast::Expr>) {
    crate::parse::children(&expr.kind).for_each(|child| values(child, into));
    if is_value(expr) {
        into.push(expr);
    }
}

/// Whether an expression is a query that stands for a value.
pub(super) fn is_value(expr: &ast::Expr) -> bool {
    matches!(
        expr.kind,
        ExprKind::Scalar(_)
            | ExprKind::InQuery { .. }
            | ExprKind::Exists(_)
            | ExprKind::Compared { .. }
    )
}

/// Whether a SELECT gives aggregates of its rows.
pub(super) fn gives_aggregates(select: &ast::Select) -> bool {
    select.items.iter().any(|item| match item {
        SelectItem::Expr { expr, .. } => super::above::aggregates(expr),
        SelectItem::Star { .. } => false,
    })
}

/// Whether a query gives a row whatever there is: it aggregates all of its rows.
pub(super) fn always_has_a_row(query: &ast::Query) -> bool {
    let one = |select: &ast::Select| {
        gives_aggregates(select) && select.group_by.is_none() && select.having.is_none()
    };
    plain(query).is_some_and(one)
}

/// What `EXISTS` asks: how many rows there are beyond the first, and their order, matter nothing.
pub(super) fn of_exists(query: &ast::Query) -> ast::Query {
    let mut query = query.clone();
    let some = query.tail.limit.is_none_or(|(rows, _)| rows > 0);
    if some && query.tail.offset.is_none() {
        query.tail = ast::Tail::default();
    }
    query
}

/// The SELECT of a query that is nothing else.
pub(super) fn plain(query: &ast::Query) -> Option<&ast::Select> {
    match &query.body {
        _ if !query.ctes.is_empty() || !query.tail.is_empty() => None,
        Body::Select(select) => Some(select.as_ref()).filter(|s| s.qualify.is_none()),
        Body::Nested(inner) => plain(inner),
        Body::Values { .. } | Body::Union(_) | Body::Set { .. } => None,
    }
}

/// A query's columns with their names.
pub(super) type Items = Vec<(Expr, String)>;

/// A query with what it says of the rows around it.
pub(super) struct Inside {
    pub(super) from: From,
    /// Over the columns of FROM around it, then its own.
    pub(super) on: Vec<Expr>,
}

impl Binder<'_> {
    /// FROM with all queries inside of a SELECT joined to it, and what is left of WHERE.
    pub(super) fn subqueries<'a>(
        &mut self,
        from: From,
        select: &'a ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<(From, Vec<&'a ast::Expr>), Reported> {
        let (mut from, filters) = self.questions(from, select.filter.as_ref(), ctes)?;
        let mut found = Vec::new();
        filters.iter().for_each(|filter| values(filter, &mut found));
        for expr in found {
            from = self.value_of(from, expr, ctes)?;
        }
        Ok((self.values_of_items(from, select, ctes)?, filters))
    }

    /// FROM with the value of a query in an expression.
    pub(super) fn value_of(
        &mut self,
        from: From,
        expr: &ast::Expr,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        if let ExprKind::Scalar(query) = &expr.kind {
            return self.value(from, query, expr.span, ctes);
        }
        match self.asked(&from, expr)? {
            Some(asked) => self.answered(from, asked, ctes),
            None => Ok(from),
        }
    }

    fn questions<'a>(
        &mut self,
        mut from: From,
        filter: Option<&'a ast::Expr>,
        ctes: &Ctes<'_>,
    ) -> Result<(From, Vec<&'a ast::Expr>), Reported> {
        let mut all = Vec::new();
        filter.into_iter().for_each(|filter| parts(filter, &mut all));
        let mut others = Vec::new();
        for part in all {
            match question(part) {
                Some(asked) => from = self.ask(from, &asked, ctes)?,
                None => others.push(part),
            }
        }
        Ok((from, others))
    }

    /// The rows of FROM for which the answer is yes.
    fn ask(&mut self, from: From, asked: &Question<'_>, ctes: &Ctes<'_>) -> Result<From, Reported> {
        let width = from.rel.fields.len();
        let query = match asked.of {
            Some(_) => asked.query.clone(),
            None => of_exists(asked.query),
        };
        if asked.of.is_none() && always_has_a_row(&query) {
            if !asked.negated {
                return Ok(from);
            }
            let no = truth(false, asked.span);
            let (exprs, fields) = (crate::rel::identity(&from.rel), from.rel.fields.clone());
            return Ok(From { rel: calc(&from.rel, Some(no), exprs, fields), ..from });
        }
        let (right, mut on, values) = match self.inside_of(&from, &query, ctes)? {
            Some((inside, values)) => {
                let values = values.into_iter().map(|(value, _)| value).collect();
                (inside.from.rel, inside.on, values)
            }
            None => {
                let Rows { rel, around, .. } =
                    self.rows_by_itself(&from, &query, asked.span, ctes)?;
                let keys = around.len();
                let on = self.found(&around, &rel, width, asked.span)?;
                let values = crate::rel::identity(&rel).split_off(keys);
                (rel, on, values)
            }
        };
        if let Some(of) = asked.of {
            // Of a row each value is compared with a column, unless the column holds rows.
            let of = match crate::parse::row(of) {
                Some(of) if values.len() != 1 => of,
                _ => std::slice::from_ref(of),
            };
            if of.len() != values.len() {
                let compared = match of.len() {
                    1 => "one column".to_owned(),
                    many => format!("{many} columns"),
                };
                let message = format!(
                    "IN compares with {compared}, and this query gives {}; select the one that is meant",
                    values.len()
                );
                return self.fail(asked.query.span, message);
            }
            for (of, value) in of.iter().zip(&values) {
                let scope = scope_of(&from);
                let bound = bind_plain(of, &scope, "has no place in WHERE; use HAVING");
                let of = self.keep(bound)?;
                let value = value.renumber(&|column| column + width);
                on.push(self.is_in(of, value, asked)?);
            }
        }
        self.refuse_chance(&on)?;
        let kind = if asked.negated { JoinKind::Anti } else { JoinKind::Semi };
        let rel = join(&from.rel, &right, kind, on, asked.span);
        Ok(From { rel, ..from })
    }

    /// Whether a value is the query's. It is not known to be none of them if one of the two is NULL.
    fn is_in(&mut self, of: Expr, value: Expr, asked: &Question<'_>) -> Result<Expr, Reported> {
        let span = asked.span;
        let equal = self.keep(compare_op(of.clone(), BinaryOp::Eq, value.clone(), span))?;
        let mut result = equal;
        for side in [of, value] {
            if asked.negated && side.ty.nullable {
                let is_null = self.is_null(side, span)?;
                result = logical(BinaryOp::Or, result, is_null, span);
            }
        }
        Ok(result)
    }

    /// A query that selects from rows as they are, and its columns over its own FROM; `None` if it
    /// does more than that, and so cannot speak of the rows around it.
    pub(super) fn inside_of(
        &mut self,
        outer: &From,
        query: &ast::Query,
        ctes: &Ctes<'_>,
    ) -> Result<Option<(Inside, Items)>, Reported> {
        let Some(select) = plain(query) else { return Ok(None) };
        if select.group_by.is_some() || select.having.is_some() || select.from.is_none() {
            return Ok(None);
        }
        if gives_aggregates(select) {
            return Ok(None);
        }
        let inside = self.inside(outer, select, ctes)?;
        let scope = scope_of(&inside.from);
        let (mut columns, mut aggregates) = (Vec::new(), Vec::new());
        for item in &select.items {
            match item {
                SelectItem::Star { qualifier, span } => {
                    let joined = Joined::of(&inside.from);
                    let star = joined.star(qualifier.as_ref(), scope.fields, *span);
                    columns.extend(self.keep(star)?);
                }
                SelectItem::Expr { expr, alias } => {
                    let mut binder = ExprBinder {
                        scope: &scope,
                        aggregates: Some(&mut aggregates),
                        no_aggregates: "",
                        over: None,
                        matching: None,
                    };
                    let bound = binder.bind(expr);
                    let name = item_name(alias.as_ref(), expr, columns.len());
                    columns.push((self.keep(bound)?, name));
                }
            }
        }
        Ok(aggregates.is_empty().then_some((inside, columns)))
    }

    pub(super) fn inside(
        &mut self,
        outer: &From,
        select: &ast::Select,
        ctes: &Ctes<'_>,
    ) -> Result<Inside, Reported> {
        let Some(relation) = &select.from else {
            return self.fail(select.span, "a query inside of another needs a FROM");
        };
        let from = self.with_lasting(select, |b| b.hinted_from(select, relation, ctes))?;
        let from = self.with_watermarks(from, select)?;
        let (mut from, filters) = self.questions(from, select.filter.as_ref(), ctes)?;
        let mut found = Vec::new();
        filters.iter().for_each(|filter| values(filter, &mut found));
        for expr in found {
            from = self.value_of(from, expr, ctes)?;
        }
        let fields = join_fields(&outer.rel, &from.rel, JoinKind::Inner);
        let joined = Joined::inside(outer, &from);
        let scope = Scope { joined: Some(&joined), ..scope_over(&fields, &from.place) };
        let own = scope_of(&from);
        let width = outer.rel.fields.len();
        let mut on = Vec::new();
        for filter in filters {
            // Watermarks are those of the query's own rows, before others stand beside them.
            let is_own = super::watermarks::is_asked(filter);
            let mut binder = ExprBinder {
                scope: if is_own { &own } else { &scope },
                aggregates: None,
                no_aggregates: "has no place in WHERE; use HAVING",
                over: None,
                matching: None,
            };
            let bound = condition(&mut binder, filter, "WHERE");
            let bound = self.keep(bound)?;
            let moved = |column: usize| if is_own { column + width } else { column };
            conjuncts(bound.renumber(&moved), &mut on);
        }
        let mut used = BTreeSet::new();
        on.iter().for_each(|on| on.columns(&mut used));
        let absent = outer.joined.iter().flat_map(|joined| &joined.absent);
        if let Some(column) = absent.into_iter().find(|column| used.contains(column)) {
            let name = &outer.rel.fields[*column].name;
            let message = format!(
                "this query speaks of \"{name}\", which is not in GROUP BY, so that a group has no value of it; add it to GROUP BY"
            );
            return self.fail(select.span, message);
        }
        Ok(Inside { from, on })
    }

    /// FROM with the value of a query as a column more.
    fn value(
        &mut self,
        from: From,
        query: &ast::Query,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<From, Reported> {
        let aggregated = match plain(query) {
            Some(select)
                if select.group_by.is_none()
                    && select.having.is_none()
                    && select.distinct.is_none()
                    && select.from.is_some()
                    && select.items.len() == 1 =>
            {
                self.aggregated(&from, select, span, ctes)?
            }
            _ => None,
        };
        let Some(aggregated) = aggregated else {
            let Rows { rel, around, is_one, .. } = self.rows_of(&from, query, span, ctes)?;
            let keys = around.len();
            if rel.fields.len() != keys + 1 {
                let message = format!(
                    "a query that stands for a value gives one column, this one gives {}",
                    rel.fields.len() - keys
                );
                return self.fail(span, message);
            }
            if !is_one {
                return self.only_value(from, &rel, &around, span);
            }
            let width = from.rel.fields.len();
            let on = self.found(&around, &rel, width, span)?;
            self.refuse_chance(&on)?;
            let ty = SqlType::nullable(rel.fields[keys].ty.kind);
            let value = Expr::column(width + keys, ty, span);
            return Ok(with_value(beside(from, &rel, on, span), value, span));
        };
        let on = self.found(&aggregated.around, &aggregated.rel, from.rel.fields.len(), span)?;
        self.refuse_chance(&on)?;
        let rel = aggregated.rel.clone();
        let mut values = self.values_beside(aggregated, from.rel.fields.len(), span)?;
        let Some((value, _)) = values.pop() else { return Err(Reported) };
        Ok(with_value(beside(from, &rel, on, span), value, span))
    }

    /// The values of an aggregate that stands behind `width` columns, with what they are where a row
    /// of these has found none.
    pub(super) fn values_beside(
        &mut self,
        aggregated: Aggregated,
        width: usize,
        span: Span,
    ) -> Result<Items, Reported> {
        let Aggregated { rel, around, values } = aggregated;
        let there = width + rel.fields.len() - 1;
        let there = Expr::column(there, SqlType::nullable(Kind::Boolean), span);
        let is_there = self.is_not_null(there, span)?;
        let mut chosen = Vec::new();
        for (number, (empty, name)) in values.into_iter().enumerate() {
            let column = around.len() + number;
            let kind = rel.fields[column].ty.kind;
            let value = Expr::column(width + column, SqlType::nullable(kind), span);
            let whens = vec![is_there.clone()];
            let value = choose(whens, vec![value, empty], "a query's value", span);
            chosen.push((self.keep(value)?, name));
        }
        Ok(chosen)
    }

    /// Aggregates over the rows of a query, by what it says of the rows around it; `None` if it
    /// aggregates nothing.
    pub(super) fn aggregated(
        &mut self,
        outer: &From,
        select: &ast::Select,
        span: Span,
        ctes: &Ctes<'_>,
    ) -> Result<Option<Aggregated>, Reported> {
        if !gives_aggregates(select) {
            return Ok(None);
        }
        let inside = self.inside(outer, select, ctes)?;
        let scope = scope_of(&inside.from);
        let mut found = Vec::new();
        let mut binder = ExprBinder {
            scope: &scope,
            aggregates: Some(&mut found),
            no_aggregates: "",
            over: None,
            matching: None,
        };
        let mut items = Vec::new();
        for item in &select.items {
            let SelectItem::Expr { expr, alias } = item else { return Ok(None) };
            let bound = binder.bind(expr);
            items.push((self.keep(bound)?, item_name(alias.as_ref(), expr, items.len())));
        }
        if found.is_empty() {
            return Ok(None);
        }
        let Beside { from, filter, keys, moved } = self.beside_rows(outer, inside, span)?;
        for (item, _) in &mut items {
            *item = item.renumber(&|column| column + moved);
        }
        for call in &mut found {
            for part in [&mut call.arg, &mut call.filter].into_iter().flatten() {
                *part = part.renumber(&|column| column + moved);
            }
        }
        let own = from.rel.fields.len();
        // Of no rows a count is 0, all else is NULL.
        let of_nothing = |call: &FoundAggregate| match call.function.is_nullable() {
            true => Expr::null(call.kind, span),
            false => Expr::literal(Arc::new(Int64Array::from(vec![0])), Kind::BigInt, span),
        };
        let nothing: Vec<Expr> = found.iter().map(of_nothing).collect();
        let of_none = |column: usize| match column.checked_sub(own) {
            Some(call) => nothing[call].clone(),
            None => Expr::null(from.rel.fields[column].ty.kind, span),
        };
        let values =
            items.iter().map(|(item, name)| (item.substitute(&of_none), name.clone())).collect();
        let (mut own_keys, mut around) = (Vec::new(), Vec::new());
        for key in keys {
            own_keys.push(key.own);
            around.push((key.around, key.null_safe));
        }
        let keys = own_keys;
        let there = truth(true, span);
        let named = |(number, key): (usize, Expr)| (key, format!("key{number}"));
        let mut columns: Vec<(Expr, String)> =
            keys.iter().cloned().enumerate().map(named).collect();
        let several = items.len() > 1;
        columns.extend(items.into_iter().enumerate().map(|(number, (item, _))| match several {
            true => (item, format!("value{number}")),
            false => (item, "value".to_owned()),
        }));
        columns.push((there, "there".to_owned()));
        let rel = self.with_lasting(select, |b| {
            b.aggregate(select, &from, filter, Keys::all(keys), found, columns, None)
        })?;
        Ok(Some(Aggregated { rel, around, values }))
    }

    /// The rows of a query by what it says of the rows around it: an equality is of a key of its
    /// own. What else it says is said once of all the values that there are around it, whose rows
    /// it is beside then.
    pub(super) fn beside_rows(
        &mut self,
        outer: &From,
        inside: Inside,
        span: Span,
    ) -> Result<Beside, Reported> {
        let width = outer.rel.fields.len();
        let Inside { from, on } = inside;
        let (mut filter, mut keys, mut others) = (None, Vec::new(), Vec::new());
        let mut around = BTreeSet::new();
        for part in on {
            let mut columns = BTreeSet::new();
            part.columns(&mut columns);
            if columns.first().is_none_or(|first| *first >= width) {
                filter = and(filter, Some(part));
                continue;
            }
            around.extend(columns.into_iter().filter(|column| *column < width));
            match equality(&part, width) {
                Some(Equal { left, right, null_safe }) if others.is_empty() => {
                    keys.push((part, Key { own: right, around: left, null_safe }));
                }
                _ => others.push(part),
            }
        }
        if others.is_empty() {
            let own = |part: Expr| part.renumber(&|column| column.saturating_sub(width));
            let keys = keys.into_iter().map(|(_, key)| key).collect();
            return Ok(Beside { from, filter: filter.map(own), keys, moved: 0 });
        }
        if let Some(reason) = chance_of(&outer.rel, &around) {
            let message = format!(
                "this query speaks of the rows around it by more than what is equal, so that they are found by all that they hold, and part of that {reason}; speak of columns that stay as they are"
            );
            return self.fail(span, message);
        }
        let around: Vec<usize> = around.into_iter().collect();
        let moved = around.len();
        let fields = around
            .iter()
            .map(|&column| Field { role: Role::Plain, ..outer.rel.fields[column].clone() });
        let fields = unique(fields.collect());
        let exprs = around.iter().map(|&c| Expr::column(c, outer.rel.fields[c].ty, span));
        let values =
            grouped(calc(&outer.rel, None, exprs.collect(), fields), moved, Vec::new(), span);
        let values = self.final_rows(&values);
        let place = |column: usize| match around.iter().position(|known| *known == column) {
            Some(at) if column < width => at,
            _ => (column + moved).saturating_sub(width),
        };
        let parts = keys.into_iter().map(|(part, _)| part).chain(others).chain(filter);
        let on: Vec<Expr> = parts.map(|part| part.renumber(&place)).collect();
        self.refuse_chance(&on)?;
        let rel = join(&values, &from.rel, JoinKind::Inner, on, span);
        let keys = around.iter().enumerate().map(|(at, &column)| Key {
            own: Expr::column(at, rel.fields[at].ty, span),
            around: Expr::column(column, outer.rel.fields[column].ty, span),
            null_safe: true,
        });
        let keys = keys.collect();
        Ok(Beside { from: From { rel, ..from }, filter: None, keys, moved })
    }
}

/// Why these columns of rows, or which rows there are, may be other ones where the relation is
/// computed once more. What keeps its rows is computed once.
fn chance_of(rel: &Rel, columns: &BTreeSet<usize>) -> Option<&'static str> {
    match &rel.kind {
        RelKind::Calc { input, filter, exprs } => {
            let read = columns.iter().filter_map(|&column| exprs.get(column)).chain(filter);
            let mut below = BTreeSet::new();
            for expr in read {
                if let Some(reason) = expr.nondeterministic() {
                    return Some(reason);
                }
                expr.columns(&mut below);
            }
            chance_of(input, &below)
        }
        RelKind::Union(branches) => branches.iter().find_map(|rel| chance_of(rel, columns)),
        RelKind::Window { input, .. } | RelKind::Arrivals { input, .. } => {
            chance_of(input, columns)
        }
        RelKind::Unnest(unnest) => {
            chance_of(&unnest.input, &(0..unnest.input.fields.len()).collect())
        }
        _ => None,
    }
}

/// The rows of a query by what it says of the rows around it.
pub(super) struct Beside {
    pub(super) from: From,
    /// Over its columns.
    pub(super) filter: Option<Expr>,
    pub(super) keys: Vec<Key>,
    /// By how much the query's own columns moved.
    pub(super) moved: usize,
}

/// What rows of a query and the rows around it find each other by.
pub(super) struct Key {
    pub(super) own: Expr,
    pub(super) around: Expr,
    /// Whether NULL finds NULL.
    pub(super) null_safe: bool,
}

/// Aggregates by keys: columns of these, the values, and TRUE.
pub(super) struct Aggregated {
    pub(super) rel: Arc<Rel>,
    /// The other side of its keys, over FROM around, and whether NULL finds NULL.
    pub(super) around: Vec<(Expr, bool)>,
    /// What the values are of no rows, and their names.
    values: Items,
}

pub(super) fn scope_over<'a>(fields: &'a [Field], place: &'a str) -> Scope<'a> {
    Scope { fields, qualifier: None, place, aliases: &[], joined: None }
}

pub(super) fn scope_of(from: &From) -> Scope<'_> {
    Scope {
        qualifier: from.qualifier.as_deref(),
        joined: from.joined.as_ref(),
        ..scope_over(&from.rel.fields, &from.place)
    }
}

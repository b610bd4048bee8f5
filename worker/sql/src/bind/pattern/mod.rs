//! MATCH_RECOGNIZE.
//!
//! What MEASURES and DEFINE read becomes a list of values of a match's rows ([`Matching`]), over
//! which they are plain expressions. The columns that those values are of are one relation below.

mod matching;
mod shape;
mod shown;

use std::sync::Arc;

use weir_engine::operators::pattern::spec::{Output, Skip, Value};
use weir_engine::operators::pattern::{Delay, delay};
use weir_engine::operators::rank::spec::SortColumn;

use super::aggregate::unique;
use super::below::literal;
use super::expr::{ExprBinder, Scope, bind_plain, condition};
use super::query::{Ctes, From};
use super::{Binder, Reported};
use crate::ast::{self, ExprKind, Ident, MatchSkip};
use crate::error::{Span, SqlError, did_you_mean};
use crate::expr::Expr;
use crate::rel::{Check, Field, Measure, Pattern, Rel, RelKind, Role, Variable, calc, conjuncts};
use crate::types::{Kind, SqlType};

pub(crate) use matching::Matching;
pub(crate) use shown::{shape_text, value_name};

fn fail<T>(span: Span, message: impl Into<String>) -> Result<T, SqlError> {
    Err(SqlError::new(span, message))
}

impl Binder<'_> {
    pub(super) fn match_recognize(
        &mut self,
        clause: &ast::MatchClause,
        ctes: &Ctes<'_>,
    ) -> Result<Arc<Rel>, Reported> {
        let from = self.from(&clause.data, ctes)?;
        let bound = pattern(clause, &from);
        let rel = self.keep(bound)?;
        Ok(Arc::new(rel))
    }
}

/// The relation of a clause over what FROM gives.
fn pattern(clause: &ast::MatchClause, from: &From) -> Result<Rel, SqlError> {
    let fields = &from.rel.fields;
    let partition = partition(clause, from)?;
    let order = order(clause, from)?;
    if let Some(by) = from.rel.corrected_by() {
        return fail(
            clause.span,
            format!(
                "MATCH_RECOGNIZE takes rows that only come, and {} at {}:{} corrects rows that it gave before; {}",
                by.what,
                by.span.line,
                by.span.column,
                by.way_out()
            ),
        );
    }
    let variables = shape::variables(&clause.pattern);
    let shape = shape::resolve(&clause.pattern, &variables, false)?;
    if shape.may_be_empty() {
        return fail(
            clause.span,
            "this PATTERN fits no row at all as well, and a match has at least one; let one of its variables be there without '?' or '*'",
        );
    }
    let subsets = subsets(clause, &variables)?;
    let time = order[0].column;
    let mut matching = Matching::new(variables.clone(), subsets, fields.clone(), time);
    let column = |at: usize| Expr::column(at, fields[at].ty, Span::default());
    let all = if clause.all_rows { fields.len() } else { 0 };
    let kept = (0..all).chain(partition.iter().copied()).chain(order.iter().map(|s| s.column));
    for at in kept {
        matching.below.place(&column(at), || fields[at].name.clone());
    }
    let scope = Scope { fields, qualifier: None, place: &from.place, aliases: &[], joined: None };
    let variables = define(clause, &scope, &mut matching)?;
    let measures = measures(clause, &scope, &mut matching)?;
    let values = std::mem::take(&mut matching.values);
    let skip = match &clause.skip {
        Some(MatchSkip::PastLastRow) => Skip::PastLastRow,
        None | Some(MatchSkip::ToNextRow) => Skip::ToNextRow,
        Some(MatchSkip::ToFirst(name)) => Skip::ToFirst(matching.named(name)?),
        Some(MatchSkip::ToLast(name)) => Skip::ToLast(matching.named(name)?),
    };
    let within = clause.within.as_ref().map(within).transpose()?;
    let checks = variables.iter().flat_map(|variable| &variable.checks);
    let delay = delay(&shape, checks.flat_map(|c| &c.values).chain(&values), within);
    let delay = delay.map_err(|error| SqlError::new(clause.span, error.message))?;
    let mut at = |column: usize| {
        let expr = Expr::column(column, fields[column].ty, Span::default());
        matching.below.place(&expr, || fields[column].name.clone())
    };
    let partition_columns = partition;
    let partition: Vec<usize> = partition_columns.iter().map(|&column| at(column)).collect();
    let sorted = order.iter().map(|sort| SortColumn { column: at(sort.column), ..*sort });
    let sorted: Vec<SortColumn> = sorted.collect();
    let mut output: Vec<(Output, Field)> = Vec::new();
    let input =
        |columns: &[usize], into: &mut Vec<(Output, Field)>, at: &mut dyn FnMut(usize) -> usize| {
            for &column in columns {
                // Rows leave long after their own time.
                let role = Role::Plain;
                let field = Field { role, ..fields[column].clone() };
                into.push((Output::Input(at(column)), field));
            }
        };
    input(&partition_columns, &mut output, &mut at);
    if clause.all_rows {
        let order_columns: Vec<usize> = order
            .iter()
            .map(|sort| sort.column)
            .filter(|column| !partition_columns.contains(column))
            .collect();
        input(&order_columns, &mut output, &mut at);
    }
    let time = sorted[0].column;
    for (number, measure) in measures.iter().enumerate() {
        let value = measure.expr.as_column().and_then(|at| values.get(at));
        let is_rowtime = value.is_some_and(|value| Pattern::is_rowtime(value, time));
        let role = match delay {
            Delay::None | Delay::Bounded(_) if is_rowtime => Role::Rowtime,
            _ => Role::Plain,
        };
        let field = Field { name: measure.name.clone(), ty: measure.ty, role };
        output.push((Output::Measure(number), field));
    }
    if clause.all_rows {
        let others: Vec<usize> = (0..fields.len())
            .filter(|c| !partition_columns.contains(c) && order.iter().all(|s| s.column != *c))
            .collect();
        let mut at = |column: usize| column;
        input(&others, &mut output, &mut at);
    }
    if output.is_empty() {
        return fail(
            clause.span,
            "this gives no column: a match gives what PARTITION BY and MEASURES name; add MEASURES",
        );
    }
    let (output, out_fields): (Vec<Output>, Vec<Field>) = output.into_iter().unzip();
    unambiguous(clause, &out_fields)?;
    let below = matching.below;
    let named = |(expr, name): (&Expr, &String)| Field {
        name: name.clone(),
        ty: expr.ty,
        role: expr.as_column().map_or(Role::Plain, |at| fields[at].role.clone()),
    };
    let below_fields = unique(below.exprs.iter().zip(&below.names).map(named).collect());
    let pattern = Pattern {
        input: calc(&from.rel, None, below.exprs, below_fields),
        partition,
        order: sorted,
        variables,
        shape,
        skip,
        within,
        values,
        measures,
        all_rows: clause.all_rows,
        output,
        span: clause.span,
    };
    Ok(Rel { kind: RelKind::Pattern(pattern), fields: out_fields })
}

fn plain_column(expr: &ast::Expr, from: &From, what: &str) -> Result<usize, SqlError> {
    let ExprKind::Column(parts) = &expr.kind else {
        return fail(
            expr.span,
            format!("{what} of MATCH_RECOGNIZE names columns; compute this in a query below"),
        );
    };
    let scope = Scope {
        fields: &from.rel.fields,
        qualifier: from.qualifier.as_deref(),
        place: &from.place,
        aliases: &[],
        joined: None,
    };
    let bound = bind_plain(expr, &scope, "has no place here")?;
    let name = parts.last().map_or("", |name| name.text.as_str());
    bound.as_column().ok_or_else(|| {
        SqlError::new(
            expr.span,
            format!("\"{name}\" is a part of a column; give it a name in a query below"),
        )
    })
}

fn partition(clause: &ast::MatchClause, from: &From) -> Result<Vec<usize>, SqlError> {
    let mut partition = Vec::new();
    for expr in &clause.partition {
        let column = plain_column(expr, from, "PARTITION BY")?;
        if !partition.contains(&column) {
            partition.push(column);
        }
    }
    Ok(partition)
}

/// The event time, and what rows of one time are sorted by.
fn order(clause: &ast::MatchClause, from: &From) -> Result<Vec<SortColumn>, SqlError> {
    let fields = &from.rel.fields;
    let event_time = fields.iter().find(|field| field.role.is_rowtime());
    let hint = match event_time {
        Some(time) => format!("; the event time of {} is \"{}\"", from.place, time.name),
        None => format!("; {} has none: declare a WATERMARK, or select it along", from.place),
    };
    let Some(first) = clause.order.first() else {
        return fail(
            clause.span,
            format!(
                "MATCH_RECOGNIZE needs ORDER BY and an event time, in the order of which rows follow each other{hint}"
            ),
        );
    };
    let mut order = Vec::new();
    for item in &clause.order {
        let column = plain_column(&item.expr, from, "ORDER BY")?;
        let descending = item.descending;
        let nulls_first = item.nulls_first.unwrap_or(!descending);
        order.push(SortColumn { column, descending, nulls_first });
    }
    let field = &fields[order[0].column];
    if !field.role.is_rowtime() {
        return fail(
            first.expr.span,
            format!(
                "MATCH_RECOGNIZE is ordered by an event time first, and \"{}\" is none{hint}",
                field.name
            ),
        );
    }
    if first.descending {
        return fail(
            first.expr.span,
            "MATCH_RECOGNIZE is ordered by an event time upwards: a stream has no last row to begin at; leave DESC out",
        );
    }
    if !field.ty.kind.is_milliseconds() {
        return fail(
            first.expr.span,
            format!(
                "MATCH_RECOGNIZE is ordered by an event time of type TIMESTAMP(3), and \"{}\" is {}",
                field.name, field.ty.kind
            ),
        );
    }
    Ok(order)
}

fn subsets(
    clause: &ast::MatchClause,
    variables: &[String],
) -> Result<Vec<(String, Vec<usize>)>, SqlError> {
    let mut subsets: Vec<(String, Vec<usize>)> = Vec::new();
    for (name, of) in &clause.subsets {
        let is_known = subsets.iter().any(|(known, _)| *known == name.text);
        if variables.contains(&name.text) || is_known {
            return fail(
                name.span,
                format!("\"{}\" has a meaning already; give the subset another name", name.text),
            );
        }
        let of = of.iter().map(|variable| known_variable(variable, variables));
        subsets.push((name.text.clone(), of.collect::<Result<Vec<_>, _>>()?));
    }
    Ok(subsets)
}

fn known_variable(name: &Ident, variables: &[String]) -> Result<usize, SqlError> {
    variables.iter().position(|known| *known == name.text).ok_or_else(|| {
        let hint = match did_you_mean(&name.text, variables.iter().map(String::as_str), '"') {
            hint if hint.is_empty() => format!("; it has {}", variables.join(", ")),
            hint => hint,
        };
        SqlError::new(name.span, format!("\"{}\" is no variable of PATTERN{hint}", name.text))
    })
}

fn binder<'a>(scope: &'a Scope<'a>, matching: &'a mut Matching) -> ExprBinder<'a> {
    ExprBinder {
        scope,
        aggregates: None,
        no_aggregates: "has no place in MATCH_RECOGNIZE",
        over: None,
        matching: Some(matching),
    }
}

/// The variables with their conditions, taken apart at AND.
fn define(
    clause: &ast::MatchClause,
    scope: &Scope<'_>,
    matching: &mut Matching,
) -> Result<Vec<Variable>, SqlError> {
    let names = matching.variables.clone();
    let mut variables: Vec<Variable> =
        names.iter().map(|name| Variable { name: name.clone(), checks: Vec::new() }).collect();
    let mut seen = Vec::new();
    for (name, expr) in &clause.define {
        let variable = known_variable(name, &names)?;
        if seen.contains(&variable) {
            return fail(
                name.span,
                format!("\"{}\" is defined twice; join its conditions by AND", name.text),
            );
        }
        seen.push(variable);
        matching.defined = Some(variable);
        let what = format!("the condition of \"{}\"", name.text);
        let bound = condition(&mut binder(scope, matching), expr, &what)?;
        matching.defined = None;
        if let Some(reason) = bound.nondeterministic() {
            return fail(
                expr.span,
                format!(
                    "a condition of DEFINE is looked at more than once, and this one {reason}; compute the value in a query below"
                ),
            );
        }
        let values = std::mem::take(&mut matching.values);
        let mut parts = Vec::new();
        conjuncts(bound, &mut parts);
        variables[variable].checks = parts.into_iter().map(|part| check(part, &values)).collect();
    }
    Ok(variables)
}

/// A condition over the values that it reads, and no others.
fn check(condition: Expr, values: &[Value]) -> Check {
    let mut columns = std::collections::BTreeSet::new();
    condition.columns(&mut columns);
    let read: Vec<usize> = columns.into_iter().collect();
    let number = |column: usize| read.iter().position(|&c| c == column).unwrap_or(column);
    Check {
        condition: condition.renumber(&number),
        values: read.iter().filter_map(|&at| values.get(at).cloned()).collect(),
    }
}

fn measures(
    clause: &ast::MatchClause,
    scope: &Scope<'_>,
    matching: &mut Matching,
) -> Result<Vec<Measure>, SqlError> {
    let mut measures: Vec<Measure> = Vec::new();
    for (expr, name) in &clause.measures {
        let bound = binder(scope, matching).bind(expr)?;
        if bound.kind() == Kind::Null {
            return fail(expr.span, "a NULL without a type is no measure; CAST it");
        }
        let ty = SqlType { nullable: true, ..bound.ty };
        measures.push(Measure { expr: bound, name: name.text.clone(), ty });
    }
    Ok(measures)
}

fn within(expr: &ast::Expr) -> Result<i64, SqlError> {
    let scope = Scope { fields: &[], qualifier: None, place: "WITHIN", aliases: &[], joined: None };
    let bound = bind_plain(expr, &scope, "has no place in WITHIN")?;
    let length = literal(&bound).filter(|length| *length > 0);
    match (bound.kind(), length) {
        (Kind::IntervalMillis, Some(length)) => Ok(length),
        (Kind::IntervalMonths, _) => fail(
            expr.span,
            "WITHIN takes a length of time that is always the same; write it in days or less",
        ),
        _ => fail(
            expr.span,
            "WITHIN takes a length of time longer than nothing, such as INTERVAL '1' HOUR",
        ),
    }
}

/// Two columns of one name could not be told apart.
fn unambiguous(clause: &ast::MatchClause, fields: &[Field]) -> Result<(), SqlError> {
    for (at, field) in fields.iter().enumerate() {
        if fields[..at].iter().any(|other| other.name == field.name) {
            let measure = clause.measures.iter().rev().find(|(_, name)| name.text == field.name);
            let span = measure.map_or(clause.span, |(_, name)| name.span);
            return fail(
                span,
                format!(
                    "two columns of the result are called \"{}\"; give the measure another name",
                    field.name
                ),
            );
        }
    }
    Ok(())
}

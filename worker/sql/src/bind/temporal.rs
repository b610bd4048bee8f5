//! Joins of rows with what a table said at their time: `FOR SYSTEM_TIME AS OF`.

use std::borrow::Cow;
use std::sync::Arc;

use weir_engine::operators::dedup::spec::Keep;

use super::expr::{Scope, bind_plain};
use super::join::Joined;
use super::query::From;
use super::{Binder, Reported};
use crate::ast::{self, JoinClause, RelationKind};
use crate::error::Span;
use crate::expr::Expr;
use crate::rel::{
    AsOf, JoinKind, Rel, RelKind, Role, Versions, calc, equality, joined_at, role_of,
};
use crate::types::Kind;

/// The table on the right of a join, and as of when it is asked.
pub(super) fn table_of(right: &ast::Relation) -> (Cow<'_, ast::Relation>, Option<&ast::AsOf>) {
    let RelationKind::AsOf(as_of) = &right.kind else { return (Cow::Borrowed(right), None) };
    let table = ast::Relation {
        kind: as_of.table.kind.clone(),
        alias: right.alias.clone(),
        columns: right.columns.clone(),
        span: right.span,
    };
    (Cow::Owned(table), Some(as_of))
}

/// What the rows of the left ask for.
#[derive(Clone, Copy)]
pub(super) enum When {
    /// What there was at an event time: a column of theirs.
    Was(usize),
    /// What there is.
    Asked,
}

/// Rows of which each takes the place of the one of its key before.
struct Found {
    /// The same columns.
    rel: Arc<Rel>,
    /// Sets of columns, each of which tells rows apart.
    keys: Vec<Vec<usize>>,
    time: usize,
}

impl Binder<'_> {
    /// When the left rows of a temporal join ask: a column of theirs.
    pub(super) fn as_of(
        &mut self,
        clause: &JoinClause,
        as_of: &ast::AsOf,
        of_left: &Joined,
        [left, right]: [&From; 2],
    ) -> Result<When, Reported> {
        match clause.kind {
            JoinKind::Inner | JoinKind::Left => {}
            kind => {
                let word = if kind == JoinKind::Right { "RIGHT" } else { "FULL" };
                let message = format!(
                    "FOR SYSTEM_TIME AS OF takes JOIN and LEFT JOIN, not {word} JOIN: {} is asked by the rows on the left, and gives nothing by itself",
                    right.place
                );
                return self.fail(clause.span, message);
            }
        }
        let scope = Scope {
            fields: &left.rel.fields,
            qualifier: left.qualifier.as_deref(),
            place: &left.place,
            aliases: &[],
            joined: Some(of_left),
        };
        let bound = bind_plain(&as_of.time, &scope, "has no place in FOR SYSTEM_TIME AS OF");
        let time = self.keep(bound)?;
        let attributes = || {
            let times = left.rel.fields.iter().filter(|field| field.role.is_rowtime());
            let times: Vec<String> = times.map(|field| format!("\"{}\"", field.name)).collect();
            match times.as_slice() {
                [] => "it has none: declare WATERMARK FOR a column of its table, and select that column unchanged".to_owned(),
                times => format!("it has {}", times.join(", ")),
            }
        };
        let asked = role_of(&time, &left.rel.fields) == Role::Proctime;
        let Some(column) = time.as_column().or(asked.then_some(0)) else {
            let message = format!(
                "FOR SYSTEM_TIME AS OF takes an event time of the left side, a column alone; {}",
                attributes()
            );
            return self.fail(as_of.time.span, message);
        };
        if !asked && !left.rel.fields[column].role.is_rowtime() {
            let message = format!(
                "\"{}\" is no event time, and FOR SYSTEM_TIME AS OF takes one of the left side; {}",
                left.rel.fields[column].name,
                attributes()
            );
            return self.fail(as_of.time.span, message);
        }
        if let Some(by) = left.rel.corrected_by() {
            let message = format!(
                "the left side of FOR SYSTEM_TIME AS OF has to be rows that only come, and these are corrected: {} at {}:{}; what a row met may be gone when it is taken back. Join first, and do the other behind it",
                by.what, by.span.line, by.span.column
            );
            return self.fail(as_of.span, message);
        }
        Ok(if asked { When::Asked } else { When::Was(column) })
    }

    /// The join itself; `on` are the parts of its condition.
    pub(super) fn temporal(
        &mut self,
        clause: &JoinClause,
        when: When,
        [left, right]: [&From; 2],
        on: Vec<Expr>,
    ) -> Result<Arc<Rel>, Reported> {
        let When::Was(time) = when else { return self.asking(clause, [left, right], on) };
        let versions = self.versions(right, clause.right.span)?;
        let width = left.rel.fields.len();
        let equal: Vec<usize> = on
            .iter()
            .filter_map(|on| equality(on, width).filter(|equal| !equal.null_safe))
            .filter_map(|equal| equal.right.as_column())
            .collect();
        let is_said = |key: &&Vec<usize>| key.iter().all(|column| equal.contains(column));
        let Some(key) = versions.keys.iter().find(is_said) else {
            let name = |column: &usize| format!("\"{}\"", versions.rel.fields[*column].name);
            let key = versions.keys.first().map(Vec::as_slice).unwrap_or_default();
            let all: Vec<String> = key.iter().map(name).collect();
            let missing: Vec<String> =
                key.iter().filter(|column| !equal.contains(column)).map(name).collect();
            let message = format!(
                "ON has to say of each column of the key of {} ({}) what it equals, in the same type; it does not of {}",
                right.place,
                all.join(", "),
                missing.join(", ")
            );
            let at = match &clause.on {
                ast::JoinOn::Condition(condition) => condition.span,
                _ => clause.span,
            };
            return self.fail(at, message);
        };
        let as_of = AsOf::Versions(Versions { left: time, right: versions.time, key: key.clone() });
        let own = left.rel.fields[time].ty.kind;
        let other = versions.rel.fields[versions.time].ty.kind;
        let is_local = |kind| matches!(kind, Kind::TimestampLtz(_));
        if is_local(own) != is_local(other) {
            let message = format!(
                "the event time of the left side is {own}, that of {} is {other}; declare both as TIMESTAMP(3), or both as TIMESTAMP_LTZ(3)",
                right.place
            );
            return self.fail(clause.right.span, message);
        }
        Ok(joined_at(&left.rel, &versions.rel, clause.kind, on, clause.span, Some(as_of)))
    }

    /// What the right side gives as versions.
    fn versions(&mut self, right: &From, at: Span) -> Result<Found, Reported> {
        let rel = &right.rel;
        let place = &right.place;
        let (mut below, mut filtered) = (rel, false);
        while let RelKind::Calc { input, filter, .. } = &below.kind {
            filtered |= filter.is_some();
            below = input;
        }
        let last = match &below.kind {
            RelKind::Rank(rank) if rank.dedup() == Some(Keep::Last) => Some(rank),
            _ => None,
        };
        if matches!(&below.kind, RelKind::Rank(rank) if rank.at_end) {
            let message = format!(
                "{place} keeps the last versions alone in batch mode; join it in streaming mode, or declare PRIMARY KEY (…) NOT ENFORCED and WATERMARK on a table of rows that only come"
            );
            return self.fail(at, message);
        }
        let replaces = matches!(below.kind, RelKind::Scan(_)) || last.is_some();
        let (found, keys) = match last {
            // Every row is a version, not only the one that is the last by now.
            Some(rank) => match without_rank(rel) {
                Some(found) => (found, vec![rank.partition.clone()]),
                None => {
                    let message = format!(
                        "{place} gives the row number, which every version has; leave it out of the columns"
                    );
                    return self.fail(at, message);
                }
            },
            None => (rel.clone(), rel.keys()),
        };
        if last.is_none()
            && let (Some(by), false) = (rel.corrected_by(), replaces)
        {
            let message = format!(
                "{place} is no versioned table: its rows are corrected ({} at {}:{}) at times that no column says. A versioned table has a PRIMARY KEY and a WATERMARK, or keeps the last row of each key: ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1",
                by.what, by.span.line, by.span.column
            );
            return self.fail(at, message);
        }
        if replaces && filtered {
            let message = format!(
                "{place} filters versions: what took the place of a row that is left would be unknown; put the condition into ON, where it is asked of the version that a row meets"
            );
            return self.fail(at, message);
        }
        let keys = match last {
            Some(_) => keys_above(rel, below, &keys),
            None => keys,
        };
        if keys.is_empty() {
            let message = format!(
                "{place} has no key by which a version takes the place of the one before; declare PRIMARY KEY (…) NOT ENFORCED and keep its columns, or number the rows: ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1"
            );
            return self.fail(at, message);
        }
        let is_time = |role: fn(&Role) -> bool| found.fields.iter().position(|f| role(&f.role));
        let time = is_time(|role| matches!(role, Role::Rowtime))
            .or_else(|| is_time(|role| matches!(role, Role::WindowTime(_))));
        let Some(time) = time else {
            let message = format!(
                "{place} has no event time, from which a version is valid; declare WATERMARK FOR a column of its table, and select that column unchanged"
            );
            return self.fail(at, message);
        };
        Ok(Found { rel: found, keys, time })
    }
}

/// Projections over a deduplication as they are over its input; none where they give the row number.
fn without_rank(rel: &Arc<Rel>) -> Option<Arc<Rel>> {
    match &rel.kind {
        RelKind::Calc { input, exprs, .. } => {
            let below = without_rank(input)?;
            let mut used = std::collections::BTreeSet::new();
            exprs.iter().for_each(|expr| expr.columns(&mut used));
            let there = used.last().is_none_or(|last| *last < below.fields.len());
            there.then(|| calc(&below, None, exprs.clone(), rel.fields.clone()))
        }
        RelKind::Rank(rank) => Some(rank.input.clone()),
        _ => None,
    }
}

/// Where the keys of a relation stand above projections of it.
fn keys_above(rel: &Arc<Rel>, below: &Arc<Rel>, keys: &[Vec<usize>]) -> Vec<Vec<usize>> {
    if Arc::ptr_eq(rel, below) {
        return keys.to_vec();
    }
    let RelKind::Calc { input, exprs, .. } = &rel.kind else { return Vec::new() };
    let kept = |column: &usize| exprs.iter().position(|e| e.as_column() == Some(*column));
    let keys = keys_above(input, below, keys);
    keys.iter().filter_map(|key| key.iter().map(kept).collect()).collect()
}

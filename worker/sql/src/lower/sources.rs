//! Tables that are read, and rows that the program itself holds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field as ArrowField, Schema, SchemaRef};
use weir_connectors::table::{FirstRow, Problem};
use weir_engine::graph::{Node, OperatorInfo, SourceNode};
use weir_engine::operator::OutputTag;
use weir_engine::operators::dedup::{
    self,
    spec::{Dedup, Keep},
};
use weir_engine::source::{EventTimes, NotNull, RowMark, WatermarkRule as EngineRule};

use super::rank::{Keyed, stored_names};
use super::{Flow, Lowering, identity, names, schema_of};
use crate::bind::watermarks::is_shown;
use crate::calc::Calc;
use crate::catalog::{ColumnKind, TableDef, WatermarkRule};
use crate::error::{Span, SqlError};
use crate::event_times::TableTimes;
use crate::expr::{Expr, render};
use crate::rel::{Field, Rel};
use crate::values;

/// Columns among those that are read which the table declares to hold no NULL. What is bound to
/// them relies on it: COUNT of such a column counts rows.
pub(super) fn not_null(table: &TableDef, read: &BTreeSet<usize>) -> Vec<NotNull> {
    let declared = |&(_, &index): &(usize, &usize)| !table.columns[index].ty.nullable;
    let message = |index: usize| {
        let (name, table_name) = (&table.columns[index].name, &table.name);
        let (why, way_out) = match table.primary_key.contains(&index) {
            false => ("NOT NULL", "declare the column without NOT NULL"),
            true => ("in its PRIMARY KEY and so NOT NULL", "leave the column out of the key"),
        };
        format!(
            "column \"{name}\" of table \"{table_name}\" is {why}, but the record has no value \
             for it, or none that can be read; correct the record, or {way_out}"
        )
    };
    let read = read.iter().enumerate().filter(declared);
    read.map(|(column, &index)| NotNull { column, message: message(index) }).collect()
}

/// Problems of a table, at its options.
pub(crate) fn at_options(
    table: &TableDef,
    problems: Vec<Problem>,
) -> impl Iterator<Item = SqlError> {
    problems.into_iter().map(|problem| {
        let span = problem.at.map_or(table.span, |at| options_span(table, Span::from(at)));
        SqlError::new(span, problem.message)
    })
}

/// The whole key of an option, where its first character is known.
fn options_span(table: &TableDef, at: Span) -> Span {
    table.options.iter().find(|(_, o)| Span::from(o.at) == at).map_or(at, |(key, _)| Span {
        end_column: at.column + key.chars().count() as u32 + 1,
        ..at
    })
}

impl Lowering<'_> {
    pub(super) fn problems(&mut self, table: &TableDef, problems: Vec<Problem>) {
        for error in at_options(table, problems) {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
    }

    pub(super) fn scan(&mut self, table: &Arc<TableDef>, rel: &Rel) -> Option<Flow> {
        let identity = identity::full(rel, true);
        if let Some(flow) = self.made.get(&identity) {
            return Some(flow.clone());
        }
        let kept = self.needs.columns(table);
        let stored = table.source_columns();
        // What the connector reads: columns that are passed on or computed from.
        let mut read = BTreeSet::new();
        let expand = |index: usize| match &table.columns[index].kind {
            ColumnKind::Computed(expr) => expr.clone(),
            _ => Expr::column(index, table.columns[index].ty, Span::default()),
        };
        let mut outputs: Vec<(Expr, String)> =
            kept.iter().map(|&i| (expand(i), table.columns[i].name.clone())).collect();
        self.refuse_chance_of_corrected(rel, outputs.iter().map(|(expr, _)| expr));
        let mut mark = None;
        if let Some(watermark) = table.watermark.as_ref().filter(|_| !self.batch) {
            let column = kept.iter().position(|&k| k == watermark.column).unwrap_or(0);
            let rule = match &watermark.rule {
                // What is written says that rows up to it are past; a watermark, that those below
                // it are.
                WatermarkRule::Delay(delay) => RowMark::Delay(delay.as_millis() as i64 - 1),
                WatermarkRule::Expr(expr) => {
                    outputs.push((expr.substitute(&expand), "watermark".to_owned()));
                    RowMark::Column(outputs.len() - 1)
                }
            };
            mark = Some((column, rule));
        }
        for (expr, _) in &outputs {
            expr.columns(&mut read);
        }
        let projection: Vec<usize> =
            read.iter().filter_map(|i| stored.iter().position(|s| s == i)).collect();
        let number = |i: usize| read.iter().position(|&r| r == i).unwrap_or(i);
        let exprs: Vec<Expr> = outputs.iter().map(|(e, _)| e.renumber(&number)).collect();
        let nondeterministic = exprs.iter().find_map(Expr::nondeterministic).map(str::to_owned);

        let mut info = OperatorInfo {
            uid: self.uid(&format!("source {}", identity::source(table))),
            name: format!("{} {}", table.connector(), table.name),
            kind: "source",
            details: BTreeMap::new(),
            state: None,
            tables: Vec::new(),
            nondeterministic,
        };
        let fields: Vec<ArrowField> =
            outputs.iter().map(|(e, name)| ArrowField::new(name, e.kind().arrow(), true)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let same = exprs.len() == projection.len()
            && exprs.iter().enumerate().all(|(i, e)| e.as_column() == Some(i));
        let changes = table.gives_changes();
        let mut times = TableTimes {
            calc: (!same || changes).then(|| Calc::new(None, &exprs, schema.clone())),
            kinds: changes.then_some(projection.len()),
            by_key: table.gives_upserts(),
            rule: mark.map(|(column, mark)| EngineRule { column, mark, idle_after: None }),
            shown: kept.iter().position(|&i| is_shown(&table.columns[i])),
            at_end: self.batch,
            not_null: not_null(table, &read),
        };
        let mut place = self.place(&info);
        if times.rule.is_some() {
            let times = times.clone();
            place.first_row = Some(FirstRow(Arc::new(move |rows| times.first_row(rows))));
        }
        let parts = match self.options.parts.source(&table.as_source(), &projection, &place) {
            Ok(parts) => parts,
            Err(problems) => {
                self.problems(table, problems);
                return None;
            }
        };
        if let Some(rule) = &mut times.rule {
            // Zero is never.
            let idle = parts.idle_after.or(self.source_idle).filter(|idle| !idle.is_zero());
            rule.idle_after = idle;
        }
        if self.batch && !parts.source.is_bounded() {
            let message = format!(
                "table \"{}\" has no end, and 'execution.runtime-mode' = 'batch' gives results when everything was read; give the table an end (the connector's options say which), or set 'streaming'",
                table.name
            );
            self.errors.push(SqlError::new(table.span, message));
            return None;
        }
        self.bounded &= parts.source.is_bounded();
        info.details.clone_from(&parts.details);
        let listed: Vec<&str> = outputs.iter().map(|(_, name)| name.as_str()).collect();
        info.details.insert("columns".to_owned(), listed.join(", "));
        if let (Some(idle), None, Some(_)) = (self.source_idle, parts.idle_after, &mark) {
            let idle = i64::try_from(idle.as_millis()).unwrap_or(i64::MAX);
            info.details.insert("idle after".to_owned(), names::duration(idle));
        }
        if let (Some(watermark), Some((_, rule))) = (&table.watermark, &mark) {
            let name = &table.columns[watermark.column].name;
            let text = match rule {
                RowMark::Delay(-1) => name.clone(),
                RowMark::Delay(ms) => format!("{name} - {}", names::duration(*ms + 1)),
                RowMark::Column(c) => {
                    render::sql(&outputs[*c].0, &|i| table.columns[i].name.clone())
                }
            };
            info.details.insert("watermark".to_owned(), text);
        }
        let node = SourceNode {
            source: parts.source,
            event_times: Arc::new(move || Box::new(times.clone()) as Box<dyn EventTimes>),
        };
        let vertex = self.vertex(info, Node::Source(node));
        let flow = Flow { vertex, operator: 0, output: OutputTag::Main, schema, open: true };
        let flow = match table.gives_upserts() {
            true => self.newest(table, rel, &kept, flow)?,
            false => flow,
        };
        let flow = Flow { open: self.needs.uses(&identity) <= 1, ..flow };
        self.made.insert(identity, flow.clone());
        Some(flow)
    }

    /// Upserts as changes of whole rows: what each takes the place of.
    fn newest(
        &mut self,
        table: &Arc<TableDef>,
        rel: &Rel,
        kept: &[usize],
        flow: Flow,
    ) -> Option<Flow> {
        let key = table.primary_key.iter();
        let keys: Vec<usize> = key.filter_map(|c| kept.iter().position(|k| k == c)).collect();
        let ttl = self.ttl_seconds();
        let (input, time) = (flow.schema.clone(), None);
        let spec = Dedup { input, keys: keys.clone(), time, keep: Keep::Newest, ttl };
        let made = dedup::operator(&spec).and_then(|f| Ok((f, dedup::tables(&spec)?)));
        let (factory, tables) = match made {
            Ok(made) => made,
            Err(error) => {
                self.errors.push(SqlError::new(table.span, error.message));
                return None;
            }
        };
        let fields: Vec<Field> = kept.iter().map(|&column| rel.fields[column].clone()).collect();
        let names: Vec<&str> = keys.iter().map(|&k| fields[k].name.as_str()).collect();
        let operator = Keyed {
            kind: "deduplication",
            name: names::cut(format!("newest row of each {}", names.join(", "))),
            details: BTreeMap::from([
                ("keys".to_owned(), names.join(", ")),
                ("keeps".to_owned(), "the newest row".to_owned()),
                ("changes".to_owned(), "rows are corrected: +I, -U, +U, -D".to_owned()),
            ]),
            keys,
            factory,
            tables,
            nondeterministic: self.forgets("rows are forgotten", "after they were written"),
        };
        let uid = format!("newest {} {}", identity::source(table), stored_names(&fields));
        Some(self.keyed(&fields, &vec![flow], operator, &uid))
    }

    pub(super) fn values(&mut self, rel: &Rel, rows: &[Vec<Expr>]) -> Option<Flow> {
        let schema = schema_of(&rel.fields);
        let identity = identity::full(rel, true);
        let source = match values::ValuesSource::new(rows, schema.clone()) {
            Ok(source) => source,
            Err(error) => {
                let span = rows.iter().flatten().next().map_or(Span::default(), |e| e.span);
                self.errors.push(SqlError::new(span, error.message));
                return None;
            }
        };
        let nondeterministic =
            rows.iter().flatten().find_map(Expr::nondeterministic).map(str::to_owned);
        let info = OperatorInfo {
            uid: self.uid(&format!("values {identity}")),
            name: format!("{} values", rows.len()),
            kind: "source",
            details: BTreeMap::from([("rows".to_owned(), rows.len().to_string())]),
            state: None,
            tables: Vec::new(),
            nondeterministic,
        };
        let times = TableTimes {
            calc: None,
            kinds: None,
            by_key: false,
            rule: None,
            shown: None,
            at_end: self.batch,
            not_null: Vec::new(),
        };
        let node = SourceNode {
            source: Arc::new(source),
            event_times: Arc::new(move || Box::new(times.clone()) as Box<dyn EventTimes>),
        };
        let vertex = self.vertex(info, Node::Source(node));
        Some(Flow { vertex, operator: 0, output: OutputTag::Main, schema, open: true })
    }
}

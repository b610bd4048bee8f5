//! Joins with tables that are asked.

use std::sync::Arc;

use arrow::array::RecordBatch;
use weir_connectors::lookup::{Caching, Project, Whole, caching};
use weir_engine::EngineError;
use weir_engine::graph::OperatorInfo;
use weir_engine::operators::lookup::{operator, spec};
use weir_engine::source::Source;

use super::join::{condition, details};
use super::{Flow, Lowering, identity, names, schema_of};
use crate::calc::Calc;
use crate::catalog::{ColumnKind, TableDef};
use crate::error::{Span, SqlError};
use crate::expr::Expr;
use crate::rel::{Join, JoinKind, Lookup, Rel, RelKind};
use crate::values::ValuesSource;

/// A relation that is read as a whole.
struct Read {
    source: Arc<dyn Source>,
    project: Project,
    name: String,
    caching: Caching,
}

impl Lowering<'_> {
    pub(super) fn lookup(&mut self, rel: &Rel, join: &Join, lookup: &Lookup) -> Option<Flow> {
        let (equal, rest) = join.split();
        let flows = self.rel(&join.left, None)?;
        let read = self.whole(&join.right, join.span)?;
        let keys = |side: fn(&crate::rel::Equal) -> &Expr| {
            equal.iter().map(|e| side(e).as_column()).collect::<Option<Vec<_>>>()
        };
        let schema = schema_of(&join.right.fields);
        let columns = keys(|e| &e.right)?;
        let table =
            Whole::new(&read.name, read.source, read.project, schema, columns, read.caching);
        let spec = spec::LookupJoin {
            outer: join.kind == JoinKind::Left,
            left: flows.first()?.schema.clone(),
            keys: keys(|e| &e.left)?,
            table: Arc::new(table),
            condition: rest.as_ref().map(condition),
            timeout: lookup.timeout,
            retry: lookup.retry,
        };
        let factory = match operator(&spec) {
            Ok(factory) => factory,
            Err(error) => {
                self.errors.push(SqlError::new(join.span, error.message));
                return None;
            }
        };
        let (equal, mut details) = details(join, &equal, rest.as_ref(), [None, None]);
        details.insert("asks".to_owned(), read.name);
        details.insert(
            "table".to_owned(),
            match read.caching.reload {
                None => "read as a whole, once".to_owned(),
                Some(reload) => {
                    format!("read as a whole, again every {:?}", reload.interval)
                }
            },
        );
        if let Some(retry) = lookup.retry {
            let text = format!("{} times, {:?} apart", retry.attempts, retry.delay);
            details.insert("asks at most".to_owned(), text);
        }
        let sides = [&join.left, &join.right].map(|side| identity::full(side, false));
        let info = OperatorInfo {
            uid: self.uid(&format!("lookup {} {}", identity::rows(rel, false), sides.join(" "))),
            name: names::join(join, &equal),
            kind: "lookup join",
            details,
            nondeterministic: Some(
                "rows meet what the table says when it is asked, which may change".to_owned(),
            ),
            ..OperatorInfo::default()
        };
        Some(self.append(&flows, info, factory, schema_of(&rel.fields)))
    }

    /// What a table gives, or a projection of one, when it is read from end to end.
    fn whole(&mut self, rel: &Rel, at: Span) -> Option<Read> {
        match &rel.kind {
            RelKind::Calc { input, filter, exprs } => {
                let below = self.whole(input, at)?;
                let calc = Calc::new(filter.as_ref(), exprs, schema_of(&rel.fields));
                let project = below.project;
                let project: Project = Arc::new(move |rows: &RecordBatch| {
                    let rows = weir_engine::Batch::new(project(rows)?);
                    Ok(calc.apply(rows)?.into_records())
                });
                Some(Read { project, ..below })
            }
            RelKind::Scan(table) => self.whole_table(table, at),
            RelKind::Values { rows } => {
                let source = ValuesSource::new(rows, schema_of(&rel.fields));
                let source = match source {
                    Ok(source) => Arc::new(source),
                    Err(error) => {
                        self.errors.push(SqlError::new(at, error.message));
                        return None;
                    }
                };
                let project: Project = Arc::new(|rows: &RecordBatch| Ok(rows.clone()));
                let caching = Caching { reload: None, retries: 0 };
                Some(Read { source, project, name: "values".to_owned(), caching })
            }
            _ => {
                let message = "only a table can be asked by processing time, or VALUES";
                self.errors.push(SqlError::new(at, message));
                None
            }
        }
    }

    fn whole_table(&mut self, table: &Arc<TableDef>, at: Span) -> Option<Read> {
        let stored = table.source_columns();
        let projection: Vec<usize> = (0..stored.len()).collect();
        let info = OperatorInfo { name: table.name.clone(), ..OperatorInfo::default() };
        let place = self.place(&info);
        let source = table.as_source();
        let parts = match self.options.parts.source(&source, &projection, &place) {
            Ok(parts) => parts,
            Err(problems) => {
                self.problems(table, problems);
                return None;
            }
        };
        let caching = match caching(&source) {
            Ok(caching) => caching,
            Err(problems) => {
                self.problems(table, problems);
                return None;
            }
        };
        if !parts.source.is_bounded() && !source.is_withheld() {
            let message = format!(
                "table \"{}\" (connector '{}') cannot be asked by processing time: it would be read as a whole, and it has no end; ask by event time (FOR SYSTEM_TIME AS OF an event time of the left side), or read a table that ends, again and again ('lookup.full-cache.periodic-reload.interval')",
                table.name,
                table.connector()
            );
            self.errors.push(SqlError::new(at, message));
            return None;
        }
        let number = |i: usize| stored.iter().position(|&s| s == i).unwrap_or(i);
        let exprs: Vec<Expr> = (0..table.columns.len())
            .map(|i| match &table.columns[i].kind {
                ColumnKind::Computed(expr) => expr.renumber(&number),
                _ => Expr::column(number(i), table.columns[i].ty, Span::default()),
            })
            .collect();
        let fields: Vec<crate::rel::Field> = crate::bind::query::scan(table).fields.clone();
        let calc = Calc::new(None, &exprs, schema_of(&fields));
        let not_null = super::sources::not_null(table, &stored.iter().copied().collect());
        let project: Project = Arc::new(move |rows: &RecordBatch| {
            for wanted in &not_null {
                if rows.columns().get(wanted.column).is_some_and(|c| c.logical_null_count() > 0) {
                    return Err(EngineError::user(&wanted.message));
                }
            }
            calc.project(rows)
        });
        Some(Read { source: parts.source, project, name: table.name.clone(), caching })
    }
}

//! `weir.late-rows.table`: rows that a window drops as late go to another table.

use std::sync::Arc;

use super::{Flow, Lowering, identity, sink_shape};
use crate::ast::Ident;
use crate::calc::{Calc, CalcFactory};
use crate::catalog::{LATE_ROWS_TABLE, TableDef, implicit};
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::expr::{Expr, Style, cast};
use crate::rel::{Field, Rel, RelKind, Role, and};
use crate::types::SqlType;
use weir_engine::graph::OperatorInfo;

/// Late rows on their way to one table.
pub(super) struct LateRows {
    target: Arc<TableDef>,
    /// Rows, and the target's columns over them.
    flows: Vec<(Flow, Vec<Expr>)>,
}

/// A window's input with the columns that its late rows need.
pub(super) struct LateColumns {
    pub(super) input: Arc<Rel>,
    target: Arc<TableDef>,
    exprs: Vec<Expr>,
}

impl Lowering<'_> {
    /// What the input of a window has to carry so that late rows can be written whole.
    pub(super) fn late_columns(&mut self, input: &Arc<Rel>) -> Option<LateColumns> {
        let RelKind::Calc { input: below, filter, exprs } = &input.kind else {
            self.refuse_late_union(input);
            return None;
        };
        let RelKind::Scan(table) = &below.kind else {
            return None;
        };
        let (name, span) = table.late_rows.as_ref()?;
        let target = self.late_target(name, *span)?;
        let mut all = exprs.clone();
        let mut fields = input.fields.clone();
        let mut late = Vec::new();
        for column in target.sink_columns() {
            let column = &target.columns[column];
            let names = || table.columns.iter().map(|c| c.name.as_str());
            let Some(index) = names().position(|n| n == column.name) else {
                let hint = did_you_mean(&column.name, names(), '"');
                self.late_error(
                    *span,
                    format!(
                        "column \"{}\" of table \"{}\" does not exist in table \"{}\"{hint}",
                        column.name, target.name, table.name
                    ),
                );
                return None;
            };
            let own = &table.columns[index];
            if !implicit(own.ty.kind, column.ty.kind) {
                self.late_error(*span, format!("column \"{}\" is {} in table \"{}\", but {} in table \"{}\"; declare both alike", column.name, own.ty.kind, table.name, column.ty.kind, target.name));
                return None;
            }
            let position = match all.iter().position(|e| e.as_column() == Some(index)) {
                Some(position) => position,
                None => {
                    all.push(Expr::column(index, own.ty, Span::default()));
                    let name = format!("late {}", own.name);
                    fields.push(Field { name, ty: own.ty, role: Role::Plain });
                    all.len() - 1
                }
            };
            let expr = Expr::column(position, own.ty, Span::default());
            match cast::cast(expr, SqlType::nullable(column.ty.kind), Style::Hidden, false, *span) {
                Ok(expr) => late.push(expr),
                Err(message) => {
                    self.late_error(*span, message);
                    return None;
                }
            }
        }
        let kind =
            RelKind::Calc { input: below.clone(), filter: and(filter.clone(), None), exprs: all };
        Some(LateColumns { input: Arc::new(Rel { kind, fields }), target, exprs: late })
    }

    fn late_error(&mut self, span: Span, message: String) {
        let error = SqlError::new(span, format!("'{LATE_ROWS_TABLE}': {message}"));
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    fn late_target(&mut self, name: &str, span: Span) -> Option<Arc<TableDef>> {
        if let Some(table) = self.late_tables.get(name) {
            return Some(table.clone());
        }
        let name = Ident { text: name.to_owned(), span }.shown();
        let hint = did_you_mean(&name, self.tables.iter().map(|t| t.name.as_str()), '"');
        self.late_error(span, format!("table \"{name}\" not found{hint}"));
        None
    }

    fn refuse_late_union(&mut self, input: &Rel) {
        let RelKind::Union(branches) = &input.kind else {
            return;
        };
        for branch in branches {
            if let RelKind::Calc { input: below, .. } = &branch.kind
                && let RelKind::Scan(table) = &below.kind
                && let Some((_, span)) = table.late_rows.clone()
            {
                self.late_error(span, "late rows of a window over UNION ALL cannot be told apart; aggregate each table in a query of its own".to_owned());
            }
        }
    }

    /// Remembers where a window's late rows come out.
    pub(super) fn add_late(&mut self, late: &LateColumns, flow: Flow) {
        self.late
            .entry(late.target.key.clone())
            .or_insert_with(|| LateRows { target: late.target.clone(), flows: Vec::new() })
            .flows
            .push((flow, late.exprs.clone()));
    }

    /// One sink per table that late rows go to.
    pub(super) fn late_sinks(&mut self) {
        for (name, late) in std::mem::take(&mut self.late) {
            let fields: Vec<Field> = late
                .target
                .sink_columns()
                .into_iter()
                .map(|c| {
                    let column = &late.target.columns[c];
                    let ty = SqlType::nullable(column.ty.kind);
                    Field { name: column.name.clone(), ty, role: Role::Plain }
                })
                .collect();
            let shape = sink_shape(&late.target, &fields);
            let mut flows = Vec::new();
            for (flow, exprs) in late.flows {
                let calc = Calc::new(None, &exprs, shape.schema.clone())
                    .with_not_null(shape.not_null.clone());
                let info = OperatorInfo {
                    uid: self.uid(&format!("late rows {name}")),
                    name: "late rows".to_owned(),
                    kind: "calc",
                    ..OperatorInfo::default()
                };
                flows.push(self.append(
                    &vec![flow],
                    info,
                    Arc::new(CalcFactory(calc)),
                    shape.schema.clone(),
                ));
            }
            let target = &late.target;
            let key = target.key_when_written();
            self.sink(flows, &format!("late rows {}", identity::sink(target)), target, &key);
        }
    }

    /// Options that nothing looks at are worth a word.
    pub(super) fn unused_options(&mut self) {
        for table in self.tables.clone() {
            let Some((_, span)) = &table.late_rows else {
                continue;
            };
            let used =
                self.graph.edges.iter().any(|e| e.output == weir_engine::operator::OutputTag::Late);
            if !used && self.errors.is_empty() {
                self.warnings.push(Warning {
                    span: *span,
                    message: format!(
                        "'{LATE_ROWS_TABLE}' has no effect: no window reads table \"{}\"",
                        table.name
                    ),
                });
            }
        }
    }
}

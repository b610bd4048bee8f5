//! What is read from where: the columns of each table, and how many readers a part has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use weir_engine::operators::window::spec::Window;

use super::identity;
use crate::bind::BoundProgram;
use crate::catalog::TableDef;
use crate::rel::{Aggregate, AsOf, Over, Rank, Rel, RelKind, Windows, rows_of_sessions};

/// Columns and readers.
pub(super) struct Needs {
    /// By the table's key.
    columns: BTreeMap<String, BTreeSet<usize>>,
    uses: HashMap<String, usize>,
}

impl Needs {
    pub(super) fn of(program: &BoundProgram) -> Self {
        let mut needs = Self { columns: BTreeMap::new(), uses: HashMap::new() };
        for insert in &program.inserts {
            needs.visit(&insert.rel);
        }
        for table in &program.tables {
            let columns = needs.columns.entry(table.key.clone()).or_default();
            if let Some(watermark) = &table.watermark {
                columns.insert(watermark.column);
            }
            // What tells upserts apart, whether anybody reads it or not.
            if table.gives_upserts() {
                columns.extend(&table.primary_key);
            }
            // Late rows are written whole.
            if let Some((late, _)) = &table.late_rows
                && let Some(late) = program.late.get(late)
            {
                columns.extend(late.sink_columns().iter().filter_map(|&c| {
                    table.columns.iter().position(|own| own.name == late.columns[c].name)
                }));
            }
            // A connector has to read something to know how many rows there are.
            if columns.is_empty() && !table.columns.is_empty() {
                columns.insert(0);
            }
        }
        needs
    }

    /// Columns of a table that somebody reads, in declaration order.
    pub(super) fn columns(&self, table: &TableDef) -> Vec<usize> {
        self.columns.get(&table.key).map(|c| c.iter().copied().collect()).unwrap_or_default()
    }

    /// How many read this part of the plan.
    pub(super) fn uses(&self, identity: &str) -> usize {
        self.uses.get(identity).copied().unwrap_or(0)
    }

    fn visit(&mut self, rel: &Arc<Rel>) {
        match &rel.kind {
            RelKind::Scan(table) => {
                self.columns.entry(table.key.clone()).or_default().extend(0..table.columns.len());
                self.count(rel);
            }
            RelKind::Calc { input, filter, exprs } => match &input.kind {
                RelKind::Scan(table) => {
                    let columns = self.columns.entry(table.key.clone()).or_default();
                    for expr in exprs.iter().chain(filter) {
                        expr.columns(columns);
                    }
                    self.count(input);
                }
                _ => self.visit(input),
            },
            RelKind::Union(branches) => branches.iter().for_each(|b| self.visit(b)),
            RelKind::Values { .. } => {}
            RelKind::Arrivals { input, .. } => self.visit(input),
            RelKind::Window { input, time, id, span }
                if matches!(id.window, Windows::Session { .. }) =>
            {
                // What is wrong with them is told where they are lowered.
                if let Ok(rows) = rows_of_sessions(input, *time, id, &rel.fields, *span) {
                    self.visit(&rows);
                }
            }
            RelKind::Window { input, id, .. } => {
                let copies = match id.window {
                    Windows::Grid(
                        Window::Hop { size, slide: step, .. } | Window::Cumulate { size, step, .. },
                    ) => size / step,
                    Windows::Grid(Window::Tumble { .. }) | Windows::Session { .. } => 1,
                };
                for _ in 0..copies.min(super::windows::MAX_COPIES) {
                    self.visit(input);
                }
            }
            // It is lowered with a projection below.
            RelKind::Unnest(unnest) => match &unnest.input.kind {
                RelKind::Scan(table) => {
                    let columns = self.columns.entry(table.key.clone()).or_default();
                    columns.extend(0..table.columns.len());
                    self.count(&unnest.input);
                }
                _ => self.visit(&unnest.input),
            },
            RelKind::Aggregate(Aggregate { input, .. })
            | RelKind::Over(Over { input, .. })
            | RelKind::Rank(Rank { input, .. }) => {
                if self.count(rel) == 1 {
                    self.visit(input);
                }
            }
            RelKind::Join(join) => {
                if self.count(rel) == 1 {
                    self.visit(&join.left);
                    // A table that is asked is read by the join itself.
                    if !matches!(join.as_of, Some(AsOf::Lookup(_))) {
                        self.visit(&join.right);
                    }
                }
            }

            RelKind::Pattern(pattern) => {
                if self.count(rel) == 1 {
                    self.visit(&pattern.input);
                }
            }
        }
    }

    fn count(&mut self, rel: &Rel) -> usize {
        let count = self.uses.entry(identity::full(rel, true)).or_insert(0);
        *count += 1;
        *count
    }
}

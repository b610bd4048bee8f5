//! What names stand for: `CREATE`, `ALTER` and `DROP` of tables and views, one after the other as
//! the program says them.
//!
//! A declaration is kept as it was written, so that `LIKE` and `ALTER` can go on from it. A view
//! stands for its query, not for what that meant once: it is bound again where it is used after
//! something was changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::alter::{alter, like};
use super::emit::Emit;
use super::{Binder, BoundProgram, Reported};
use crate::ast::{
    Alter, Ask, Change, ColumnDef, ColumnKind, CreateTable, CreateView, Ident, Insert, Statement,
    Told,
};
use crate::catalog::{Relation, TableDef};
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::rel::Rel;
use crate::types::{Kind, SqlType};

/// A name that the program declares.
pub(crate) struct Declared {
    at: Span,
    relation: Relation,
    written: Written,
}

#[derive(Clone)]
enum Written {
    Table(Box<CreateTable>),
    /// And what held when it was bound.
    View(Box<CreateView>, Held),
}

/// What a query means anew when it is another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    /// How many names have come to stand for something else.
    changes: usize,
    emit: Emit,
}

impl Binder<'_> {
    pub(super) fn create_table_statement(
        &mut self,
        written: &CreateTable,
        program: &mut BoundProgram,
    ) {
        if !self.is_new(&written.name, written.if_not_exists) {
            return;
        }
        let Ok((table, rel)) = self.resolved(written) else {
            return self.declare(&written.name, Relation::Broken, written.clone());
        };
        self.declare_table(&table, program);
        let Some((query, rel)) = table.query.as_ref().zip(rel) else { return };
        let insert = Insert {
            table: table.name.clone(),
            options: Vec::new(),
            partition: Vec::new(),
            columns: rel.fields.iter().map(|field| named(&field.name, query.span)).collect(),
            query: query.clone(),
        };
        if let Ok(Relation::Table(target)) = self.lookup(&table.name)
            && let Ok(bound) = self.rows_for(&insert, target, &rel)
        {
            program.inserts.push(bound);
        }
    }

    /// A declaration that says all by itself: with what `LIKE` and `AS SELECT` stand for.
    fn resolved(
        &mut self,
        written: &CreateTable,
    ) -> Result<(CreateTable, Option<Arc<Rel>>), Reported> {
        let mut table = written.clone();
        if let Some(clause) = &written.like {
            self.lookup(&clause.of)?;
            let base = match self.declared.get(&clause.of.text).map(|known| &known.written) {
                Some(Written::Table(base)) => base.clone(),
                _ => {
                    let message = format!(
                        "\"{}\" is a view, and LIKE takes a table; write CREATE TABLE … AS SELECT",
                        clause.of.text
                    );
                    return self.fail(clause.of.span, message);
                }
            };
            table = self.keep(like(&base, written, &clause.rules))?;
        }
        let Some(query) = &written.query else {
            let untyped = table.columns.iter().find(|c| c.kind == ColumnKind::OfQuery);
            return match untyped {
                Some(ColumnDef { name, .. }) => self.fail(
                    name.span,
                    format!(
                        "column \"{}\" has no type; only with AS SELECT are columns those of a query",
                        name.text
                    ),
                ),
                None => Ok((table, None)),
            };
        };
        let rel = self.query(query, &[])?;
        table.columns = self.columns_of_query(&table, &rel, query.span)?;
        Ok((table, Some(rel)))
    }

    /// The columns of `CREATE TABLE (…) AS SELECT`: those that are declared, then those of the
    /// query; or the query's alone, in the order of a list of their names.
    fn columns_of_query(
        &mut self,
        table: &CreateTable,
        rel: &Rel,
        span: Span,
    ) -> Result<Vec<ColumnDef>, Reported> {
        let mut of_query = Vec::new();
        for field in &rel.fields {
            if field.ty.kind == Kind::Null {
                let message = format!(
                    "column \"{}\" is NULL in every row and has no type; write CAST(NULL AS …)",
                    field.name
                );
                return self.fail(span, message);
            }
            let ty = SqlType { kind: field.ty.kind, nullable: field.ty.nullable };
            let kind = ColumnKind::Physical(ty);
            of_query.push(ColumnDef { name: named(&field.name, span), kind });
        }
        let is_listed = |column: &ColumnDef| column.kind == ColumnKind::OfQuery;
        if !table.columns.iter().any(is_listed) {
            let is_new = |column: &ColumnDef| {
                table.columns.iter().all(|declared| declared.name.text != column.name.text)
            };
            of_query.retain(is_new);
            return Ok(table.columns.iter().cloned().chain(of_query).collect());
        }
        if let Some(typed) = table.columns.iter().find(|column| !is_listed(column)) {
            let message = "either all columns are names of the query's columns, or none is";
            return self.fail(typed.name.span, message);
        }
        let mut columns = Vec::new();
        for listed in &table.columns {
            let name = &listed.name;
            let Some(at) = of_query.iter().position(|c| c.name.text == name.text) else {
                let known = of_query.iter().map(|column| column.name.text.as_str());
                let hint = did_you_mean(&name.text, known, '"');
                let message = format!("the query has no column \"{}\"{hint}", name.text);
                return self.fail(name.span, message);
            };
            columns.push(of_query.remove(at));
        }
        if let Some(missing) = of_query.first() {
            let message = format!(
                "the list leaves out the query's column \"{}\"; name all of them",
                missing.name.text
            );
            return self.fail(table.name.span, message);
        }
        Ok(columns)
    }

    /// Binds a table that says all by itself.
    fn declare_table(&mut self, table: &CreateTable, program: &mut BoundProgram) {
        let relation = match self.create_table(table) {
            Ok(mut bound) => {
                if self.changes > 0 {
                    // Not the one that had its name before.
                    let Span { line, column, .. } = table.name.span;
                    bound.key =
                        format!("{:?} of {line}:{column}, change {}", bound.name, self.changes);
                }
                let bound = Arc::new(bound);
                self.forget(&bound.name, program);
                program.tables.push(bound.clone());
                Relation::Table(bound)
            }
            Err(Reported) => Relation::Broken,
        };
        self.declare(&table.name, relation, CreateTable { query: None, ..table.clone() });
    }

    /// Takes a table from those that names stand for; statements before may have read it.
    fn forget(&mut self, name: &str, program: &mut BoundProgram) {
        let is_named = |table: &mut Arc<TableDef>| table.name == name;
        self.retired.extend(program.tables.extract_if(.., is_named));
    }

    pub(super) fn create_view(&mut self, view: &CreateView) {
        if self.is_new(&view.name, view.if_not_exists) {
            let relation = self.bound_view(view);
            self.declare_view(view.clone(), relation);
        }
    }

    fn declare_view(&mut self, view: CreateView, relation: Relation) {
        let (name, at) = (view.name.text.clone(), view.name.span);
        let written = Written::View(Box::new(view), self.held());
        self.declared.insert(name, Declared { at, relation, written });
    }

    fn held(&self) -> Held {
        Held { changes: self.changes, emit: self.emit }
    }

    fn bound_view(&mut self, view: &CreateView) -> Relation {
        let rel = self.query(&view.query, &[]);
        match rel.and_then(|rel| self.rename(rel, &view.columns, view.name.span)) {
            Ok(rel) => Relation::View(rel),
            Err(Reported) => Relation::Broken,
        }
    }

    fn is_new(&mut self, name: &Ident, if_not_exists: bool) -> bool {
        let Some(Declared { at, .. }) = self.declared.get(&name.text) else {
            return true;
        };
        if !if_not_exists {
            let message =
                format!("\"{}\" is declared twice, first at {}:{}", name.text, at.line, at.column);
            self.report(SqlError::new(name.span, message));
        }
        false
    }

    fn declare(&mut self, name: &Ident, relation: Relation, written: CreateTable) {
        let written = Written::Table(Box::new(written));
        self.declared.insert(name.text.clone(), Declared { at: name.span, relation, written });
    }

    pub(super) fn drop_statement(
        &mut self,
        is_view: bool,
        name: &Ident,
        if_exists: bool,
        program: &mut BoundProgram,
    ) {
        if let Ok(Some(_)) = self.known(is_view, name, if_exists, "DROP") {
            self.declared.remove(&name.text);
            self.dropped.insert(name.text.clone(), name.span);
            self.forget(&name.text, program);
            self.changes += 1;
        }
    }

    /// What `ALTER` or `DROP` is about; nothing if it need not exist.
    fn known(
        &mut self,
        is_view: bool,
        name: &Ident,
        if_exists: bool,
        verb: &str,
    ) -> Result<Option<Written>, Reported> {
        let Some(known) = self.declared.get(&name.text) else {
            if !if_exists {
                return self.lookup(name).map(|_| None);
            }
            return Ok(None);
        };
        let (written, other) = match &known.written {
            written @ Written::Table(_) => (written.clone(), is_view.then_some("TABLE")),
            written @ Written::View(..) => (written.clone(), (!is_view).then_some("VIEW")),
        };
        if let Some(other) = other {
            let message =
                format!("\"{0}\" is a {1}; write {verb} {other}", name.text, other.to_lowercase());
            return self.fail(name.span, message);
        }
        Ok(Some(written))
    }

    pub(super) fn alter_statement(&mut self, statement: &Alter, program: &mut BoundProgram) {
        let Alter { is_view, name, if_exists, change } = statement;
        let Ok(Some(written)) = self.known(*is_view, name, *if_exists, "ALTER") else { return };
        if let Change::Rename(new) = change
            && !self.is_new(new, false)
        {
            return;
        }
        // A query cannot be about what it is to be.
        self.declared.remove(&name.text);
        self.changes += 1;
        match written {
            Written::Table(mut table) => {
                if let Change::Rename(new) = change {
                    self.dropped.insert(name.text.clone(), new.span);
                    table.name = new.clone();
                }
                match self.keep(alter(&mut table, change)) {
                    Ok(()) => {
                        self.forget(&name.text, program);
                        self.declare_table(&table, program);
                    }
                    Err(Reported) => self.declare(&table.name.clone(), Relation::Broken, *table),
                }
            }
            Written::View(mut view, _) => {
                match change {
                    Change::Rename(new) => {
                        self.dropped.insert(name.text.clone(), new.span);
                        view.name = new.clone();
                    }
                    Change::Query(query) => {
                        view.query = query.clone();
                        view.columns.clear();
                    }
                    _ => {}
                }
                let relation = self.bound_view(&view);
                self.declare_view(*view, relation);
            }
        }
    }

    /// Checks what a statement that tells something is about.
    pub(super) fn told(&mut self, told: &Told) {
        let Told { what, span, ask } = told;
        let of: &[Statement] = if let Ask::Plan(of) = ask { of } else { &[] };
        for statement in of {
            match statement {
                Statement::Insert(insert) => drop(self.insert(insert)),
                Statement::Query(query) => drop(self.query(query, &[])),
                _ => {}
            }
        }
        let message = format!("{what} is passed over in a program; `weir plan` shows what it does");
        self.warnings.push(Warning { span: *span, message });
    }

    pub(crate) fn lookup(&mut self, name: &Ident) -> Result<Relation, Reported> {
        if let Some(known) = self.declared.get(&name.text) {
            if let Written::View(view, bound) = &known.written
                && *bound != self.held()
            {
                let view = CreateView::clone(view);
                self.declared.remove(&name.text);
                let relation = self.bound_view(&view);
                self.declare_view(view, relation.clone());
                return match relation {
                    Relation::Broken => Err(Reported),
                    relation => Ok(relation),
                };
            }
            return match &known.relation {
                Relation::Broken => Err(Reported),
                relation => Ok(relation.clone()),
            };
        }
        let known: BTreeSet<&str> = self.declared.keys().map(String::as_str).collect();
        let hint = did_you_mean(&name.text, known.iter().copied(), '"');
        let hint = if let Some(at) = self.dropped.get(&name.text) {
            format!("; it was dropped or renamed at {}:{}", at.line, at.column)
        } else if !hint.is_empty() {
            hint
        } else if known.is_empty() {
            "; declare it with CREATE TABLE before it is used".to_owned()
        } else {
            let known: Vec<String> = known.into_iter().map(|n| format!("\"{n}\"")).collect();
            format!("; the program declares {}", known.join(", "))
        };
        let message = format!("table \"{}\" not found{hint}", name.text);
        self.fail(name.span, message)
    }
}

impl Binder<'_> {
    /// The names of all tables and views, or of views alone.
    pub(crate) fn names_declared(&self, views_alone: bool) -> Vec<String> {
        let is_meant =
            |declared: &Declared| !views_alone || matches!(declared.written, Written::View(..));
        let declared = self.declared.iter().filter(|(_, declared)| is_meant(declared));
        declared.map(|(name, _)| name.clone()).collect()
    }

    /// What a name stands for.
    pub(crate) fn relation(&self, name: &str) -> Option<&Relation> {
        self.declared.get(name).map(|declared| &declared.relation)
    }

    /// A table as it is declared, with what `LIKE` and `AS SELECT` stand for.
    pub(crate) fn written(&self, name: &str) -> Option<CreateTable> {
        match &self.declared.get(name)?.written {
            Written::Table(table) => Some(CreateTable::clone(table)),
            Written::View(..) => None,
        }
    }
}

fn named(text: &str, span: Span) -> Ident {
    Ident { text: text.to_owned(), span }
}

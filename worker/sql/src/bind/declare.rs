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
    Alter, Ask, Change, ColumnDef, ColumnKind, CreateTable, CreateView, IN, Ident, Insert,
    Replaces, Statement, Told,
};
use crate::catalog::{Relation, TableDef};
use crate::database;
use crate::error::{Span, SqlError, Warning, did_you_mean};
use crate::parse::DATABASE;
use crate::rel::Rel;
use crate::types::{Kind, SqlType};

/// A name that the program declares.
pub(crate) struct Declared {
    at: Span,
    temporary: bool,
    relation: Relation,
    written: Written,
}

#[derive(Clone)]
enum Written {
    Table(Box<CreateTable>),
    /// And what held when it was bound, and the database of the names in it that say none.
    View(Box<CreateView>, Held, String),
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
        let Ok(name) = self.name_to_declare(&written.name) else { return };
        let written = &CreateTable { name, ..written.clone() };
        let replaces = written.replaces.is_some();
        if replaces {
            let if_exists = written.replaces == Some(Replaces::Any);
            if self.known(false, &written.name, if_exists, "REPLACE").is_err() {
                return;
            }
            if self.refuse_hiding(&written.name.text, &written.name).is_err() {
                return;
            }
        } else if !self.is_new(&written.name, written.temporary, written.if_not_exists) {
            return;
        }
        let resolved = self.resolved(written);
        if replaces && let Some(known) = self.declared.remove(&written.name.text) {
            self.forget(&known.relation, program);
            self.changes += 1;
        }
        let Ok((table, rel)) = resolved else {
            return self.declare(Relation::Broken, written.clone());
        };
        self.hide(&table.name, program);
        self.declare_table(&table, program);
        let Some((query, rel)) = table.query.as_ref().zip(rel) else { return };
        let insert = Insert {
            overwrites: None,
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
            let base = match self.declared.get(&self.path(&clause.of)).map(|known| &known.written) {
                Some(Written::Table(base)) => base.clone(),
                _ => {
                    let message = format!(
                        "\"{}\" is a view, and LIKE takes a table; write CREATE TABLE … AS SELECT",
                        clause.of.shown()
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
            of_query.push(ColumnDef {
                name: named(&field.name, span),
                kind,
                part_not_null: false,
                comment: None,
            });
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
                        format!("{:?} of {line}:{column}, change {}", bound.key, self.changes);
                }
                let bound = Arc::new(bound);
                program.tables.push(bound.clone());
                Relation::Table(bound)
            }
            Err(Reported) => Relation::Broken,
        };
        self.declare(relation, CreateTable { query: None, ..table.clone() });
    }

    /// Takes a table from those that names stand for; statements before may have read it.
    fn forget(&mut self, relation: &Relation, program: &mut BoundProgram) {
        if let Relation::Table(known) = relation {
            let is_it = |table: &mut Arc<TableDef>| Arc::ptr_eq(table, known);
            self.retired.extend(program.tables.extract_if(.., is_it));
        }
    }

    /// What has this name is not to be seen while a temporary one has it.
    fn hide(&mut self, name: &Ident, program: &mut BoundProgram) {
        if let Some(known) = self.declared.remove(&name.text) {
            self.forget(&known.relation, program);
            self.changes += 1;
            self.hidden.insert(name.text.clone(), known);
        }
    }

    pub(super) fn create_view(&mut self, view: &CreateView, program: &mut BoundProgram) {
        let Ok(name) = self.name_to_declare(&view.name) else { return };
        let view = CreateView { name, ..view.clone() };
        if self.is_new(&view.name, view.temporary, view.if_not_exists) {
            let relation = self.bound_view(&view);
            self.hide(&view.name, program);
            self.declare_view(view, relation);
        }
    }

    fn declare_view(&mut self, view: CreateView, relation: Relation) {
        let (name, at, temporary) = (view.name.text.clone(), view.name.span, view.temporary);
        let written = Written::View(Box::new(view), self.held(), database::current());
        self.declared.insert(name, Declared { at, temporary, relation, written });
    }

    fn held(&self) -> Held {
        Held { changes: self.changes, emit: self.emit }
    }

    fn bound_view(&mut self, view: &CreateView) -> Relation {
        let before = self.size.so_far();
        let rel = self.query(&view.query, &[]);
        match rel.and_then(|rel| self.rename(rel, &view.columns, view.name.span)) {
            Ok(rel) => {
                self.size.name(&rel, before);
                Relation::View(rel)
            }
            Err(Reported) => Relation::Broken,
        }
    }

    /// Whether a name may be declared. A temporary table or view may have that of another one.
    fn is_new(&mut self, name: &Ident, temporary: bool, if_not_exists: bool) -> bool {
        let Some(Declared { at, temporary: known, .. }) = self.declared.get(&name.text) else {
            return true;
        };
        if temporary && !known {
            return true;
        }
        if !if_not_exists {
            let (name_of, Span { line, column, .. }) = (name.shown(), *at);
            let message = match (known, temporary) {
                (true, false) => format!(
                    "\"{name_of}\" is a temporary table or view of {line}:{column}, which would hide what is declared here; DROP TEMPORARY TABLE or VIEW first"
                ),
                _ => format!("\"{name_of}\" is declared twice, first at {line}:{column}"),
            };
            self.report(SqlError::new(name.span, message));
        }
        false
    }

    fn declare(&mut self, relation: Relation, written: CreateTable) {
        let (name, at, temporary) =
            (written.name.text.clone(), written.name.span, written.temporary);
        let written = Written::Table(Box::new(written));
        self.declared.insert(name, Declared { at, temporary, relation, written });
    }

    pub(super) fn drop_statement(
        &mut self,
        (is_view, temporary): (bool, bool),
        name: &Ident,
        if_exists: bool,
        program: &mut BoundProgram,
    ) {
        let path = self.path(name);
        let Ok(Some(_)) = self.known(is_view, name, if_exists, "DROP") else { return };
        let is_temporary = self.declared.get(&path).is_some_and(|known| known.temporary);
        let what = if is_view { "VIEW" } else { "TABLE" };
        if is_temporary != temporary && (temporary || self.hidden.contains_key(&path)) {
            let message = match is_temporary {
                true => format!(
                    "\"{}\" is a temporary one that hides another; write DROP TEMPORARY {what} first",
                    name.shown()
                ),
                false => format!("\"{}\" is not temporary; write DROP {what}", name.shown()),
            };
            if !(temporary && if_exists) {
                self.report(SqlError::new(name.span, message));
            }
            return;
        }
        if let Some(known) = self.declared.remove(&path) {
            self.forget(&known.relation, program);
        }
        self.changes += 1;
        match self.hidden.remove(&path) {
            Some(hidden) => {
                if let Relation::Table(table) = &hidden.relation {
                    program.tables.push(Arc::clone(table));
                }
                self.declared.insert(path, hidden);
            }
            None => drop(self.dropped.insert(path, name.span)),
        }
    }

    /// Drops everything in a database.
    pub(super) fn drop_tables(&mut self, database: &str, at: Span, program: &mut BoundProgram) {
        let is_in =
            |path: &String| path.strip_prefix(database).is_some_and(|rest| rest.starts_with(IN));
        self.hidden.retain(|path, _| !is_in(path));
        let gone: Vec<(String, Declared)> =
            self.declared.extract_if(|path, _| is_in(path)).collect();
        for (path, known) in gone {
            self.forget(&known.relation, program);
            self.dropped.insert(path, at);
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
        let Some(known) = self.declared.get(&self.path(name)) else {
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
            let message = format!(
                "\"{0}\" is a {1}; write {verb} {other}",
                name.shown(),
                other.to_lowercase()
            );
            return self.fail(name.span, message);
        }
        Ok(Some(written))
    }

    pub(super) fn alter_statement(&mut self, statement: &Alter, program: &mut BoundProgram) {
        let Alter { is_view, name, if_exists, change } = statement;
        let Ok(Some(written)) = self.known(*is_view, name, *if_exists, "ALTER") else { return };
        let path = self.path(name);
        let renamed = match change {
            Change::Rename(new) => {
                let hides = self.refuse_hiding(&path, name);
                match hides.and_then(|()| self.renamed(&path, new)) {
                    Ok(new) => Some(new),
                    Err(Reported) => return,
                }
            }
            _ => None,
        };
        // A query cannot be about what it is to be.
        if let Some(known) = self.declared.remove(&path) {
            self.forget(&known.relation, program);
        }
        self.changes += 1;
        if let Some(new) = &renamed {
            self.dropped.insert(path, new.span);
        }
        match written {
            Written::Table(mut table) => {
                table.name = renamed.unwrap_or(table.name);
                match self.keep(alter(&mut table, change)) {
                    Ok(()) => self.declare_table(&table, program),
                    Err(Reported) => self.declare(Relation::Broken, *table),
                }
            }
            Written::View(mut view, _, of) => {
                view.name = renamed.unwrap_or(view.name);
                let mut of = of;
                if let Change::Query(query) = change {
                    view.query = query.clone();
                    view.columns.clear();
                    of = database::current();
                }
                self.rebind_view(*view, &of);
            }
        }
    }

    /// Finds the tables that late rows go to.
    pub(super) fn resolve_late(&self, program: &mut BoundProgram) {
        let tables = self.declared.values().filter_map(|known| match &known.relation {
            Relation::Table(table) => table.late_rows.as_ref(),
            _ => None,
        });
        for (name, _) in tables {
            match self.declared.get(name).map(|known| &known.relation) {
                Some(Relation::Table(target)) => {
                    program.late.insert(name.clone(), target.clone());
                }
                _ => {
                    program.late.remove(name);
                }
            }
        }
    }

    /// Refuses to take the name away from a temporary one that hides another.
    fn refuse_hiding(&mut self, path: &str, name: &Ident) -> Result<(), Reported> {
        if !self.hidden.contains_key(path) {
            return Ok(());
        }
        let message = format!(
            "\"{}\" is a temporary one that hides another; write DROP TEMPORARY TABLE or VIEW first",
            name.shown()
        );
        self.fail(name.span, message)
    }

    /// What a table or view is called from now on, which stays in its database.
    fn renamed(&mut self, path: &str, new: &Ident) -> Result<Ident, Reported> {
        let old = Ident { text: path.to_owned(), span: new.span };
        let of = old.database().unwrap_or(DATABASE);
        let said = new.database().map(|said| database::resolve(said, &database::current_catalog()));
        if said.is_some_and(|said| said != of) {
            let message = format!(
                "\"{}\" stays in its database when it is renamed; declare it in the other one",
                old.shown()
            );
            return self.fail(new.span, message);
        }
        let new = Ident::in_database(of, new, new.span);
        match self.is_new(&new, false, false) {
            true => Ok(new),
            false => Err(Reported),
        }
    }

    /// Binds a view anew, whose names that say no database are of this one.
    fn rebind_view(&mut self, view: CreateView, of: &str) -> Relation {
        let now = database::set(of);
        let relation = self.bound_view(&view);
        self.declare_view(view, relation.clone());
        database::set(&now);
        relation
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
        let message = match ask {
            Ask::Quit => format!(
                "{what} is passed over in a program, which is one job: leave out what stands behind it"
            ),
            _ => format!("{what} is passed over in a program; `weir plan` shows what it does"),
        };
        self.warnings.push(Warning { span: *span, message });
    }

    pub(crate) fn lookup(&mut self, name: &Ident) -> Result<Relation, Reported> {
        let path = self.path(name);
        if let Some(known) = self.declared.get(&path) {
            if let Written::View(view, bound, of) = &known.written
                && *bound != self.held()
            {
                let (view, of) = (CreateView::clone(view), of.clone());
                self.declared.remove(&path);
                return match self.rebind_view(view, &of) {
                    Relation::Broken => Err(Reported),
                    relation => Ok(relation),
                };
            }
            return match &known.relation {
                Relation::Broken => Err(Reported),
                relation => Ok(relation.clone()),
            };
        }
        let name = &Ident { text: path.clone(), span: name.span };
        self.known_database(name)?;
        let known: BTreeSet<String> = self.names_of_all().collect();
        let hint = did_you_mean(&name.shown(), known.iter().map(String::as_str), '"');
        let hint = if let Some(at) = self.dropped.get(&path) {
            format!("; it was dropped or renamed at {}:{}", at.line, at.column)
        } else if !hint.is_empty() {
            hint
        } else if known.is_empty() {
            "; declare it with CREATE TABLE before it is used".to_owned()
        } else {
            let known: Vec<String> = known.into_iter().map(|n| format!("\"{n}\"")).collect();
            format!("; the program declares {}", known.join(", "))
        };
        let message = format!("table \"{}\" not found{hint}", name.shown());
        Err(self.report(SqlError::of_a_name(name.span, message)))
    }
}

impl Binder<'_> {
    /// The names of all tables and views of a database, or of its views alone.
    pub(crate) fn names_declared(&self, views_alone: bool, database: &str) -> Vec<String> {
        let is_meant =
            |declared: &Declared| !views_alone || matches!(declared.written, Written::View(..));
        let declared = self.declared.iter().filter(|(_, declared)| is_meant(declared));
        let names = declared.filter_map(|(path, _)| path.strip_prefix(database)?.strip_prefix(IN));
        names.map(str::to_owned).collect()
    }

    /// All tables and views, as they are called where the current database is this one.
    pub(crate) fn relations(&self) -> impl Iterator<Item = (String, &Relation)> {
        let now = database::current();
        self.declared.iter().map(move |(path, declared)| {
            let name = match path.strip_prefix(&now).and_then(|rest| rest.strip_prefix(IN)) {
                Some(name) => name.to_owned(),
                None => {
                    let catalog = format!("{}{}", database::catalog_of(&now), database::OF);
                    let path = path.strip_prefix(&catalog).unwrap_or(path);
                    path.replace([IN, database::OF], ".")
                }
            };
            (name, &declared.relation)
        })
    }

    fn names_of_all(&self) -> impl Iterator<Item = String> {
        let named = |path: &String| Ident { text: path.clone(), span: Span::default() }.shown();
        self.declared.keys().map(named)
    }

    /// A table as it is declared, with what `LIKE` and `AS SELECT` stand for.
    pub(crate) fn written(&self, name: &Ident) -> Option<CreateTable> {
        match &self.declared.get(&self.path(name))?.written {
            Written::Table(table) => Some(CreateTable::clone(table)),
            Written::View(..) => None,
        }
    }
}

fn named(text: &str, span: Span) -> Ident {
    Ident { text: text.to_owned(), span }
}

//! A person's session: statements come one after the other, each is answered, and what it declares
//! holds for those that follow.
//!
//! ```text
//!  text ──read──► entries ──answer──► Outcome: declared, told, or a job to run
//! ```
//!
//! A session keeps what was declared and set as it was written, and binds it again for every
//! statement: so each statement means what it would mean in a program that consists of the
//! declarations before it and of itself, and one that is refused leaves nothing behind.

mod answers;
mod complete;
mod draft;
mod typed;
mod written;

use std::collections::{BTreeMap, HashMap};

pub use answers::Answer;
pub use complete::{Candidate, Completion, Scope};
pub use draft::{Draft, Drafted, statement_at_end};
pub use typed::{Token, TokenKind, is_complete, tokens, words};

use arrow::array::RecordBatch;

use crate::ast::{Ask, Change, CreateCatalog, CreateTable, CreateView, Ident, Statement, Told};
use crate::bind::Binder;
use crate::database;
use crate::error::{Span, SqlError, Warning};
use crate::parse::{CATALOG, DATABASE, Unit, parse_units};
use crate::zone::{self, Zone};
use crate::{PlanOptions, Planned, comments, lower};

/// Settings that the session itself goes by, and nothing of a program.
const OF_SESSION: [&str; 4] = [RESULT_MODE, PARALLELISM, DML_SYNC, "pipeline.name"];
/// Whether results are shown as they are at the end, or as changes: `table`, `changelog` or
/// `tableau`.
pub const RESULT_MODE: &str = "sql-client.execution.result-mode";
/// Whether a job without an end is waited for, before the next statement of a script.
pub const DML_SYNC: &str = "table.dml-sync";
/// Parallelism of what is run.
pub const PARALLELISM: &str = "parallelism.default";

/// See the module.
#[derive(Clone, Default)]
pub struct Session {
    /// Everything that places may be about.
    source: String,
    /// How many lines of it stand before what was read last.
    before: u32,
    kept: Vec<Kept>,
    settings: BTreeMap<String, String>,
}

/// A statement that holds for those that follow.
#[derive(Clone)]
struct Kept {
    statement: Statement,
    /// As it was written.
    text: String,
    /// The line on which it ends.
    end: u32,
    /// It was a table made of a query.
    of_query: bool,
}

/// A statement, or a STATEMENT SET, that was read and not yet answered.
#[derive(Clone)]
pub struct Entry(Unit);

/// What a statement is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// It asks for rows.
    Query,
    /// It writes rows.
    Insert,
    /// It asks how things are.
    Told,
    /// What follows goes by it.
    Declares,
}

impl Entry {
    /// Where it stands.
    #[must_use]
    pub fn span(&self) -> Span {
        self.0.span
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.0.statements.first() {
            Some(Statement::Query(_)) => Kind::Query,
            Some(Statement::Insert(_)) => Kind::Insert,
            Some(Statement::Told(_)) => Kind::Told,
            _ => Kind::Declares,
        }
    }
}

/// What a statement comes to.
pub enum Outcome {
    /// It changed what names or settings stand for; says what.
    Done(String),
    /// It asked for a list.
    Answer(Answer),
    /// It asked for a text.
    Text(String),
    /// It asks for rows.
    Query(Box<Planned>, Shown),
    /// It writes rows.
    Insert(Box<Planned>),
    /// It asked for nothing that is to be said.
    Nothing,
    /// What follows is not asked any more.
    Quit,
}

/// What is known of the rows of a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Names of its columns, and their types.
    pub columns: Vec<(String, String)>,
    /// Whether rows that were given are taken back and replaced.
    pub is_corrected: bool,
    /// In which points in time are shown.
    zone: Zone,
}

impl Shown {
    /// Rows with what the session's clock shows in the place of points in time (`TIMESTAMP_LTZ`), as
    /// Flink's client shows them.
    #[must_use]
    pub fn on_the_clock(&self, records: &RecordBatch) -> RecordBatch {
        written::on_the_clock(records, self.zone)
    }
}

/// An outcome, and what should be known of it.
pub struct Answered {
    /// What it comes to.
    pub outcome: Outcome,
    /// What works, but not as might be thought.
    pub warnings: Vec<Warning>,
}

impl Session {
    /// A session in which nothing is declared.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads statements; places in them count on from what was read before.
    ///
    /// # Errors
    /// Everything that is no statement of the dialect.
    pub fn read(&mut self, text: &str) -> Result<Vec<Entry>, Vec<SqlError>> {
        let (entries, errors) = self.read_draft(text);
        if errors.is_empty() { Ok(entries) } else { Err(errors) }
    }

    /// Reads statements that all mean something: see [`Session::read`] and [`Session::check`].
    ///
    /// # Errors
    /// What is no statement, or else what is wrong with names and types.
    pub fn read_checked(
        &mut self,
        text: &str,
        options: &PlanOptions,
    ) -> Result<Vec<Entry>, Vec<SqlError>> {
        let entries = self.read(text)?;
        self.check(&entries, options)?;
        Ok(entries)
    }

    /// Reads the statements of a text that need not be whole, and everything that is none.
    pub fn read_draft(&mut self, text: &str) -> (Vec<Entry>, Vec<SqlError>) {
        self.before = self.source.lines().count() as u32;
        let line = self.before + 1;
        self.source.push_str(text);
        if !self.source.ends_with('\n') {
            self.source.push('\n');
        }
        let (units, mut errors) = parse_units(text, line);
        errors.sort();
        errors.dedup();
        (units.into_iter().map(Entry).collect(), errors)
    }

    /// A place in what was read last, with lines that count from 1; nothing where it is in what was
    /// read before.
    #[must_use]
    pub fn in_last(&self, span: Span) -> Option<Span> {
        let line = span.line.checked_sub(self.before).filter(|line| *line > 0)?;
        Some(Span { line, end_line: span.end_line.saturating_sub(self.before).max(line), ..span })
    }

    /// Forgets texts that no place can be about any more: everything behind the last declaration.
    pub fn trim(&mut self) {
        let last = self.kept.iter().map(|kept| kept.end).max().unwrap_or(0);
        let end: usize = self.source.split_inclusive('\n').take(last as usize).map(str::len).sum();
        self.source.truncate(end);
        self.before = self.before.min(last);
    }

    /// The errors with the lines that they are about. In what was read last lines count from 1, and
    /// `file` is its name, where it has one; what was declared before is named so.
    #[must_use]
    pub fn render(&self, errors: &[SqlError], file: Option<&str>) -> String {
        let last = self.source.split_inclusive('\n').skip(self.before as usize);
        let last: String = last.collect();
        let each = errors.iter().map(|error| {
            let span = error.span;
            let is_last = span.line > self.before;
            let text = if is_last {
                let (line, end_line) = (span.line - self.before, span.end_line - self.before);
                let span = Span { line, end_line, ..span };
                SqlError::new(span, error.message.as_str()).render(&last)
            } else {
                error.render(&self.source)
            };
            match (file, text.strip_prefix("sql:")) {
                (Some(file), Some(rest)) if is_last => format!("{file}:{rest}"),
                (_, Some(rest)) if !is_last => format!("declared before, line {rest}"),
                _ => text,
            }
        });
        each.collect::<Vec<_>>().join("\n")
    }

    /// A warning with its place, as [`Session::render`] counts lines.
    #[must_use]
    pub fn render_warning(&self, warning: &Warning, file: Option<&str>) -> String {
        let Span { line, column, .. } = warning.span;
        match line.checked_sub(self.before) {
            Some(line @ 1..) => {
                format!("{}:{line}:{column}: {}", file.unwrap_or("sql"), warning.message)
            }
            _ => format!("declared before, line {line}:{column}: {}", warning.message),
        }
    }

    /// Everything that holds for statements that follow, as it was written.
    #[must_use]
    pub fn declared(&self) -> String {
        self.kept.iter().map(|kept| kept.text.as_str()).collect()
    }

    /// What was set, by name.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        self.settings.get(key).map(String::as_str)
    }

    /// Whether every statement means something, given those before it, without running any.
    ///
    /// # Errors
    /// Everything that is wrong with the names and types of all of them.
    pub fn check(&self, entries: &[Entry], options: &PlanOptions) -> Result<(), Vec<SqlError>> {
        let mut session = self.clone();
        let mut errors = Vec::new();
        for entry in entries {
            match session.bind(entry, options) {
                Ok(mut bound) => {
                    if let Err(mut found) = session.keep(entry, &mut bound.binder) {
                        errors.append(&mut found);
                    }
                }
                Err(mut found) => errors.append(&mut found),
            }
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(errors),
        }
    }

    /// What a statement comes to. What it declares or sets holds from now on.
    ///
    /// # Errors
    /// Everything that is wrong with it; nothing has changed then.
    pub fn answer(
        &mut self,
        entry: &Entry,
        options: &PlanOptions,
    ) -> Result<Answered, Vec<SqlError>> {
        let bound = self.bind(entry, options)?;
        self.answer_bound(entry, bound, options)
    }

    fn answer_bound(
        &mut self,
        entry: &Entry,
        mut bound: Bound<'_>,
        options: &PlanOptions,
    ) -> Result<Answered, Vec<SqlError>> {
        let mut warnings = std::mem::take(&mut bound.binder.warnings);
        if let [Statement::Told(told)] = entry.0.statements.as_slice() {
            let outcome = self.tell(told, bound, options)?;
            return Ok(Answered { outcome, warnings: Vec::new() });
        }
        let mut planned = None;
        if !bound.program.inserts.is_empty() {
            let is_corrected =
                bound.program.inserts.iter().any(|insert| insert.rel.corrected_by().is_some());
            let columns = match &bound.program.inserts[0].table.columns {
                columns if bound.is_query => {
                    columns.iter().map(|c| (c.name.clone(), c.ty.kind.to_string())).collect()
                }
                _ => Vec::new(),
            };
            let mut plan = lower::lower(&bound.program, options)?;
            warnings.append(&mut plan.warnings);
            let zone = bound.zone;
            planned = Some((Box::new(plan), Shown { columns, is_corrected, zone }));
        }
        // Declarations were warned of when they were made.
        warnings.retain(|warning| warning.span >= entry.0.span);
        for span in comments::with_statements(&self.source) {
            if span >= entry.0.span && span.line <= entry.0.span.end_line {
                warnings.push(Warning { span, message: comments::MESSAGE.to_owned() });
            }
        }
        let done = self.keep(entry, &mut bound.binder)?;
        let outcome = match planned {
            Some((planned, shown)) if bound.is_query => Outcome::Query(planned, shown),
            Some((planned, _)) => Outcome::Insert(planned),
            None => Outcome::Done(done),
        };
        Ok(Answered { outcome, warnings })
    }

    /// Binds what holds, and a statement behind it.
    fn bind<'a>(
        &self,
        entry: &Entry,
        options: &'a PlanOptions,
    ) -> Result<Bound<'a>, Vec<SqlError>> {
        let (bound, errors) = self.bind_draft(entry, options);
        if errors.is_empty() { Ok(bound) } else { Err(errors) }
    }

    /// The same, with everything that is wrong.
    fn bind_draft<'a>(
        &self,
        entry: &Entry,
        options: &'a PlanOptions,
    ) -> (Bound<'a>, Vec<SqlError>) {
        let own = entry.0.statements.iter().filter(|statement| !is_of_session(statement));
        let kept = self.kept.iter().map(|kept| &kept.statement);
        let statements: Vec<Statement> = kept.chain(own).cloned().collect();
        let session = zone::Session::begin();
        let mut binder = Binder::new(options);
        let program = binder.program(&statements);
        let mut errors = std::mem::take(&mut binder.errors);
        errors.sort();
        errors.dedup();
        let is_query = matches!(entry.0.statements.as_slice(), [Statement::Query(_)]);
        let zone = zone::held();
        (Bound { binder, program, is_query, zone, _session: session }, errors)
    }

    /// Keeps what holds from now on; says what was done.
    fn keep(&mut self, entry: &Entry, binder: &mut Binder<'_>) -> Result<String, Vec<SqlError>> {
        let mut done = String::from("done");
        for statement in &entry.0.statements {
            let kept = match statement {
                Statement::CreateTable(table) => {
                    done = format!("table \"{}\" is declared", table.name.shown());
                    match (&table.query, binder.written(&table.name)) {
                        // Its rows were written; they are not to be written again.
                        (Some(_), Some(mut written)) => {
                            written.if_not_exists = table.if_not_exists;
                            if written.replaces.take().is_some() {
                                let drop = Statement::Drop {
                                    is_view: false,
                                    temporary: false,
                                    name: table.name.clone(),
                                    if_exists: true,
                                };
                                self.push(drop, entry);
                            }
                            Statement::CreateTable(written)
                        }
                        _ => statement.clone(),
                    }
                }
                Statement::CreateView(view) => {
                    done = format!("view \"{}\" is declared", view.name.shown());
                    statement.clone()
                }
                Statement::Alter(alter) => {
                    done = format!("\"{}\" is changed", alter.name.shown());
                    statement.clone()
                }
                Statement::Drop { name, .. } => {
                    done = format!("\"{}\" is dropped", name.shown());
                    statement.clone()
                }
                Statement::Use(name) => {
                    done = format!("names are of database \"{}\"", database::shown(&name.text));
                    statement.clone()
                }
                Statement::UseCatalog(name) => {
                    done = format!("names are of catalog \"{}\"", name.text);
                    statement.clone()
                }
                Statement::CreateCatalog(CreateCatalog { name, .. }) => {
                    done = format!("catalog \"{}\" is there", name.text);
                    statement.clone()
                }
                Statement::DropCatalog { name, .. } => {
                    done = format!("catalog \"{}\" is dropped", name.text);
                    statement.clone()
                }
                Statement::CreateDatabase { name, .. } => {
                    done = format!("database \"{}\" is there", database::shown(&name.text));
                    statement.clone()
                }
                Statement::DropDatabase { name, .. } => {
                    done = format!("database \"{}\" is dropped", database::shown(&name.text));
                    statement.clone()
                }
                Statement::AlterDatabase(_) => continue,
                Statement::Set { key, value, span } => {
                    check_setting(key, value, *span)?;
                    self.settings.insert(key.clone(), value.clone());
                    done = format!("'{key}' = '{value}'");
                    if is_of_session(statement) {
                        continue;
                    }
                    statement.clone()
                }
                Statement::Reset { key } => {
                    match key {
                        Some((key, _)) => drop(self.settings.remove(key)),
                        None => self.settings.clear(),
                    }
                    done = "reset".to_owned();
                    if is_of_session(statement) {
                        continue;
                    }
                    statement.clone()
                }
                Statement::Insert(_) | Statement::Query(_) | Statement::Told(_) => continue,
            };
            self.push(kept, entry);
        }
        Ok(done)
    }

    fn push(&mut self, statement: Statement, entry: &Entry) {
        let text = self.text(entry.0.span);
        let is_query = |statement: &Statement| matches!(statement, Statement::CreateTable(table) if table.query.is_some());
        let of_query = entry.0.statements.iter().any(is_query);
        self.kept.push(Kept { statement, text, end: entry.0.span.end_line, of_query });
    }

    /// A stretch of what was read.
    fn text(&self, span: Span) -> String {
        let mut text = String::new();
        let first = (span.line as usize).saturating_sub(1);
        let lines = self.source.lines().enumerate().skip(first);
        for (number, line) in lines.take_while(|(number, _)| *number < span.end_line as usize) {
            let from = if number == first { span.column as usize - 1 } else { 0 };
            let last = number + 1 == span.end_line as usize;
            let to = if last { span.end_column as usize } else { usize::MAX };
            text.extend(line.chars().take(to).skip(from));
            text.push('\n');
        }
        text
    }

    fn tell(
        &self,
        told: &Told,
        mut bound: Bound<'_>,
        options: &PlanOptions,
    ) -> Result<Outcome, Vec<SqlError>> {
        match &told.ask {
            Ask::Plan(of) => {
                let kept = self.kept.iter().map(|kept| &kept.statement);
                let statements: Vec<Statement> = kept.chain(of).cloned().collect();
                let _zone = zone::Session::begin();
                let mut binder = Binder::new(options);
                let program = binder.program(&statements);
                let graph = lower::lower(&program, options)?.graph;
                Ok(Outcome::Text(crate::explain::text(&graph)))
            }
            Ask::Function(name) => {
                let answer = bound.binder.function(name);
                answer.map(Outcome::Answer).map_err(|_| bound.binder.errors)
            }
            Ask::Database(name) => {
                let answer = bound.binder.database(name);
                answer.map(Outcome::Answer).map_err(|_| bound.binder.errors)
            }
            Ask::Catalog(name) => {
                let answer = bound.binder.catalog_described(name);
                answer.map(Outcome::Answer).map_err(|_| bound.binder.errors)
            }
            Ask::DeclaredCatalog(name) => {
                let text = bound.binder.catalog_declared(name);
                text.map(Outcome::Text).map_err(|_| bound.binder.errors)
            }
            Ask::None(columns) => Ok(Outcome::Answer(Answer::none(columns))),
            Ask::Clear => Ok(Outcome::Nothing),
            Ask::Quit => Ok(Outcome::Quit),
            Ask::Settings => Ok(Outcome::Answer(Answer::settings(&self.settings))),
            Ask::Help => Ok(Outcome::Text(answers::HELP.to_owned())),
            Ask::Names(listed, database, pattern) => {
                let answer = bound.binder.listed(*listed, database.as_ref(), pattern.as_ref());
                answer.map(Outcome::Answer).map_err(|_| bound.binder.errors)
            }
            Ask::Columns(name, pattern) => {
                let answer = bound.binder.described(name, pattern.as_ref());
                answer.map(Outcome::Answer).map_err(|_| bound.binder.errors)
            }
            Ask::Declaration(name) => match bound.binder.lookup(name) {
                Ok(_) => {
                    let made = bound.binder.written(name).filter(|_| self.is_made(name));
                    let text = |span| self.text(span);
                    Ok(Outcome::Text(match made {
                        Some(table) => written::declaration(&table, &text),
                        None => self.declaration(name).concat(),
                    }))
                }
                Err(_) => Err(bound.binder.errors),
            },
            Ask::Unknown => {
                let message = format!(
                    "this {} is not answered here; {}",
                    told.what,
                    match told.what {
                        "SHOW" =>
                            "there are SHOW TABLES, VIEWS, COLUMNS FROM, CREATE TABLE, CREATE VIEW, CREATE CATALOG, FUNCTIONS, CATALOGS, DATABASES, MODULES, CURRENT CATALOG and CURRENT DATABASE",
                        _ =>
                            "it takes the name of a table or view, or DATABASE, CATALOG or FUNCTION and a name",
                    }
                );
                Err(vec![SqlError::new(told.span, message)])
            }
        }
    }

    /// Whether a table says of itself only in part what it is.
    fn is_made(&self, name: &Ident) -> bool {
        self.made_by(name).first().is_some_and(|kept| match &kept.statement {
            Statement::CreateTable(table) => kept.of_query || table.like.is_some(),
            _ => false,
        })
    }

    /// The statements that made a name what it is, as they were written.
    fn declaration(&self, name: &Ident) -> Vec<&str> {
        self.made_by(name).into_iter().map(|kept| kept.text.as_str()).collect()
    }

    /// The statements that made a name what it is.
    fn made_by(&self, name: &Ident) -> Vec<&Kept> {
        // Names that say no database are of the one that was used then.
        let mut current = DATABASE.to_owned();
        let mut first = HashMap::from([(CATALOG, DATABASE)]);
        let mut of = Vec::new();
        for kept in &self.kept {
            of.push(current.clone());
            match &kept.statement {
                Statement::CreateCatalog(create) => {
                    first.entry(&create.name.text).or_insert(create.first_database());
                }
                Statement::DropCatalog { name, .. } => drop(first.remove(name.text.as_str())),
                Statement::UseCatalog(name) if name.text != database::catalog_of(&current) => {
                    let first = first.get(name.text.as_str()).copied().unwrap_or(DATABASE);
                    current = database::path(&name.text, first);
                }
                Statement::Use(name) => {
                    current = database::resolve(&name.text, database::catalog_of(&current));
                }
                _ => {}
            }
        }
        let path = |name: &Ident, now: &str| {
            let of = match name.database() {
                Some(said) => database::resolve(said, database::catalog_of(now)),
                None => now.to_owned(),
            };
            Ident::in_database(&of, name, name.span)
        };
        let mut name = path(name, &current).text;
        let mut made = Vec::new();
        for (kept, of) in self.kept.iter().zip(&of).rev() {
            let is_it = |other: &Ident| path(other, of).text == name;
            match &kept.statement {
                Statement::CreateTable(CreateTable { name: declared, .. })
                | Statement::CreateView(CreateView { name: declared, .. })
                    if is_it(declared) =>
                {
                    made.push(kept);
                    break;
                }
                Statement::Alter(alter) => match &alter.change {
                    Change::Rename(new) => {
                        let old = path(&alter.name, of);
                        let new = Ident::in_database(old.database().unwrap_or(of), new, new.span);
                        if new.text == name {
                            name = old.text;
                            made.push(kept);
                        }
                    }
                    _ if is_it(&alter.name) => made.push(kept),
                    _ => {}
                },
                _ => {}
            }
        }
        made.reverse();
        made
    }

    /// What names stand for, for completion.
    #[must_use]
    pub fn scope(&self, options: &PlanOptions) -> Scope {
        let mut binder = Binder::new(options);
        let kept: Vec<Statement> = self.kept.iter().map(|kept| kept.statement.clone()).collect();
        binder.program(&kept);
        Scope::of(&mut binder)
    }
}

/// A statement and what holds before it.
struct Bound<'a> {
    binder: Binder<'a>,
    program: crate::bind::BoundProgram,
    is_query: bool,
    /// Views may be bound anew, in the zone that holds.
    _session: zone::Session,
    /// The zone that holds behind the statement.
    zone: Zone,
}

fn is_of_session(statement: &Statement) -> bool {
    match statement {
        Statement::Set { key, .. } => OF_SESSION.contains(&key.as_str()),
        Statement::Reset { key: Some((key, _)) } => OF_SESSION.contains(&key.as_str()),
        _ => false,
    }
}

fn check_setting(key: &str, value: &str, span: Span) -> Result<(), Vec<SqlError>> {
    let wrong = match key {
        RESULT_MODE if !["table", "changelog", "tableau"].contains(&value) => {
            "is not supported; use 'table', 'changelog' or 'tableau'"
        }
        PARALLELISM if !value.parse::<u32>().is_ok_and(|n| (1..=64).contains(&n)) => {
            "is no parallelism; give a number from 1 to 64"
        }
        DML_SYNC if !["true", "false"].contains(&value) => "is not 'true' or 'false'",
        _ => return Ok(()),
    };
    Err(vec![SqlError::new(span, format!("'{key}' = '{value}' {wrong}"))])
}

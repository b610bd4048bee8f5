//! Databases: `CREATE`, `ALTER`, `DROP` and `USE` of them, and which one a name is of. They are names
//! for what a program declares and hold nothing else, as those of Flink's own catalog.

use super::{Binder, BoundProgram, Reported};
use crate::ast::Ident;
use crate::database;
use crate::error::{Span, SqlError, did_you_mean};
use crate::parse::DATABASE;

impl Binder<'_> {
    /// The whole name of a table: its database's too, which is the current one where none is said.
    pub(super) fn path(&self, name: &Ident) -> String {
        match name.database() {
            Some(_) => name.text.clone(),
            None => Ident::in_database(&database::current(), name, name.span).text,
        }
    }

    /// The whole name of a table that is declared.
    pub(super) fn name_to_declare(&mut self, name: &Ident) -> Result<Ident, Reported> {
        let name = Ident { text: self.path(name), span: name.span };
        self.known_database(&name)?;
        Ok(name)
    }

    /// Refuses a name of a database that there is not.
    pub(super) fn known_database(&mut self, name: &Ident) -> Result<(), Reported> {
        match name.database() {
            Some(database) => self.find_database(database, name.span),
            None => Ok(()),
        }
    }

    fn find_database(&mut self, name: &str, span: Span) -> Result<(), Reported> {
        if self.databases.contains(name) {
            return Ok(());
        }
        let hint = did_you_mean(name, self.databases.iter().map(String::as_str), '"');
        let hint = match hint.is_empty() {
            true => format!(
                "; make it with CREATE DATABASE, or leave it out for tables of \"{}\"",
                database::current()
            ),
            false => hint,
        };
        self.fail(span, format!("database \"{name}\" not found{hint}"))
    }

    pub(super) fn create_database(&mut self, name: &Ident, if_not_exists: bool) {
        if !self.databases.insert(name.text.clone()) && !if_not_exists {
            let message = format!(
                "there is a database \"{}\" already; write CREATE DATABASE IF NOT EXISTS, or leave it out",
                name.text
            );
            self.report(SqlError::new(name.span, message));
        }
    }

    /// Whether there is a database that something is said of.
    pub(super) fn alter_database(&mut self, name: &Ident) {
        self.find_database(&name.text, name.span).ok();
    }

    pub(super) fn use_database(&mut self, name: &Ident) {
        if self.find_database(&name.text, name.span).is_ok() {
            database::set(&name.text);
        }
    }

    pub(super) fn drop_database(
        &mut self,
        name: &Ident,
        if_exists: bool,
        cascade: bool,
        program: &mut BoundProgram,
    ) {
        if if_exists && !self.databases.contains(&name.text) {
            return;
        }
        if self.find_database(&name.text, name.span).is_err() {
            return;
        }
        if name.text == database::current() {
            let other = if name.text == DATABASE { "another one" } else { DATABASE };
            let message = format!("\"{}\" is the current database; USE {other} first", name.text);
            self.report(SqlError::new(name.span, message));
            return;
        }
        let tables = self.names_declared(false, &name.text);
        if let (Some(table), false) = (tables.iter().min(), cascade) {
            let message = format!(
                "database \"{0}\" holds \"{table}\" and {1} more; drop them first, or write DROP DATABASE {0} CASCADE",
                name.text,
                tables.len() - 1
            );
            self.report(SqlError::new(name.span, message));
            return;
        }
        self.drop_tables(&name.text, name.span, program);
        self.databases.remove(&name.text);
    }

    /// Names of databases, in order.
    pub(crate) fn databases(&self) -> impl Iterator<Item = &String> {
        self.databases.iter()
    }

    /// Refuses a database that there is not, where one is said; answers which it is.
    pub(crate) fn database_or_current(&mut self, name: Option<&Ident>) -> Result<String, Reported> {
        match name {
            Some(name) => {
                self.find_database(&name.text, name.span)?;
                Ok(name.text.clone())
            }
            None => Ok(database::current()),
        }
    }
}

//! Databases: `CREATE`, `ALTER`, `DROP` and `USE` of them, and which one a name is of. They are names
//! for what a program declares and hold nothing else, as those of Flink's own catalog.

use super::{Binder, BoundProgram, Reported};
use crate::ast::Ident;
use crate::database::{self, catalog_of, current_catalog, name_of, shown};
use crate::error::{Span, SqlError, did_you_mean};
use crate::parse::DATABASE;

impl Binder<'_> {
    /// The whole name of a table: its database's too, which is the current one where none is said.
    pub(super) fn path(&self, name: &Ident) -> String {
        let of = match name.database() {
            Some(said) => database::resolve(said, &current_catalog()),
            None => database::current(),
        };
        Ident::in_database(&of, name, name.span).text
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
            Some(of) => self.find_database(of, name.span).map(drop),
            None => Ok(()),
        }
    }

    /// The path of a database that has to be there.
    fn find_database(&mut self, said: &str, span: Span) -> Result<String, Reported> {
        let path = database::resolve(said, &current_catalog());
        if self.databases.contains(&path) {
            return Ok(path);
        }
        let catalog = catalog_of(&path);
        if !self.catalogs.contains_key(catalog) {
            let message = self.no_catalog(catalog);
            return self.fail(span, message);
        }
        let beside = self.databases.iter().filter(|known| catalog_of(known) == catalog);
        let hint = did_you_mean(name_of(&path), beside.map(|known| name_of(known)), '"');
        let hint = match hint.is_empty() {
            true => format!(
                "; make it with CREATE DATABASE, or leave it out for tables of \"{}\"",
                shown(&database::current())
            ),
            false => hint,
        };
        let message = format!("database \"{}\" not found{hint}", shown(&path));
        Err(self.report(SqlError::of_a_name(span, message)))
    }

    pub(super) fn create_database(&mut self, name: &Ident, if_not_exists: bool) {
        let path = database::resolve(&name.text, &current_catalog());
        let catalog = catalog_of(&path);
        if !self.catalogs.contains_key(catalog) {
            let message = self.no_catalog(catalog);
            self.report(SqlError::new(name.span, message));
            return;
        }
        let message = format!(
            "there is a database \"{}\" already; write CREATE DATABASE IF NOT EXISTS, or leave it out",
            shown(&path)
        );
        if !self.databases.insert(path) && !if_not_exists {
            self.report(SqlError::new(name.span, message));
        }
    }

    /// Whether there is a database that something is said of.
    pub(super) fn alter_database(&mut self, name: &Ident) {
        self.find_database(&name.text, name.span).ok();
    }

    pub(super) fn use_database(&mut self, name: &Ident) {
        if let Ok(path) = self.find_database(&name.text, name.span) {
            database::set(&path);
        }
    }

    pub(super) fn drop_database(
        &mut self,
        name: &Ident,
        if_exists: bool,
        cascade: bool,
        program: &mut BoundProgram,
    ) {
        let path = database::resolve(&name.text, &current_catalog());
        if if_exists && !self.databases.contains(&path) {
            return;
        }
        if self.find_database(&name.text, name.span).is_err() {
            return;
        }
        if path == database::current() {
            let other = if path == DATABASE { "another one" } else { DATABASE };
            let message =
                format!("\"{}\" is the current database; USE {other} first", shown(&path));
            self.report(SqlError::new(name.span, message));
            return;
        }
        let tables = self.names_declared(false, &path);
        if let (Some(table), false) = (tables.iter().min(), cascade) {
            let message = format!(
                "database \"{0}\" holds \"{table}\" and {1} more; drop them first, or write DROP DATABASE {0} CASCADE",
                shown(&path),
                tables.len() - 1
            );
            self.report(SqlError::new(name.span, message));
            return;
        }
        self.drop_tables(&path, name.span, program);
        self.databases.remove(&path);
    }

    /// Names of the databases of a catalog, in order.
    pub(crate) fn databases(&self, catalog: &str) -> Vec<String> {
        let paths = self.databases.iter().filter(|path| catalog_of(path) == catalog);
        paths.map(|path| name_of(path).to_owned()).collect()
    }

    /// Refuses a database that there is not, where one is said; answers the path of the one that is
    /// meant.
    pub(crate) fn database_or_current(&mut self, name: Option<&Ident>) -> Result<String, Reported> {
        match name {
            Some(name) => self.find_database(&name.text, name.span),
            None => Ok(database::current()),
        }
    }
}

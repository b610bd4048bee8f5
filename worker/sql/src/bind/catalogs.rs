//! Catalogs: `CREATE`, `DROP` and `USE` of them. Each holds databases of the program alone, as
//! Flink's catalogs of type `generic_in_memory`; of what other kinds would know nothing is known here.

use std::collections::BTreeMap;

use super::{Binder, BoundProgram, Reported};
use crate::ast::{CreateCatalog, Ident};
use crate::database;
use crate::error::{SqlError, did_you_mean};
use crate::parse::{CATALOG, DATABASE};

/// The type of all catalogs.
const IN_MEMORY: &str = "generic_in_memory";
/// The one option besides the type.
const FIRST: &str = CreateCatalog::FIRST_DATABASE;

/// A catalog of the program.
#[derive(Clone)]
pub(crate) struct Catalog {
    /// The database that `USE CATALOG` means.
    first: String,
    pub(crate) comment: String,
    /// As written, without the type.
    pub(crate) options: BTreeMap<String, String>,
}

/// The catalogs that every program begins with.
pub(super) fn at_first() -> BTreeMap<String, Catalog> {
    let catalog =
        Catalog { first: DATABASE.to_owned(), comment: String::new(), options: BTreeMap::new() };
    BTreeMap::from([(CATALOG.to_owned(), catalog)])
}

impl Catalog {
    /// What it was made of: the name and value of each option.
    pub(crate) fn made_of(&self) -> impl Iterator<Item = (&str, &str)> {
        let options = self.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        [("type", IN_MEMORY)].into_iter().chain(options)
    }
}

impl Binder<'_> {
    /// A catalog that has to be there.
    pub(crate) fn catalog(&mut self, name: &Ident) -> Result<Catalog, Reported> {
        if let Some(catalog) = self.catalogs.get(&name.text) {
            return Ok(catalog.clone());
        }
        let message = self.no_catalog(&name.text);
        self.fail(name.span, message)
    }

    pub(super) fn no_catalog(&self, name: &str) -> String {
        let hint = did_you_mean(name, self.catalogs.keys().map(String::as_str), '"');
        match hint.is_empty() {
            true => format!(
                "there is no catalog \"{name}\"; make it with CREATE CATALOG {name} WITH ('type' = '{IN_MEMORY}'), or write database.table, or the table's name alone"
            ),
            false => format!("there is no catalog \"{name}\"{hint}"),
        }
    }

    /// Names of catalogs, in order.
    pub(crate) fn catalogs(&self) -> impl Iterator<Item = &String> {
        self.catalogs.keys()
    }

    pub(super) fn create_catalog(&mut self, create: &CreateCatalog) {
        let name = &create.name;
        let Ok(catalog) = self.catalog_of(create) else { return };
        if self.catalogs.contains_key(&name.text) {
            if !create.if_not_exists {
                let message = format!(
                    "there is a catalog \"{}\" already; write CREATE CATALOG IF NOT EXISTS, or leave it out",
                    name.text
                );
                self.report(SqlError::new(name.span, message));
            }
            return;
        }
        self.databases.insert(database::path(&name.text, &catalog.first));
        self.catalogs.insert(name.text.clone(), catalog);
    }

    /// What the options say of a catalog.
    fn catalog_of(&mut self, create: &CreateCatalog) -> Result<Catalog, Reported> {
        let mut options = BTreeMap::new();
        let mut is_typed = false;
        for option in &create.options {
            match option.key.as_str() {
                "type" if option.value == IN_MEMORY => is_typed = true,
                "type" => {
                    let message = format!(
                        "a catalog of type '{}' is not supported: it would know tables of another system; write 'type' = '{IN_MEMORY}', and declare the tables that are used with CREATE TABLE and their connector",
                        option.value
                    );
                    return self.fail(option.value_span, message);
                }
                FIRST if option.value.is_empty() => {
                    let message = format!("'{FIRST}' is a database's name, and is empty");
                    return self.fail(option.value_span, message);
                }
                FIRST => {
                    options.insert(option.key.clone(), option.value.clone());
                }
                key => {
                    let hint = did_you_mean(key, ["type", FIRST], '\'');
                    let message = format!(
                        "option '{key}' is unknown for a catalog of type '{IN_MEMORY}'{}",
                        if hint.is_empty() { "; it takes 'default-database' alone" } else { &hint }
                    );
                    return self.fail(option.key_span, message);
                }
            }
        }
        if !is_typed {
            let message = format!(
                "catalog \"{}\" has no type; add WITH ('type' = '{IN_MEMORY}')",
                create.name.text
            );
            return self.fail(create.name.span, message);
        }
        let first = create.first_database().to_owned();
        Ok(Catalog { first, comment: create.comment.clone().unwrap_or_default(), options })
    }

    pub(super) fn use_catalog(&mut self, name: &Ident) {
        // Of the one that is used already, the database stays.
        if let Ok(catalog) = self.catalog(name)
            && database::current_catalog() != name.text
        {
            database::set(&database::path(&name.text, &catalog.first));
        }
    }

    pub(super) fn drop_catalog(
        &mut self,
        name: &Ident,
        if_exists: bool,
        program: &mut BoundProgram,
    ) {
        if if_exists && !self.catalogs.contains_key(&name.text) {
            return;
        }
        if self.catalog(name).is_err() {
            return;
        }
        let why_not = if name.text == database::current_catalog() {
            let other = if name.text == CATALOG { "another one" } else { CATALOG };
            Some(format!("\"{}\" is the current catalog; USE CATALOG {other} first", name.text))
        } else if name.text == CATALOG {
            Some(format!("{CATALOG} is every program's, and stays; drop the tables in it"))
        } else {
            None
        };
        if let Some(message) = why_not {
            self.report(SqlError::new(name.span, message));
            return;
        }
        let is_in = |path: &String| database::catalog_of(path) == name.text;
        let databases: Vec<String> = self.databases.extract_if(.., is_in).collect();
        for database in databases {
            self.drop_tables(&database, name.span, program);
        }
        self.catalogs.remove(&name.text);
    }
}

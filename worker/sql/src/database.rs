//! The database of the names that say none: what `USE` said last.
//!
//! A database is called by its path: its name alone where it is in the catalog that every program
//! has, and behind that of its catalog where it is in another one. Where the name of a table says
//! its database but no catalog, the path begins with [`OF`] until it is known which one is meant.
//!
//! Like the time zone ([`crate::zone`]), the current one is what holds on the thread while a program
//! is bound.

use std::cell::RefCell;

use crate::parse::{CATALOG, DATABASE};

/// Stands between the names of a catalog and of a database; no name that is written can hold it.
pub(crate) const OF: char = '\u{1e}';

thread_local! {
    static CURRENT: RefCell<String> = RefCell::new(DATABASE.to_owned());
}

/// The path of the database that holds now.
pub(crate) fn current() -> String {
    CURRENT.with_borrow(Clone::clone)
}

/// The name of the catalog that holds now.
pub(crate) fn current_catalog() -> String {
    CURRENT.with_borrow(|path| catalog_of(path).to_owned())
}

/// Names that are bound from here on are of the database with this path; answers which it was.
pub(crate) fn set(path: &str) -> String {
    CURRENT.replace(path.to_owned())
}

/// The path of a database of this catalog.
pub(crate) fn path(catalog: &str, database: &str) -> String {
    match catalog == CATALOG {
        true => database.to_owned(),
        false => format!("{catalog}{OF}{database}"),
    }
}

/// What is said of a database of which no catalog is said.
pub(crate) fn of_current_catalog(database: &str) -> String {
    format!("{OF}{database}")
}

/// The path of what is said, given the current catalog.
pub(crate) fn resolve(said: &str, catalog: &str) -> String {
    match said.strip_prefix(OF) {
        Some(database) => path(catalog, database),
        None => said.to_owned(),
    }
}

/// The catalog of a database with this path.
pub(crate) fn catalog_of(path: &str) -> &str {
    path.split_once(OF).map_or(CATALOG, |(catalog, _)| catalog)
}

/// The name of a database with this path.
pub(crate) fn name_of(path: &str) -> &str {
    path.split_once(OF).map_or(path, |(_, database)| database)
}

/// A database as people are told it.
pub(crate) fn shown(path: &str) -> String {
    path.strip_prefix(OF).unwrap_or(path).replace(OF, ".")
}

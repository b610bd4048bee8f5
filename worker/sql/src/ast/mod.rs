//! What a program says, with the place of every part; nothing is resolved yet.

mod expr;
mod pattern;
mod query;
mod statement;

pub(crate) use self::expr::*;
pub(crate) use self::pattern::*;
pub(crate) use self::query::*;
pub(crate) use self::statement::*;
use crate::database;
use crate::error::Span;
use crate::parse::DATABASE;

/// A name as written. Names of tables and columns are case-sensitive, as in Flink.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ident {
    /// Of a table whose database is said, both (see [`Ident::in_database`]).
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// Stands between the names of a database and of a table where one text holds both; no name that
/// is written can hold it.
pub(crate) const IN: char = '\u{1f}';

impl Ident {
    /// The name of a table with the path of its database (see [`crate::database`]): what names a query by its text alone, such as
    /// WITH, is then not meant.
    pub(crate) fn in_database(database: &str, table: &Self, span: Span) -> Self {
        Self { text: format!("{database}{IN}{}", table.alone()), span }
    }

    /// The database that is said of a table, as in [`crate::database`].
    pub(crate) fn database(&self) -> Option<&str> {
        self.text.split_once(IN).map(|(database, _)| database)
    }

    /// The name of a table without its database.
    pub(crate) fn alone(&self) -> &str {
        self.text.split_once(IN).map_or(&self.text, |(_, table)| table)
    }

    /// The name of a table as people are told it.
    pub(crate) fn shown(&self) -> String {
        match self.database() {
            Some(of) if database::shown(of) != DATABASE => {
                format!("{}.{}", database::shown(of), self.alone())
            }
            _ => self.alone().to_owned(),
        }
    }
}

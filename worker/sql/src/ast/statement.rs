//! Statements: declarations, changes of them, settings, INSERT.

use super::{Expr, Ident, Query};
use crate::error::Span;
use crate::types::SqlType;

/// A statement.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Statement {
    CreateTable(CreateTable),
    CreateView(CreateView),
    Insert(Insert),
    /// A query on its own, whose rows are shown.
    Query(Query),
    Set {
        key: String,
        value: String,
        span: Span,
    },
    /// Without a key: all of them.
    Reset {
        key: Option<(String, Span)>,
    },
    Drop {
        is_view: bool,
        temporary: bool,
        name: Ident,
        if_exists: bool,
    },
    /// Names that say no database are of this one.
    Use(Ident),
    /// Names that say no database are of the one that the catalog has for them.
    UseCatalog(Ident),
    CreateCatalog(CreateCatalog),
    /// With everything in it.
    DropCatalog {
        name: Ident,
        if_exists: bool,
    },
    CreateDatabase {
        name: Ident,
        if_not_exists: bool,
    },
    /// What is said of a database changes nothing; there has to be one of the name.
    AlterDatabase(Ident),
    DropDatabase {
        name: Ident,
        if_exists: bool,
        /// With the tables and views in it.
        cascade: bool,
    },
    Alter(Alter),
    /// What only tells something, such as `EXPLAIN`: these are checked, and nothing is done.
    Told(Told),
}

/// A statement that tells something.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Told {
    /// Its first word.
    pub(crate) what: &'static str,
    pub(crate) span: Span,
    pub(crate) ask: Ask,
}

/// What is to be told.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Ask {
    /// The plan of these statements.
    Plan(Vec<Statement>),
    /// Columns of a table or view.
    Columns(Ident, Option<Matching>),
    /// How a table or view was declared.
    Declaration(Ident),
    /// Names of one kind, of a database or of the current one; of databases, those of a catalog.
    Names(Listed, Option<Ident>, Option<Matching>),
    /// What is known of a function.
    Function(Ident),
    Catalog(Ident),
    /// How a catalog was made.
    DeclaredCatalog(Ident),
    Database(Ident),
    /// A list with these columns, of which there is nothing here.
    None(&'static [&'static str]),
    Settings,
    Help,
    Clear,
    /// Nothing is asked any more.
    Quit,
    /// What nobody can answer here.
    Unknown,
}

/// Kinds of names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Listed {
    Tables,
    Views,
    Functions,
    Catalogs,
    CurrentCatalog,
    Databases,
    CurrentDatabase,
    Modules,
}

/// `[NOT] LIKE 'pattern'`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Matching {
    pub(crate) negated: bool,
    /// `ILIKE`.
    pub(crate) any_case: bool,
    pub(crate) text: String,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CreateCatalog {
    pub(crate) name: Ident,
    pub(crate) if_not_exists: bool,
    pub(crate) comment: Option<String>,
    pub(crate) options: Vec<OptionDef>,
}

impl CreateCatalog {
    /// The option that names the database which a catalog begins with.
    pub(crate) const FIRST_DATABASE: &str = "default-database";

    /// The database that it begins with, which `USE CATALOG` means.
    pub(crate) fn first_database(&self) -> &str {
        let said = self.options.iter().rev().find(|option| option.key == Self::FIRST_DATABASE);
        said.map_or("default", |option| option.value.as_str())
    }
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CreateTable {
    pub(crate) name: Ident,
    pub(crate) temporary: bool,
    pub(crate) if_not_exists: bool,
    /// It takes the place of the one that has its name.
    pub(crate) replaces: Option<Replaces>,
    pub(crate) columns: Vec<ColumnDef>,
    pub(crate) watermark: Option<WatermarkDef>,
    pub(crate) primary_key: Vec<Ident>,
    pub(crate) partitioned_by: Vec<Ident>,
    pub(crate) options: Vec<OptionDef>,
    /// `LIKE`, until it is resolved.
    pub(crate) like: Option<Like>,
    /// `AS SELECT`.
    pub(crate) query: Option<Query>,
}

impl CreateTable {
    /// A table of which only the name is known.
    pub(crate) fn named(name: Ident) -> Self {
        Self {
            name,
            temporary: false,
            if_not_exists: false,
            replaces: None,
            columns: Vec::new(),
            watermark: None,
            primary_key: Vec::new(),
            partitioned_by: Vec::new(),
            options: Vec::new(),
            like: None,
            query: None,
        }
    }
}

/// What a table takes the place of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Replaces {
    /// `REPLACE TABLE`: of a table that there is.
    One,
    /// `CREATE OR REPLACE TABLE`: of a table, if there is one.
    Any,
}

/// `LIKE` of `CREATE TABLE`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Like {
    pub(crate) of: Ident,
    pub(crate) rules: Vec<LikeRule>,
}

/// How a part of a table is taken over from another one.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct LikeRule {
    pub(crate) merging: Merging,
    pub(crate) feature: Feature,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Merging {
    /// Taken over; what both have is an error.
    Including,
    Excluding,
    /// Taken over; what the new table says counts.
    Overwriting,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Feature {
    All,
    Constraints,
    Distribution,
    Partitions,
    Options,
    /// Computed columns.
    Generated,
    Metadata,
    Watermarks,
}

/// `ALTER TABLE` and `ALTER VIEW`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Alter {
    pub(crate) is_view: bool,
    pub(crate) name: Ident,
    pub(crate) if_exists: bool,
    pub(crate) change: Change,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Change {
    Rename(Ident),
    /// Of a view.
    Query(Query),
    SetOptions(Vec<OptionDef>),
    ResetOptions(Vec<(String, Span)>),
    /// Columns, key and watermark that a part of a declaration says, and where columns go.
    Add {
        part: CreateTable,
        places: Vec<(Ident, Place)>,
    },
    Modify {
        part: CreateTable,
        places: Vec<(Ident, Place)>,
    },
    DropColumns(Vec<Ident>),
    DropPrimaryKey(Span),
    DropWatermark(Span),
    RenameColumn {
        from: Ident,
        to: Ident,
    },
}

/// Where a column is put.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Place {
    First,
    After(Ident),
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct OptionDef {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) key_span: Span,
    pub(crate) value_span: Span,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ColumnDef {
    pub(crate) name: Ident,
    pub(crate) kind: ColumnKind,
    /// A part of its type is declared NOT NULL, such as the elements of an ARRAY.
    pub(crate) part_not_null: bool,
    pub(crate) comment: Option<String>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) enum ColumnKind {
    Physical(SqlType),
    Computed(Expr),
    Metadata {
        ty: SqlType,
        key: Option<String>,
        is_virtual: bool,
    },
    /// The query's column of this name, of `CREATE TABLE (a, b) … AS SELECT`.
    OfQuery,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct WatermarkDef {
    pub(crate) column: Ident,
    pub(crate) expr: Expr,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct CreateView {
    pub(crate) name: Ident,
    pub(crate) temporary: bool,
    pub(crate) if_not_exists: bool,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Insert {
    /// `OVERWRITE` instead of `INTO`.
    pub(crate) overwrites: Option<Span>,
    pub(crate) table: Ident,
    /// `/*+ OPTIONS(…) */` behind the table's name.
    pub(crate) options: Vec<OptionDef>,
    /// `PARTITION (column = value, …)`: values that all rows have.
    pub(crate) partition: Vec<(Ident, Expr)>,
    pub(crate) columns: Vec<Ident>,
    pub(crate) query: Query,
}

//! What a program says, with the place of every part; nothing is resolved yet.

mod expr;
mod pattern;
mod query;
mod statement;

pub(crate) use self::expr::*;
pub(crate) use self::pattern::*;
pub(crate) use self::query::*;
pub(crate) use self::statement::*;
use crate::error::Span;

/// A name as written. Names of tables and columns are case-sensitive, as in Flink.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ident {
    pub(crate) text: String,
    pub(crate) span: Span,
}

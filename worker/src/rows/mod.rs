//! Rows of a result for people and programs: what is left of them after their changes, how they stand
//! in columns, how they are written.

pub(crate) mod encode;
pub(crate) mod folded;
pub(crate) mod grid;
pub(crate) mod results;

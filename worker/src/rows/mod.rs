//! Rows of a result for people: what is left of them after their changes, and how they stand in
//! columns.

pub(crate) mod folded;
pub(crate) mod grid;

//! Sources, sinks and formats.
//!
//! What enters: a [`table::Table`], which is a `CREATE TABLE` with its options. What leaves: a
//! [`weir_engine::source::Source`], or a sink's factory and committer. Every option that a
//! connector does not know, or cannot take together with another, is refused with its place,
//! the cause and the fix, all at once.
//!
//! Option names and meanings are Flink's. Deliberately absent: SQL, expressions, anything that
//! spans rows.

pub mod blackhole;
pub mod datagen;
pub mod filesystem;
pub mod formats;
pub mod kafka;
pub mod lookup;
pub mod options;
pub mod print;
pub mod reference;
pub mod registry;
pub mod table;
#[cfg(test)]
mod testing;
mod withheld;

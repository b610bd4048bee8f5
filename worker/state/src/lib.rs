//! Keyed state: canonical keys and their hashes, tables, segments. No I/O.
//!
//! ```text
//!  key columns ──► canonical hash ──► key group, subtask                      (hash)
//!              └─► KeyTable::resolve ──► dense slots                          (key_table)
//!
//!  tables:   slots ──► typed cells ── freeze ──► Frozen ── encode ──► segment (table, sorted)
//!            rows  ◄── restore ◄── the rows that count ◄── segments           (merge)
//!            fewer segments    ◄── compaction ◄───┘
//!
//!  windows:  slots ──► Chunked<T> ── freeze ──► encode ──► segment            (chunked, codec, segment)
//! ```
//!
//! What enters: Arrow columns. What leaves: slots to index state with, and at a snapshot frozen
//! columns that another thread encodes: for the tables of [`table`] into a sorted segment
//! ([`sorted`]), for windows, which have tables of their own for speed, into a
//! [`segment::Segment`].
//!
//! What always holds:
//! - The canonical encoding and its hash never change; a new one would get a new version and an
//!   offline rewrite, because stored key groups depend on it. Sorted segments have a format
//!   number, and golden bytes that must be read for ever.
//! - Keys are resolved to slots once per batch, without an allocation per row.
//! - Freezing costs O(chunks), for tables O(changed chunks): chunks are shared, and copied only
//!   when written while shared.
//!
//! Deliberately absent: removing single keys from a [`key_table::KeyTable`] (tables are dropped
//! as a whole, or rebuilt from the slots that live), and any I/O.

pub mod canonical;
pub mod chunked;
pub mod codec;
pub mod dirty;
pub mod hash;
mod index;
pub mod key_table;
pub mod merge;
pub mod packed;
pub mod segment;
pub mod sorted;
pub mod table;

/// A column type that state cannot hold.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "a column of type {0} cannot be kept in keyed state; CAST it to a number, a string, a date or time, or DECIMAL"
)]
pub struct UnsupportedType(pub arrow::datatypes::DataType);

//! Keyed state: canonical keys, key groups, columnar tables, segments.

pub mod segment;

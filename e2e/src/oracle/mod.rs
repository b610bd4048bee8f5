//! Where expected rows come from: programs that share no code with Weir.

pub mod duckdb;
pub mod expected;
pub mod flink;

//! The streaming operators, one folder or file each.

pub mod arrivals;
pub mod dedup;
mod due;
pub mod group;
mod in_order;
pub mod join;
pub mod lookup;
pub mod over;
mod passed;
pub mod pattern;
pub mod rank;
mod rows;
pub mod session;
#[cfg(test)]
mod testing;
pub mod unnest;
pub mod window;

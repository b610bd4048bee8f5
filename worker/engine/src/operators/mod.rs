//! The streaming operators, one folder or file each.

pub mod arrivals;
pub mod dedup;
pub mod group;
pub mod join;
pub mod lookup;
pub mod over;
mod passed;
pub mod rank;
mod rows;
pub mod session;
pub mod unnest;
#[cfg(test)]
mod testing;
pub mod window;

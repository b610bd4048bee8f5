//! The streaming operators, one folder or file each.

pub mod group;
pub mod rank;
mod rows;
#[cfg(test)]
mod testing;
pub mod window;

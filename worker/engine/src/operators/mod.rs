//! The streaming operators, one folder or file each.

pub mod group;
pub mod window;

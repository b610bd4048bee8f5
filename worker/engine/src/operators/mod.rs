//! The streaming operators, one folder or file each.

pub mod window;

//! Servers on loopback, started for one test and ended with it.

pub mod kafka;
pub mod proxy;
pub mod s3;

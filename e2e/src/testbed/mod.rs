//! Servers for one test, on loopback or beside a cluster, and the cluster itself; all end with it.

pub mod cluster;
pub mod kafka;
pub mod proxy;
pub mod s3;

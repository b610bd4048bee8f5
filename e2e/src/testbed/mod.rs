//! Servers for one test, on loopback or beside a cluster, and the cluster itself; all end with it.

pub mod chromium;
pub mod cluster;
pub mod kafka;
pub mod prometheus;
pub mod proxy;
pub mod s3;
pub mod tls;

use std::ffi::OsStr;
use std::process::Command;

use self::cluster::Node;

/// Where a server runs: on an address of this machine, or inside a node of the test cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    address: String,
    node: Option<Node>,
}

impl Place {
    /// Reached by this machine alone.
    #[must_use]
    pub fn loopback() -> Self {
        Self::address("127.0.0.1")
    }

    /// An address of this machine that others reach, such as that of a bridge.
    #[must_use]
    pub fn address(address: &str) -> Self {
        Self { address: address.to_owned(), node: None }
    }

    /// A node of the test cluster: reached by its pods and by this machine.
    #[must_use]
    pub fn node(node: Node) -> Self {
        Self { address: node.address(), node: Some(node) }
    }

    /// A command that runs there.
    fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.node.map_or_else(|| Command::new(&program), |node| node.command(&program))
    }
}

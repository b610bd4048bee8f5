//! Nodes as network namespaces: addresses, links, routes, and the cut between them.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::cache;

/// The end of the link to node 0 on this machine.
pub const HOST: &str = "10.250.0.1";
/// Node 0's address, with the API server on port 6443.
pub const API_SERVER: &str = "10.250.0.2";

/// A node by its number. Node 0 holds the control plane; the others hang off it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Node(pub u8);

impl Node {
    /// Its name in Kubernetes.
    #[must_use]
    pub fn name(self) -> String {
        format!("node-{}", self.0)
    }

    /// The node of that name.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(name: &str) -> Result<Self> {
        let number = name.strip_prefix("node-").and_then(|number| number.parse().ok());
        number.map(Self).with_context(|| format!("no node is called '{name}'"))
    }

    /// Its address.
    #[must_use]
    pub fn address(self) -> String {
        format!("10.250.{}.2", self.0)
    }

    /// Its network namespace, its root of control groups, and (without the dash) its link.
    pub(super) fn label(self) -> String {
        format!("weir-e2e-{}", self.0)
    }

    fn link(self) -> String {
        format!("weir-e2e{}", self.0)
    }

    /// What has to be removed with it, as `down.sh` reads it.
    pub(super) fn names(&self) -> String {
        let label = self.label();
        let link = self.link();
        format!("namespace {label}\nlink {link}\ngroup {label}\n")
    }

    /// Whatever carries the name now is not ours: nothing of ours survives `down.sh`.
    pub(super) fn refuse_to_share(self) -> Result<()> {
        let label = self.label();
        for path in ["/run/netns", "/sys/fs/cgroup/pids"].map(|p| Path::new(p).join(&label)) {
            if path.exists() {
                bail!("{} exists and is not a test cluster's: remove it", path.display());
            }
        }
        Ok(())
    }

    /// A command that runs in its network namespace. `ip netns exec` would hide the control
    /// groups from the kubelet.
    #[must_use]
    pub fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.label())).arg(program);
        command
    }

    fn ip(self, arguments: &str) -> Result<()> {
        cache::run(self.command("ip").args(arguments.split_whitespace()))?;
        Ok(())
    }

    /// Makes the namespace and its link: to this machine for node 0, else to node 0.
    pub(super) fn connect(self) -> Result<()> {
        let (label, link, number) = (self.label(), self.link(), self.0);
        host_ip(&format!("netns add {label}"))?;
        host_ip(&format!("link add {link} type veth peer name eth0 netns {label}"))?;
        if number == 0 {
            host_ip(&format!("addr add {HOST}/24 dev {link}"))?;
            host_ip(&format!("link set {link} up"))?;
        } else {
            host_ip(&format!("link set {link} netns {}", Self(0).label()))?;
            Self(0).ip(&format!("addr add 10.250.{number}.1/24 dev {link}"))?;
        }
        self.ip("link set lo up")?;
        self.ip(&format!("addr add {}/24 dev eth0", self.address()))?;
        self.ip("link set eth0 up")?;
        if number > 0 {
            self.set_connected(true)?;
        }
        self.ip(&format!("route add default via 10.250.{number}.1"))?;
        cache::run(self.command("sysctl").args(["-qw", "net.ipv4.ip_forward=1"]))?;
        Ok(())
    }

    /// Raises or cuts its link to node 0. The route to its pods goes with the link.
    pub(super) fn set_connected(self, connected: bool) -> Result<()> {
        let (link, number) = (self.link(), self.0);
        if !connected {
            return Self(0).ip(&format!("link set {link} down"));
        }
        Self(0).ip(&format!("link set {link} up"))?;
        Self(0).ip(&format!("route replace 10.244.{number}.0/24 via {}", self.address()))
    }

    pub(super) fn processes_of_container(self, id: &str) -> Result<Vec<u32>> {
        let root = Path::new("/sys/fs/cgroup/pids").join(self.label());
        let mut open = vec![root.clone()];
        while let Some(folder) = open.pop() {
            if folder.ends_with(id) {
                let text = fs::read_to_string(folder.join("cgroup.procs"))?;
                return Ok(text.lines().filter_map(|line| line.parse().ok()).collect());
            }
            for entry in fs::read_dir(&folder)?.flatten() {
                if entry.file_type()?.is_dir() {
                    open.push(entry.path());
                }
            }
        }
        bail!("container {id} has no control group below {}", root.display())
    }
}

fn host_ip(arguments: &str) -> Result<()> {
    cache::run(Command::new("ip").args(arguments.split_whitespace()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_found_by_its_name() {
        assert_eq!(Node::named(&Node(1).name()).expect("its own name"), Node(1));
        assert!(Node::named("minikube").is_err());
    }

    #[test]
    fn everything_of_a_node_is_named_before_it_is_made() {
        assert_eq!(Node(1).names(), "namespace weir-e2e-1\nlink weir-e2e1\ngroup weir-e2e-1\n");
    }
}

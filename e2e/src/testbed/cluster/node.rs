//! What runs on a node: containerd, a kubelet and a proxy, with folders and control groups of
//! their own.

use std::fs::{self, File};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::network::Node;
use super::{Tools, cache};
use crate::process::{Process, wait_for};

/// Where a kubelet listens for device plugins, whatever its `--root-dir` is. It clears the folder
/// and then binds; of two that do so at once, one finds the address in use and ends.
const DEVICE_PLUGINS: &str = "/var/lib/kubelet/device-plugins/kubelet.sock";

/// Starts a program on a node; its output goes to `log/NAME.log` of the node's folder.
pub(super) fn daemon(
    folder: &Path,
    node: Node,
    name: &str,
    program: &Path,
    arguments: &[String],
) -> Result<Process> {
    let logs = folder.join(node.0.to_string()).join("log");
    fs::create_dir_all(&logs)?;
    let log = File::create(logs.join(format!("{name}.log")))?;
    let mut command = node.command(program);
    command.args(arguments).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Process::start(&format!("{name} of {}", node.name()), &mut command)
}

impl Node {
    /// Starts the node's daemons; the kubelet joins as soon as the API server lets it.
    pub(super) fn start(self, folder: &Path, tools: &Tools) -> Result<Vec<Process>> {
        let home = folder.join(self.0.to_string());
        fs::create_dir_all(home.join("cni"))?;
        fs::create_dir_all(home.join("certs"))?;
        self.make_control_groups()?;
        let kubeconfig = folder.join("kubeconfig").display().to_string();
        let at = |path: &str| home.join(path).display().to_string();
        fs::write(at("containerd.toml"), containerd(&home.display().to_string()))?;
        fs::write(at("cni/10.conflist"), pod_network(self, &at("ipam")))?;
        fs::write(at("kubelet.yaml"), kubelet(self, &home.display().to_string()))?;
        fs::write(at("proxy.yaml"), proxy(self, &kubeconfig))?;
        let containers = daemon(
            folder,
            self,
            "containerd",
            Path::new("containerd"),
            &["-c".into(), at("containerd.toml")],
        )?;
        wait_for("containerd", Duration::from_secs(20), || {
            Ok(cache::run(self.ctr(folder).arg("version")).is_ok())
        })?;
        let kubelet = daemon(
            folder,
            self,
            "kubelet",
            &tools.kubernetes,
            &[
                "kubelet".into(),
                format!("--kubeconfig={kubeconfig}"),
                format!("--config={}", at("kubelet.yaml")),
                format!("--root-dir={}", at("kubelet")),
                format!("--cert-dir={}", at("certs")),
                format!("--node-ip={}", self.address()),
                format!("--hostname-override={}", self.name()),
            ],
        )?;
        let proxy = daemon(
            folder,
            self,
            "kube-proxy",
            &tools.kubernetes,
            &["kube-proxy".into(), format!("--config={}", at("proxy.yaml"))],
        )?;
        Ok(vec![kubelet, proxy, containers])
    }

    /// Waits until the node's kubelet has bound the address that all kubelets of a machine share,
    /// so that the next one may clear it away. A file that an ended kubelet left does not answer.
    pub(super) fn wait_for_kubelet(self) -> Result<()> {
        let wish = format!("the kubelet of {} to listen", self.name());
        wait_for(&wish, Duration::from_secs(60), || Ok(UnixStream::connect(DEVICE_PLUGINS).is_ok()))
    }

    /// Imports an image archive.
    pub(super) fn import(self, folder: &Path, archive: &Path) -> Result<()> {
        cache::run(self.ctr(folder).args(["-n", "k8s.io", "images", "import"]).arg(archive))
            .with_context(|| format!("import {} on {}", archive.display(), self.name()))?;
        Ok(())
    }

    fn ctr(self, folder: &Path) -> Command {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(folder.join(self.0.to_string()).join("containerd.sock"));
        command
    }

    /// One root a kubelet: in a common one, each would remove the other's pods.
    fn make_control_groups(self) -> Result<()> {
        for entry in fs::read_dir("/sys/fs/cgroup")? {
            let controller = entry?.path();
            // Version 2 mounts one tree without folders per controller: its root counts as one.
            if !controller.is_dir() {
                continue;
            }
            let group = controller.join(self.label());
            fs::create_dir_all(&group).with_context(|| format!("create {}", group.display()))?;
            for file in ["cpuset.cpus", "cpuset.mems"] {
                // Without them no process may enter a group of version 1.
                if let Ok(value) = fs::read_to_string(controller.join(file)) {
                    fs::write(group.join(file), value)?;
                }
            }
        }
        Ok(())
    }
}

fn containerd(home: &str) -> String {
    // Even root may lack CAP_SYS_RESOURCE: without `restrict_oom_score_adj` no sandbox would start.
    format!(
        r#"version = 2
root = "{home}/containerd"
state = "{home}/run"
[grpc]
address = "{home}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{home}/opt"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "weir.test/pause:1"
restrict_oom_score_adj = true
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{home}/cni"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{home}/runc"
"#
    )
}

fn pod_network(node: Node, addresses: &str) -> String {
    let number = node.0;
    format!(
        r#"{{"cniVersion":"0.4.0","name":"weir-e2e-pods","plugins":[
{{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
 "ipam":{{"type":"host-local","ranges":[[{{"subnet":"10.244.{number}.0/24"}}]],
 "routes":[{{"dst":"0.0.0.0/0"}}],"dataDir":"{addresses}"}}}},
{{"type":"portmap","capabilities":{{"portMappings":true}}}}]}}
"#
    )
}

fn kubelet(node: Node, home: &str) -> String {
    let label = node.label();
    format!(
        "\
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {{anonymous: {{enabled: true}}, webhook: {{enabled: false}}}}
authorization: {{mode: AlwaysAllow}}
cgroupDriver: cgroupfs
cgroupRoot: /{label}
enforceNodeAllocatable: []
failSwapOn: false
containerRuntimeEndpoint: unix://{home}/containerd.sock
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
evictionHard: {{memory.available: 100Mi}}
imageGCHighThresholdPercent: 100
podLogsDir: {home}/podlogs
volumePluginDir: {home}/volumeplugins
"
    )
}

fn proxy(node: Node, kubeconfig: &str) -> String {
    let name = node.name();
    format!(
        "\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clientConnection: {{kubeconfig: {kubeconfig}}}
clusterCIDR: 10.244.0.0/16
conntrack: {{maxPerCore: 0}}
hostnameOverride: {name}
"
    )
}

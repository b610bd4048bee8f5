//! etcd, the API server, the controllers and the scheduler, all on node 0.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::kubectl::Kubectl;
use super::network::{API_SERVER, Node};
use super::node::daemon;
use super::{Tools, cache};
use crate::process::{Process, wait_for};

const ETCD: &str = "http://127.0.0.1:2379";

pub(super) fn start(folder: &Path, tools: &Tools) -> Result<Vec<Process>> {
    let token = make_secrets(folder)?;
    let kubeconfig = folder.join("kubeconfig");
    fs::write(&kubeconfig, config(folder, &token))?;
    let at = |path: &str| folder.join(path).display().to_string();
    let etcd = [
        format!("--data-dir={}", at("etcd")),
        format!("--listen-client-urls={ETCD}"),
        format!("--advertise-client-urls={ETCD}"),
        "--listen-peer-urls=http://127.0.0.1:2380".into(),
    ];
    let api = [
        "kube-apiserver".into(),
        format!("--etcd-servers={ETCD}"),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        format!("--advertise-address={API_SERVER}"),
        format!("--tls-cert-file={}", at("certs/api.crt")),
        format!("--tls-private-key-file={}", at("certs/api.key")),
        format!("--cert-dir={}", at("certs")),
        format!("--token-auth-file={}", at("certs/tokens.csv")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", at("certs/accounts.pub")),
        format!("--service-account-signing-key-file={}", at("certs/accounts.key")),
        "--authorization-mode=Node,RBAC".into(),
        "--allow-privileged=true".into(),
        "--kubelet-preferred-address-types=InternalIP".into(),
    ];
    let controllers = [
        "kube-controller-manager".into(),
        format!("--kubeconfig={}", kubeconfig.display()),
        format!("--service-account-private-key-file={}", at("certs/accounts.key")),
        format!("--root-ca-file={}", at("certs/ca.crt")),
        "--use-service-account-credentials=true".into(),
        "--leader-elect=false".into(),
    ];
    let scheduler = [
        "kube-scheduler".into(),
        format!("--kubeconfig={}", kubeconfig.display()),
        "--leader-elect=false".into(),
    ];
    let on = |name: &str, program: &Path, arguments: &[String]| {
        daemon(folder, Node(0), name, program, arguments)
    };
    let mut daemons =
        vec![on("etcd", Path::new("etcd"), &etcd)?, on("kube-apiserver", &tools.kubernetes, &api)?];
    let kubectl = Kubectl::new(&tools.kubernetes, &kubeconfig);
    wait_for("the API server", Duration::from_secs(60), || {
        Ok(kubectl.run(&["get", "--raw", "/readyz"]).is_ok())
    })?;
    daemons.push(on("kube-controller-manager", &tools.kubernetes, &controllers)?);
    daemons.push(on("kube-scheduler", &tools.kubernetes, &scheduler)?);
    Ok(daemons)
}

/// Keys and certificates of this one cluster; returns the administrator's token.
fn make_secrets(folder: &Path) -> Result<String> {
    let certs = folder.join("certs");
    fs::create_dir_all(&certs)?;
    let openssl = |line: &str| {
        cache::run(Command::new("openssl").args(line.split_whitespace()).current_dir(&certs))
    };
    openssl("genrsa -out accounts.key 2048")?;
    openssl("rsa -in accounts.key -pubout -out accounts.pub")?;
    // An authority and a leaf: strict clients, rustls among them, take no certificate as both.
    openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 30 -subj /CN=weir-e2e",
    )?;
    openssl("req -newkey rsa:2048 -nodes -keyout api.key -out api.csr -subj /CN=kube-apiserver")?;
    let names = format!("IP:{API_SERVER},IP:10.96.0.1,DNS:kubernetes.default.svc");
    fs::write(
        certs.join("api.ext"),
        format!("basicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName={names}\n"),
    )?;
    openssl(
        "x509 -req -in api.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out api.crt -days 30 \
         -extfile api.ext",
    )?;
    let token = openssl("rand -hex 16")?.trim().to_owned();
    fs::write(certs.join("tokens.csv"), format!("{token},admin,admin,system:masters\n"))?;
    Ok(token)
}

fn config(folder: &Path, token: &str) -> String {
    let authority = folder.join("certs/ca.crt");
    let authority = authority.display();
    format!(
        "\
apiVersion: v1
kind: Config
clusters: [{{name: weir, cluster: {{server: 'https://{API_SERVER}:6443', certificate-authority: {authority}}}}}]
users: [{{name: admin, user: {{token: {token}}}}}]
contexts: [{{name: weir, context: {{cluster: weir, user: admin}}}}]
current-context: weir
"
    )
}

//! A test cluster to work with: `cargo run -p weir-e2e --bin test-cluster` brings it up with S3 and
//! the images, prints how to reach it, and takes it down at Ctrl-C.

use std::io::Read;

use anyhow::{Context, Result};
use tokio::time::Instant;
use weir_e2e::testbed::cluster::Cluster;

fn main() -> Result<()> {
    let start = Instant::now();
    let cluster = Cluster::start()?.context("WEIR_E2E_NO_CLUSTER is set")?;
    println!("up after {:.1} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    cluster.load_images()?;
    println!("images after {:.1} s", start.elapsed().as_secs_f64());
    println!("export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("it ends with this process: end of input, or Ctrl-C");
    let _ = std::io::stdin().read(&mut [0])?;
    let start = Instant::now();
    drop(cluster);
    println!("down after {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

//! `weir-operator`: the operator's process.

use std::io::IsTerminal;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use weir_operator::config::Options;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    if options.refuse_while_jobs_exist {
        let client = kube::Client::try_default().await?;
        return Ok(weir_operator::uninstall::refuse_while_jobs_exist(client, &options).await?);
    }
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().init();
    }
    weir_operator::run::run(options).await
}

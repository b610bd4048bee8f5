//! `version`: of this program, of the operator, and of what the jobs run.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};
use weir_operator::names;
use weir_page::words::on_one_line;

use crate::Output;
use crate::ask::{Cluster, name_of, namespace_of};
use crate::out::{first_line, print, print_json};

/// `version`.
#[derive(Debug, Args)]
pub(crate) struct VersionArgs {
    /// Jobs of all namespaces.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Say nothing of the cluster.
    #[arg(long)]
    client: bool,
    /// How to show it.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// An operator's Deployment.
struct Operator {
    place: String,
    image: String,
    /// As its chart says.
    version: String,
}

fn operators(cluster: &Cluster) -> anyhow::Result<Vec<Operator>> {
    let selector = format!("--selector=app.kubernetes.io/name={}", names::MANAGER);
    let found = cluster.list(&["get", "deployments.apps", "--all-namespaces", &selector])?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let operators = found.iter().map(|it| Operator {
        place: format!("{}/{}", namespace_of(it), name_of(it)),
        image: text(&it["spec"]["template"]["spec"]["containers"][0]["image"]),
        version: text(&it["metadata"]["labels"]["app.kubernetes.io/version"]),
    });
    Ok(operators.collect())
}

/// The images that jobs run, and which jobs run each.
fn images(cluster: &Cluster, all: bool) -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let selector = format!(
        "--selector=app.kubernetes.io/managed-by={},{}=worker",
        names::MANAGER,
        names::COMPONENT
    );
    let mut call = vec!["get", "pods", &selector];
    call.extend(all.then_some("--all-namespaces"));
    let mut images = BTreeMap::<String, Vec<String>>::new();
    for pod in cluster.list(&call)? {
        let containers = pod["spec"]["containers"].as_array().cloned().unwrap_or_default();
        let Some(worker) = containers.iter().find(|it| it["name"] == "worker") else { continue };
        let image = worker["image"].as_str().unwrap_or_default().to_owned();
        let job = pod["metadata"]["labels"][names::JOB].as_str().unwrap_or_default();
        let job = if all { format!("{}/{job}", namespace_of(&pod)) } else { job.to_owned() };
        let jobs = images.entry(image).or_default();
        if !jobs.contains(&job) {
            jobs.push(job);
        }
    }
    Ok(images)
}

pub(crate) fn run(cluster: &Cluster, args: &VersionArgs) -> anyhow::Result<u8> {
    let client = env!("CARGO_PKG_VERSION");
    if args.client {
        match args.output {
            Output::Text => print(&format!("client    {client}\n"))?,
            Output::Json => print_json(&json!({"client": client}))?,
        }
        return Ok(0);
    }
    let (operators, images) = (operators(cluster), images(cluster, args.all_namespaces));
    // What may not be seen is said, and the rest is shown.
    let unseen = |error: &anyhow::Error| first_line(&format!("{error:#}"), 200);
    if args.output == Output::Json {
        let operators = match &operators {
            Ok(found) => found
                .iter()
                .map(|it| json!({"deployment": it.place, "image": it.image, "version": it.version}))
                .collect(),
            Err(error) => json!({"error": unseen(error)}),
        };
        let images = match &images {
            Ok(images) => json!(images),
            Err(error) => json!({"error": unseen(error)}),
        };
        print_json(&json!({"client": client, "operators": operators, "images": images}))?;
        return Ok(0);
    }
    let mut text = format!("client    {client}\n");
    match &operators {
        Ok(found) if found.is_empty() => {
            text.push_str("operator  none is installed by its chart\n")
        }
        Ok(found) => {
            for it in found {
                let other = it.version != client && !it.version.is_empty();
                let skew = if other { "   another version than this program's" } else { "" };
                let said = format!("{}  {}  {}{skew}", it.version, it.image, it.place);
                text.push_str(&format!("operator  {}\n", on_one_line(&said)));
            }
        }
        Err(error) => text.push_str(&format!("operator  not seen: {}\n", unseen(error))),
    }
    match &images {
        Ok(images) if images.is_empty() => text.push_str("jobs      none runs here\n"),
        Ok(images) => {
            for (image, jobs) in images {
                let said = format!("{image}  {}", jobs.join(", "));
                text.push_str(&format!("jobs      {}\n", on_one_line(&said)));
            }
        }
        Err(error) => text.push_str(&format!("jobs      not seen: {}\n", unseen(error))),
    }
    print(&text)?;
    Ok(0)
}

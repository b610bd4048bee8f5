//! `weir state`: what a chain holds, read without touching it.

mod diff;
mod export;
mod parts;
mod pick;
mod place;
mod rows;
mod source;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use anyhow::{Context, bail};
use weir_checkpoint::manifest::{chain_name, version_of};
use weir_checkpoint::store::{Scoped, Store};
use weir_checkpoint::{Chain, ChainOptions, Manifest, ManifestKind};
use weir_page::words::{bytes, event_time};
use weir_protocol::{KeyGroupRange, Version};
use weir_sql::StateAsked;
use weir_state::table::rows::row_schema;

use crate::cli::{Report, StateCommand};
pub(crate) use parts::WithState;
use place::{Stored, find, open_root, split_place};

/// Runs a `weir state` command; the text is for standard output.
///
/// # Errors
/// Place, cause and fix, ready to be shown.
pub(crate) async fn run(command: &StateCommand) -> anyhow::Result<String> {
    match command {
        StateCommand::Ls { place, output } => list(place, *output).await,
        StateCommand::Show { place, version, output } => show(place, *version, *output).await,
        StateCommand::Diff { place, from, to, rows, output } => {
            diff::diff(place, *from, *to, *rows, *output).await
        }
        StateCommand::Export { place, version, operator, table, output } => {
            let (place, operator) = (place.clone(), operator.clone());
            let asked = StateAsked { place, operator, table: table.clone(), version: *version };
            export::export(&asked, output).await
        }
        StateCommand::Verify { place } => verify(place).await,
        StateCommand::Delete { place, uid } => delete(place, uid).await,
    }
}

/// The newest manifest of the job whose state is at `place`; none where nothing is stored.
///
/// # Errors
/// The place is none, or its store does not answer.
pub(crate) async fn head_of(place: &str) -> anyhow::Result<Option<Manifest>> {
    let (root, job) = split_place(place)?;
    if !root.contains("://") && !std::path::Path::new(&root).is_dir() {
        return Ok(None);
    }
    let chain = Chain::attach(open_root(&root)?, &job, ChainOptions::default());
    Ok(chain.read_head().await?)
}

async fn list(place: &str, output: Report) -> anyhow::Result<String> {
    let store = open_root(place)?;
    let names = store.list("", None).await?;
    let mut versions: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    for name in &names {
        // `<job's folder>/chain/<version>`, or `chain/<version>` when the place is a job's.
        let Some(at) = name.find("chain/") else { continue };
        if at > 0 && !name[..at].ends_with('/') {
            continue;
        }
        if let Some(version) = version_of(&name[at..]) {
            versions.entry(name[..at].trim_end_matches('/').to_owned()).or_default().push(version);
        }
    }
    if versions.is_empty() {
        bail!("{place}: no job has kept state here");
    }
    let mut manifests = Vec::new();
    for (folder, mut found) in versions {
        found.sort_unstable();
        // A job's own folder lists every version, a root only the newest of each job.
        let wanted = if folder.is_empty() { &found[..] } else { &found[found.len() - 1..] };
        for &version in wanted {
            let scoped = Scoped::new(Arc::clone(&store), &folder);
            let in_job: &dyn Store = if folder.is_empty() { store.as_ref() } else { &scoped };
            if let Some(bytes) = in_job.get(&chain_name(version)).await? {
                manifests.push(Manifest::decode(&chain_name(version), &bytes)?);
            }
        }
    }
    if output == Report::Json {
        return Ok(serde_json::to_string_pretty(&manifests)?);
    }
    let mut text = format!(
        "{:<32} {:>8} {:<11} {:>6} {:>12} {:<19} RESTORABLE\n",
        "JOB", "VERSION", "KIND", "TERM", "PARALLELISM", "WRITTEN"
    );
    for m in manifests {
        let kept: Vec<String> = m.retained.iter().map(|r| r.version.to_string()).collect();
        let kind = format!("{:?}", m.kind).to_lowercase();
        writeln!(
            text,
            "{:<32} {:>8} {:<11} {:>6} {:>12} {:<19} {}",
            m.job.to_string(),
            m.version.to_string(),
            kind,
            m.term.to_string(),
            m.assignment.parallelism,
            event_time(m.created_ms),
            kept.join(" ")
        )?;
    }
    Ok(text)
}

async fn show(place: &str, version: Option<u64>, output: Report) -> anyhow::Result<String> {
    let manifest = find(place, version).await?.manifest;
    if output == Report::Json {
        return Ok(serde_json::to_string_pretty(&manifest)?);
    }
    describe(&manifest)
}

fn describe(m: &Manifest) -> anyhow::Result<String> {
    let mut text = String::new();
    writeln!(text, "{}  version {}  {}", m.job, m.version, kind(m))?;
    if !m.weir.is_empty() {
        writeln!(text, "  written by    Weir {}", m.weir)?;
    }
    writeln!(text, "  lineage       {}", m.lineage)?;
    writeln!(
        text,
        "  term          {} (worker {} at {})",
        m.term, m.coordinator.worker, m.coordinator.address
    )?;
    writeln!(
        text,
        "  parallelism   {} of at most {}",
        m.assignment.parallelism, m.max_parallelism
    )?;
    writeln!(text, "  written       {}", event_time(m.created_ms))?;
    writeln!(text, "  state         {}", bytes(m.bytes))?;
    writeln!(text, "  uncommitted   {}", m.pending.len())?;
    for (uid, entry) in &m.operators {
        writeln!(text, "\n  {}  ({uid}, {})", entry.name, entry.kind)?;
        for (column, kind) in &entry.schema.columns {
            writeln!(text, "    {column}: {kind}")?;
        }
        if !entry.state.segments.is_empty() {
            let size: u64 = entry.state.segments.iter().map(|s| s.len).sum();
            let full = entry.state.segments.iter().filter(|s| s.is_full()).count();
            writeln!(
                text,
                "    {} segments ({full} full), {}",
                entry.state.segments.len(),
                bytes(size)
            )?;
        }
        for spec in &entry.tables {
            let stored = || entry.state.tables.iter().filter(|t| t.table == spec.name);
            let (rows, size) = stored().fold((0, 0), |(r, s), t| (r + t.rows, s + t.len));
            let (count, size) = (stored().count(), bytes(size));
            writeln!(text, "    table {spec}: {count} segments, {rows} rows and changes, {size}")?;
            let columns = row_schema(spec);
            let names: Vec<&str> = columns.fields().iter().map(|f| f.name().as_str()).collect();
            writeln!(text, "      rows of {}", names.join(", "))?;
        }
        if !entry.state.items.is_empty() {
            writeln!(text, "    {} values that are not keyed", entry.state.items.len())?;
        }
        for split in &entry.state.splits {
            writeln!(text, "    split {}", split.id)?;
        }
    }
    Ok(text)
}

fn kind(m: &Manifest) -> String {
    match m.kind {
        ManifestKind::Checkpoint => "checkpoint".to_owned(),
        ManifestKind::Seal => "seal: a coordinator took over here".to_owned(),
        ManifestKind::Void => {
            "void: it repeats the one before, as an attempt was given up or the job's output was \
             committed as it stopped"
                .to_owned()
        }
    }
}

/// Deletes a job's folder, the newest manifest last: until then the owner can be told.
async fn delete(place: &str, uid: &str) -> anyhow::Result<String> {
    let (root, job) = split_place(place)?;
    if !root.contains("://") && !std::path::Path::new(&root).is_dir() {
        return Ok(format!("{place}: nothing is stored there\n"));
    }
    let store = open_root(&root)?;
    let chain = Chain::attach(Arc::clone(&store), &job, ChainOptions::default());
    let mut deleted = 0;
    if let Some(head) = chain.read_head().await? {
        match &head.job_uid {
            Some(owner) if owner == uid => {}
            Some(owner) => bail!(
                "{place}: the state belongs to the job with uid {owner} now, not to {uid}; nothing was deleted"
            ),
            None => bail!(
                "{place}: the state was written outside of Kubernetes and belongs to no uid; nothing was deleted, remove the folder by hand"
            ),
        }
        let newest = format!("{job}/{}", chain_name(head.version));
        for name in store.list(job.as_str(), None).await?.iter().filter(|name| **name != newest) {
            store.delete(name).await?;
            deleted += 1;
        }
    }
    // What is left is the newest manifest, or what a deletion that was broken off left behind.
    for name in store.list(job.as_str(), None).await? {
        store.delete(&name).await?;
        deleted += 1;
    }
    if !store.list(job.as_str(), None).await?.is_empty() {
        bail!("{place}: something is still being written there; stop the job, then repeat this");
    }
    Ok(format!("{place}: {deleted} objects deleted\n"))
}

async fn verify(place: &str) -> anyhow::Result<String> {
    let Stored { manifest, reader, .. } = find(place, None).await?;
    let mut segments = 0;
    let mut size = 0;
    for (uid, entry) in &manifest.operators {
        let all = KeyGroupRange::all(manifest.max_parallelism);
        let whose = || format!("{place}: version {}, {} ({uid})", manifest.version, entry.name);
        let read = reader.read(&entry.state.segments, all).await.with_context(whose)?;
        segments += read.len();
        size += read.iter().map(|s| s.bytes.len() as u64).sum::<u64>();
        for references in entry.state.by_table().values() {
            segments += reader.read_table(references, all).await.with_context(whose)?.len();
            size += references.iter().map(|reference| reference.len).sum::<u64>();
        }
    }
    Ok(format!(
        "{} version {}: {segments} segments, {} read and checked; everything that it needs is there\n",
        manifest.job,
        manifest.version,
        bytes(size)
    ))
}

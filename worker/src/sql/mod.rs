//! `weir sql`: statements of Flink's SQL client, from a script, a pipe, a prompt or another program.
//!
//! ```text
//!  text ──► session (declares, tells, plans) ──► engine (runs in this process) ──► results ──► stdout
//! ```
//!
//! Rows and answers go to standard output, everything that is said about them to standard error;
//! where another program asks ([`stdio`]), all of it goes to standard output.

mod aside;
mod client;
mod engine;
mod page;
mod prompt;
mod stdio;

use std::io::{IsTerminal, Read, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use weir_connectors::print::Taker;
use weir_crds::limits;
use weir_sql::session::{DML_SYNC, PARALLELISM, Session};
use weir_sql::{PlanOptions, environment};

use crate::cli::{Format, SqlArgs};
use crate::exit;
use crate::printing::Printing;
use crate::state::WithState;
use client::{Client, Script};

/// Answers what is asked; the code is the process's.
///
/// # Errors
/// When a file cannot be read, or a job cannot be started at all.
pub(crate) async fn run(args: &SqlArgs) -> anyhow::Result<u8> {
    if args.stdio {
        return Ok(stdio::run(args.memory.as_deref()).await);
    }
    let on_screen = stdout().is_terminal();
    let format = args.format.unwrap_or(if on_screen { Format::Table } else { Format::Csv });
    let mut client = Client::new(format, on_screen, args.memory.as_deref(), args.no_color);
    // Paths of all tables, wherever they are declared, are relative to one folder.
    if let Some(path) = args.file.as_ref().or(args.init.as_ref()) {
        // A bare file name has an empty parent, which joined with a path would not be this folder.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        client.base = folder.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    }
    if let Some(path) = &args.init {
        let code = file(&mut client, path).await?;
        if code != exit::DONE {
            return Ok(client.finished(code).await);
        }
    }
    if let Some(address) = &args.page {
        let text = match (&args.file, &args.execute) {
            (Some(path), _) => text_of(path)?,
            (_, text) => text.clone().unwrap_or_default(),
        };
        let (base, folder) = (client.session.clone(), client.base.clone());
        let before = base.declared();
        let begun = page::Begun { base, before, text, folder, memory: args.memory.clone() };
        let address = Some(address.as_str()).filter(|address| !address.is_empty());
        let code = page::run(address, begun).await;
        client.ended().await;
        return code;
    }
    if let Some(path) = &args.file {
        let code = file(&mut client, path).await?;
        return Ok(client.finished(code).await);
    }
    if args.execute.is_none() && stdin().is_terminal() && stderr().is_terminal() {
        let colours = !args.no_color && std::env::var_os("NO_COLOR").is_none();
        client.is_watched();
        let code = prompt::run(&mut client, colours).await;
        client.ended().await;
        return code;
    }
    let text = match &args.execute {
        Some(text) => text.clone(),
        None => {
            let mut text = String::new();
            stdin().read_to_string(&mut text).context("standard input cannot be read as text")?;
            text
        }
    };
    let code = client.run(&Script { text: &text, file: None }).await?;
    Ok(client.finished(code).await)
}

async fn file(client: &mut Client, path: &Path) -> anyhow::Result<u8> {
    let name = path.display().to_string();
    let text = text_of(path)?;
    client.run(&Script { text: &text, file: Some(&name) }).await
}

/// What a statement can be planned with; `base` is what paths of tables are relative to.
fn options(base: PathBuf, job: String, printed: &Taker) -> PlanOptions {
    PlanOptions {
        job,
        max_parallelism: limits::DEFAULT_MAX_PARALLELISM,
        base,
        env: environment(),
        parts: Arc::new(WithState::new(Printing(printed.clone()))),
    }
}

fn parallelism(session: &Session) -> u32 {
    // It was checked when it was set.
    session.setting(PARALLELISM).and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// Whether an INSERT without an end holds up what follows it.
fn waits(session: &Session) -> bool {
    session.setting(DML_SYNC).is_some_and(|it| it.eq_ignore_ascii_case("true"))
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| {
        format!("{} cannot be read; give the path of a script of SQL", path.display())
    })
}

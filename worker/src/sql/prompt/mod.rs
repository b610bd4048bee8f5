//! The prompt: statements are typed, each is answered, until the person leaves.

mod commands;
mod editor;
mod hangup;

use std::sync::Arc;

use anyhow::Context;
use parking_lot::Mutex;
use reedline::Signal;
use weir_connectors::print::Taker;

use super::client::{Client, Script};
use crate::exit;
use commands::{Command, Said};
use editor::Mark;
use hangup::Hangup;

/// What is said at the start.
const WELCOME: &str = "statements end with ';'   Tab completes   .help tells more   Ctrl-D leaves";

/// Answers what is typed, until the person leaves.
///
/// # Errors
/// When the terminal cannot be used, or a job cannot be started at all.
pub(super) async fn run(client: &mut Client, colours: bool) -> anyhow::Result<u8> {
    eprintln!("weir {}   {WELCOME}", env!("CARGO_PKG_VERSION"));
    let scope = Arc::new(Mutex::new(client.scope()));
    let mut editor = editor::editor(Arc::clone(&scope), colours);
    let hangup = Hangup::watched();
    loop {
        // Keys are waited for on this thread: others run what was asked before.
        let typed = tokio::task::block_in_place(|| hangup.during(|| editor.read_line(&Mark)));
        let text = match typed.context("the terminal cannot be read")? {
            Signal::Success(text) => text,
            Signal::CtrlD => return Ok(exit::DONE),
            _ => continue,
        };
        match commands::read(&text) {
            Some(Ok(Command::Quit)) => return Ok(exit::DONE),
            Some(Ok(Command::Clear)) => editor.clear_screen()?,
            Some(Ok(command)) => match commands::obey(client, command) {
                Said::Nothing => {}
                Said::Text(text) => eprintln!("{text}"),
                Said::Statement(text) => drop(answer(client, text).await?),
            },
            Some(Err(why)) => eprintln!("{why}"),
            None => {
                answer(client, &text).await?;
                *scope.lock() = client.scope();
            }
        }
    }
}

async fn answer(client: &mut Client, text: &str) -> anyhow::Result<u8> {
    let code = client.run(&Script { text, file: None }).await;
    client.session.trim();
    code
}

impl Client {
    /// The names that a statement may use.
    fn scope(&self) -> weir_sql::session::Scope {
        self.session.scope(&self.options("completion/completion".to_owned(), &Taker::default()))
    }
}

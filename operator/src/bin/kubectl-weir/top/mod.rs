//! `top`: a job's operators on a terminal, drawn anew each second.

mod draw;

use std::io::IsTerminal;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use weir_operator::clock::Clock;
use weir_protocol::view::Snapshot;

use crate::JobName;
use crate::ask::Cluster;
use crate::kubectl;
use draw::Screen;

/// Between two looks.
const EACH: Duration = Duration::from_secs(1);
/// How long a key waits at most.
const KEYS: Duration = Duration::from_millis(100);

/// `top`.
#[derive(Debug, Args)]
#[command(after_help = "Keys: q quits, s sorts by what is busiest, ? shows what the columns mean.")]
pub(crate) struct TopArgs {
    #[command(flatten)]
    job: JobName,
}

pub(crate) fn run(cluster: &Cluster, args: &TopArgs) -> anyhow::Result<u8> {
    let job = args.job.job.clone();
    let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
    anyhow::ensure!(
        is_terminal,
        "top needs a terminal; `kubectl weir status {job}` prints the same once"
    );
    let way = cluster.page_of(&job, None)?;
    let first: Snapshot = way.read("/v1/snapshot")?;
    let (to, news) = mpsc::sync_channel(1);
    let cluster = cluster.clone();
    std::thread::spawn(move || {
        let mut way = Some(way);
        loop {
            std::thread::sleep(EACH);
            // Another pod may coordinate by now.
            let seen = match &way {
                Some(way) => way.read("/v1/snapshot"),
                None => cluster.page_of(&job, None).and_then(|found| {
                    let seen = found.read("/v1/snapshot");
                    way = Some(found);
                    seen
                }),
            };
            if seen.is_err() {
                way = None;
            }
            if to.send(seen).is_err() {
                return;
            }
        }
    });
    let mut terminal = ratatui::try_init().context("the terminal")?;
    kubectl::at_end(Some(ratatui::restore));
    let shown = show(&mut terminal, Screen::new(first), &news);
    kubectl::at_end(None);
    ratatui::restore();
    shown.map(|()| 0)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    mut screen: Screen,
    news: &Receiver<anyhow::Result<Snapshot>>,
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let mut seen = clock.elapsed();
    loop {
        match news.try_recv() {
            Ok(Ok(snapshot)) => {
                screen.push(snapshot);
                seen = clock.elapsed();
            }
            Ok(Err(why)) => screen.silent = Some(format!("{why:#}")),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => anyhow::bail!("nobody looks at the job any more"),
        }
        screen.age = clock.elapsed().saturating_sub(seen);
        terminal.draw(|frame| draw::draw(frame, &screen))?;
        if !event::poll(KEYS)? {
            continue;
        }
        let Event::Key(key) = event::read()? else { continue };
        if key.kind != KeyEventKind::Press {
            continue;
        }
        let stop = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if stop => return Ok(()),
            KeyCode::Char('q') | KeyCode::Esc => return Ok(()),
            KeyCode::Char('?') | KeyCode::Char('h') => screen.help = !screen.help,
            KeyCode::Char('s') => screen.busiest = !screen.busiest,
            _ => {}
        }
    }
}

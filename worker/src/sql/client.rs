//! Answers statements: what was declared is kept, lists are shown, jobs are run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use tokio::signal::unix::{SignalKind, signal};
use weir_connectors::print::Taker;
use weir_engine::env::instant;
use weir_engine::veil;
use weir_sql::session::{Answer, Entry, Outcome, RESULT_MODE, Session, Shown};
use weir_sql::{PlanOptions, Planned, SqlError};

use super::aside::Asides;
use super::engine::{Ended, Engine};
use super::{options, parallelism, waits};
use crate::cli::Format;
use crate::exit;
use crate::rows::encode::Encoder;
use crate::rows::results::{Look, Results, count, write_out};
use crate::run::screen::Screen;
use crate::run::{Above, terminal};

/// Rows of a result that a screen shows.
const ON_SCREEN: usize = 1_000;

/// A session and what its answers look like.
pub(super) struct Client {
    pub(super) session: Session,
    engine: Engine,
    /// Paths of tables are relative to it.
    pub(super) base: PathBuf,
    pub(super) format: Format,
    /// Standard output is a terminal.
    pub(super) on_screen: bool,
    /// Say how long each statement took.
    pub(super) timer: bool,
    screen: Screen,
    /// Statements are of a script: jobs without an end do not hold the others up.
    is_script: bool,
    asides: Asides,
}

/// A text of statements.
pub(super) struct Script<'a> {
    pub(super) text: &'a str,
    /// The file that it comes from.
    pub(super) file: Option<&'a str>,
}

impl Client {
    pub(super) fn new(format: Format, on_screen: bool, memory: Option<&str>, plain: bool) -> Self {
        Self {
            session: Session::new(),
            engine: Engine::new(memory),
            base: PathBuf::from("."),
            format,
            on_screen,
            timer: false,
            screen: Screen::new(plain),
            is_script: true,
            asides: Asides::default(),
        }
    }

    /// Statements are typed from here on, by somebody who watches each.
    pub(super) fn is_watched(&mut self) {
        self.is_script = false;
    }

    /// Waits for what goes on beside the script that has ended with `code`.
    pub(super) async fn finished(&mut self, code: u8) -> u8 {
        self.asides.finished(code, &mut self.screen).await
    }

    /// Ends what goes on beside.
    pub(super) async fn ended(&mut self) {
        self.asides.stopped(&mut self.screen).await;
    }

    /// Answers every statement of a script; nothing is run if one of them cannot mean anything. The
    /// code is the process's: the first statement that fails ends the script.
    ///
    /// # Errors
    /// When a job cannot be started at all.
    pub(super) async fn run(&mut self, script: &Script<'_>) -> anyhow::Result<u8> {
        let options = self.options(String::new(), &Taker::default());
        let entries = match self.session.read_checked(script.text, &options) {
            Ok(entries) => entries,
            Err(errors) => return Ok(self.refuse(&errors, script.file)),
        };
        // Ctrl-C ends a job, or the script between two of them.
        let mut interrupts = self.is_script.then(|| signal(SignalKind::interrupt())).transpose()?;
        for entry in &entries {
            let Some(code) = self.answer(entry, script.file).await? else { break };
            if code != exit::DONE {
                return Ok(code);
            }
            let came = interrupts.as_mut().and_then(|all| all.recv().now_or_never());
            if came.is_some() {
                return Ok(exit::INTERRUPTED);
            }
        }
        Ok(exit::DONE)
    }

    /// What a statement can be planned with.
    pub(super) fn options(&self, job: String, printed: &Taker) -> PlanOptions {
        options(self.base.clone(), job, printed)
    }

    fn refuse(&mut self, errors: &[SqlError], file: Option<&str>) -> u8 {
        self.screen.say(&self.session.render(errors, file));
        exit::REFUSED
    }

    /// Answers one statement; nothing where it is the last.
    async fn answer(&mut self, entry: &Entry, file: Option<&str>) -> anyhow::Result<Option<u8>> {
        let began = instant();
        let job = self.engine.next_job();
        let printed = Taker::default();
        let options = self.options(job.clone(), &printed);
        let answered = match self.session.answer(entry, &options) {
            Ok(answered) => answered,
            Err(errors) => return Ok(Some(self.refuse(&errors, file))),
        };
        for warning in &answered.warnings {
            let warning = self.session.render_warning(warning, file);
            self.screen.say(&format!("warning: {warning}"));
        }
        match answered.outcome {
            Outcome::Done(what) => self.screen.say(&what),
            Outcome::Text(text) => self.text(&text),
            Outcome::Answer(answer) => self.list(answer),
            Outcome::Query(planned, shown) => {
                return self.query(&job, *planned, &shown, &printed, began).await.map(Some);
            }
            Outcome::Insert(planned) => {
                return self.insert(&job, *planned, &printed, began).await.map(Some);
            }
            Outcome::Nothing => {}
            Outcome::Quit => return Ok(None),
        }
        if self.timer {
            self.screen.say(&took(began));
        }
        Ok(Some(exit::DONE))
    }

    fn text(&self, text: &str) {
        write_out(&format!("{}\n", veil::hide(text).trim_end()));
    }

    /// A list that was asked for, as rows of a query.
    fn list(&self, answer: Answer) {
        let encoder = Encoder { format: self.format, changes: false };
        let results = Results::new(self.look(encoder, false), answer.columns.iter().cloned());
        results.write(encoder.texts(&answer.columns, &answer.rows));
        results.finish();
    }

    fn look(&self, encoder: Encoder, at_end: bool) -> Look {
        let screen = self.on_screen.then(|| terminal::size().0);
        let most = if self.on_screen { ON_SCREEN } else { usize::MAX };
        Look { encoder, at_end, live: false, screen, most }
    }

    /// Shows the rows of a query. Ctrl-C is how one ends that has no end.
    async fn query(
        &mut self,
        job: &str,
        planned: Planned,
        shown: &Shown,
        printed: &Taker,
        began: Instant,
    ) -> anyhow::Result<u8> {
        let mode = self.session.setting(RESULT_MODE).unwrap_or("table");
        let changelog = mode == "changelog";
        // A person can look at what is there so far.
        let live = shown.is_corrected
            && self.on_screen
            && self.screen.is_live()
            && self.format == Format::Table
            && mode == "table";
        let at_end = shown.is_corrected && !changelog && (planned.bounded || live);
        let changes = changelog || shown.is_corrected && !at_end;
        let encoder = Encoder { format: self.format, changes };
        let mut look = Look { live, ..self.look(encoder, at_end) };
        if !planned.bounded && !live {
            look.most = usize::MAX;
        }
        let results = Arc::new(Results::of_query(look, shown));
        printed.set(results.clone());
        let parallelism = parallelism(&self.session);
        let running = self.engine.start(job, planned, parallelism, false)?;
        let ended = running.watched(Some(&results), &mut self.screen).await;
        let rows = match ended {
            Ended::Failed(why) => {
                self.screen.say(&why);
                return Ok(exit::FAILED);
            }
            Ended::Unread => return Ok(exit::INTERRUPTED),
            Ended::Finished(_) | Ended::Stopped | Ended::LeftOff => results.finish(),
        };
        let is_whole = matches!(ended, Ended::Finished(_));
        if self.on_screen || self.timer {
            let until = if is_whole { "in" } else { "until it was interrupted after" };
            self.screen.say(&format!("{} {until} {}", count(rows as u64), took(began)));
        }
        Ok(if is_whole { exit::DONE } else { exit::INTERRUPTED })
    }

    async fn insert(
        &mut self,
        job: &str,
        planned: Planned,
        printed: &Taker,
        began: Instant,
    ) -> anyhow::Result<u8> {
        if self.on_screen {
            // Tables of the connector 'print' share the screen with the progress line.
            printed.set(Arc::new(Above));
        }
        let parallelism = parallelism(&self.session);
        let goes_on = !planned.bounded && self.is_script && !waits(&self.session);
        let running = self.engine.start(job, planned, parallelism, true)?;
        if goes_on {
            self.asides.add(running, began, &mut self.screen);
            return Ok(exit::DONE);
        }
        let ended = running.watched(None, &mut self.screen).await;
        if matches!(ended, Ended::Unread) {
            return Ok(exit::INTERRUPTED);
        }
        let (what, code) = told(ended, &took(began));
        self.screen.say(&what);
        Ok(code)
    }
}

/// What is said of a job that writes and has ended, and the process's code.
pub(super) fn told(ended: Ended, took: &str) -> (String, u8) {
    match ended {
        Ended::Failed(why) => (why, exit::FAILED),
        Ended::Finished(rows) => (format!("{} written in {took}", count(rows)), exit::DONE),
        Ended::Stopped => (
            format!("interrupted after {took}; what was read until then is written"),
            exit::INTERRUPTED,
        ),
        Ended::LeftOff | Ended::Unread => (
            format!("interrupted after {took}; what was read until the last checkpoint is written"),
            exit::INTERRUPTED,
        ),
    }
}

pub(super) fn took(began: Instant) -> String {
    format!("{:.2} s", (instant() - began).as_secs_f64())
}

//! `weir sql --stdio`: another program asks, such as a notebook. Requests come on standard input,
//! answers leave on standard output, each as JSON on one line.
//!
//! ```text
//! ◄ {"event":"hello","protocol":1,"weir":"0.1.0"}
//! ► {"run":{"sql":"CREATE TABLE t …; SELECT a FROM t;","limit":2}}
//! ◄ {"event":"said","text":"table \"t\" is declared"}
//! ◄ {"event":"done","ended":"finished","rows":0,"seconds":0.001}
//! ◄ {"event":"columns","columns":[{"name":"a","type":"INT"}],"bounded":true,"corrected":false}
//! ◄ {"event":"rows","rows":[[1],[2]]}
//! ◄ {"event":"done","ended":"limit","rows":2,"seconds":0.1}
//! ◄ {"event":"end","code":0}
//! ```
//!
//! Each statement of a request closes with `done`, the request itself with `end`, whose code is the
//! one that `weir sql` would end with ([`crate::exit`]); the session goes on whatever it is.
//!
//! | request | asks for |
//! |---|---|
//! | `{"run":{"sql":…}}` | the answers of statements, of which none is run if one cannot mean anything. `"limit":N` ends a query once it has N rows, `"seconds":S` whatever has not ended by then; `"live":true` shows rows of a query that ends before it does, `"shown":N` so many |
//! | `"interrupt"` | the end of what runs, as Ctrl-C; nothing where nothing runs |
//! | `{"complete":{"before":…,"after":…}}` | what could stand between two texts |
//!
//! | event | tells |
//! |---|---|
//! | `said`, `warning`, `error` | what the prompt would say; an `error` is the last before `end` |
//! | `text`, `printed` | what EXPLAIN, SHOW CREATE and HELP answer; lines of a table of connector `print` |
//! | `columns` | a result begins: names and types, whether it has an end, whether its rows are corrected |
//! | `rows` | rows that stay, as arrays in the order of columns |
//! | `table` | `rows` as they are now, of `total`: instead of what the last one showed. Of a result that is corrected the first ones, else the newest |
//! | `progress` | the line that the prompt draws below |
//! | `completions` | `candidates`, and the character of `before` where what they replace begins |
//!
//! All rows of a result have come as `rows` by its `done`. That says whether it has ended by itself
//! (`finished`), by `limit` (then there may be more) or because it was `interrupted`. A result that has
//! no end and no limit keeps its newest rows, one that is corrected the first up to its limit; `rows` of
//! `done` counts them all.
//!
//! A program waits for `end` before it asks again. The end of standard input ends what runs, and the
//! process.

mod events;
mod inbox;
mod rows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weir_connectors::print::Taker;
use weir_engine::env::instant;
use weir_sql::Planned;
use weir_sql::session::{Entry, Outcome, RESULT_MODE, Session, Shown};

use super::client::{told, took};
use super::engine::{Ended, Engine};
use super::{options, parallelism};
use crate::exit;
pub(super) use inbox::Inbox;

use events::{Candidate, Column, Event, Printed, tell};
use inbox::{Asked, Complete, Run};
use rows::{Closing, Look, Rows};

/// What a program may expect.
const PROTOCOL: u32 = 1;
/// From one line of progress to the next.
const PROGRESS: Duration = Duration::from_millis(500);

/// Answers requests until standard input ends; the code is the process's.
pub(super) async fn run(memory: Option<&str>) -> u8 {
    let mut driver = Driver {
        // Whole, since '..' of a path leads above nothing where its start is not known.
        base: std::env::current_dir().unwrap_or_else(|_| PathBuf::from(".")),
        session: Session::new(),
        engine: Engine::new(memory),
        inbox: Inbox::open(),
    };
    tell(&Event::Hello { protocol: PROTOCOL, weir: env!("CARGO_PKG_VERSION") });
    while let Some(asked) = driver.inbox.next().await {
        match asked {
            Asked::Run(run) => {
                let code = driver.run(&run).await;
                driver.session.trim();
                tell(&Event::End { code });
            }
            Asked::Complete(text) => driver.complete(&text),
            // Nothing runs any more.
            Asked::Interrupt => {}
            Asked::Unreadable(why) => {
                events::error(&why);
                tell(&Event::End { code: exit::REFUSED });
            }
        }
    }
    exit::DONE
}

struct Driver {
    /// Paths of tables are relative to it.
    base: PathBuf,
    session: Session,
    engine: Engine,
    inbox: Inbox,
}

/// How often, and how long, what runs is followed.
struct Following {
    began: Instant,
    until: Option<Duration>,
    told: Instant,
    /// It was ended since it has given, or has taken, enough.
    enough: bool,
}

impl Following {
    fn new(began: Instant, run: &Run) -> Self {
        let until = run.seconds.map(|s| Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX));
        Self { began, until, told: began, enough: false }
    }

    /// Tells how far it is; whether that is enough.
    fn tick(&mut self, line: &str, is_full: bool) -> bool {
        let now = instant();
        if now - self.told >= PROGRESS {
            self.told = now;
            tell(&Event::Progress { text: line.trim().into() });
        }
        self.enough = is_full || self.until.is_some_and(|until| now - self.began >= until);
        self.enough
    }
}

impl Driver {
    fn options(&self, job: String, printed: &Taker) -> weir_sql::PlanOptions {
        options(self.base.clone(), job, printed)
    }

    async fn run(&mut self, run: &Run) -> u8 {
        let options = self.options(String::new(), &Taker::default());
        let entries = match self.session.read_checked(&run.sql, &options) {
            Ok(entries) => entries,
            Err(errors) => {
                events::error(&self.session.render(&errors, None));
                return exit::REFUSED;
            }
        };
        for entry in &entries {
            match self.answer(entry, run).await {
                Ok(Some(exit::DONE)) => {}
                Ok(Some(code)) => return code,
                Ok(None) => break,
                Err(error) => {
                    events::error(&format!("{error:#}"));
                    return exit::FAILED;
                }
            }
        }
        exit::DONE
    }

    /// Answers one statement; nothing where it is the last that is asked.
    async fn answer(&mut self, entry: &Entry, run: &Run) -> anyhow::Result<Option<u8>> {
        let began = instant();
        let job = self.engine.next_job();
        let printed = Taker::default();
        let options = self.options(job.clone(), &printed);
        let answered = match self.session.answer(entry, &options) {
            Ok(answered) => answered,
            Err(errors) => {
                events::error(&self.session.render(&errors, None));
                return Ok(Some(exit::REFUSED));
            }
        };
        for warning in &answered.warnings {
            let text = self.session.render_warning(warning, None);
            tell(&Event::Warning { text: weir_engine::veil::hide(&text) });
        }
        let mut rows = 0;
        match answered.outcome {
            Outcome::Done(what) => events::said(&what),
            Outcome::Text(text) => {
                tell(&Event::Text { text: weir_engine::veil::hide(text.trim_end()) });
            }
            Outcome::Answer(answer) => {
                let columns = answer.columns.iter().map(|name| Column { name, of: "STRING" });
                let (bounded, corrected) = (true, false);
                tell(&Event::Columns { columns: columns.collect(), bounded, corrected });
                rows::texts(&answer.rows);
                rows = answer.rows.len() as u64;
            }
            Outcome::Query(planned, shown) => {
                return self.query(&job, *planned, &shown, &printed, run, began).await.map(Some);
            }
            Outcome::Insert(planned) => {
                return self.insert(&job, *planned, &printed, run, began).await.map(Some);
            }
            Outcome::Nothing => {}
            Outcome::Quit => return Ok(None),
        }
        done("finished", rows, began);
        Ok(Some(exit::DONE))
    }

    async fn query(
        &mut self,
        job: &str,
        planned: Planned,
        shown: &Shown,
        printed: &Taker,
        run: &Run,
        began: Instant,
    ) -> anyhow::Result<u8> {
        let changes = self.session.setting(RESULT_MODE) == Some("changelog");
        let bounded = planned.bounded;
        let look = Look {
            changes,
            corrected: shown.is_corrected && !changes,
            bounded,
            live: run.live || !bounded,
            limit: run.limit,
            shown: run.shown,
        };
        let change = changes.then_some(Column { name: "op", of: "STRING" });
        let columns = shown.columns.iter().map(|(name, of)| Column { name, of });
        let columns = change.into_iter().chain(columns).collect();
        tell(&Event::Columns { columns, bounded, corrected: look.corrected });
        let rows = Arc::new(Rows::new(look));
        printed.set(rows.clone());
        let closing = Closing(&rows);
        let parallelism = parallelism(&self.session);
        let running = self.engine.start(job, planned, parallelism, false)?;
        let mut following = Following::new(began, run);
        let tick = |line: &str| {
            rows.tick();
            following.tick(line, rows.is_full())
        };
        let ended = running.asked(&mut self.inbox, tick).await;
        let is_whole = match ended {
            Ended::Failed(why) => {
                events::error(&why);
                return Ok(exit::FAILED);
            }
            Ended::Unread => return Ok(exit::INTERRUPTED),
            Ended::Finished(_) => true,
            Ended::Stopped | Ended::LeftOff => false,
        };
        let (total, is_cut) = rows.finish();
        drop(closing);
        let (how, code) = match (is_whole, following.enough) {
            (true, _) if is_cut => ("limit", exit::DONE),
            (true, _) => ("finished", exit::DONE),
            (false, true) => ("limit", exit::DONE),
            (false, false) => ("interrupted", exit::INTERRUPTED),
        };
        done(how, total, began);
        Ok(code)
    }

    async fn insert(
        &mut self,
        job: &str,
        planned: Planned,
        printed: &Taker,
        run: &Run,
        began: Instant,
    ) -> anyhow::Result<u8> {
        printed.set(Arc::new(Printed));
        let parallelism = parallelism(&self.session);
        let running = self.engine.start(job, planned, parallelism, true)?;
        let mut following = Following::new(began, run);
        let tick = |line: &str| following.tick(line, false);
        let ended = running.asked(&mut self.inbox, tick).await;
        if matches!(ended, Ended::Unread) {
            return Ok(exit::INTERRUPTED);
        }
        let written = if let Ended::Finished(rows) = ended { rows } else { 0 };
        let (what, code) = told(ended, &took(began));
        if code == exit::FAILED {
            events::error(&what);
            return Ok(code);
        }
        events::said(&what);
        let (how, code) = match code {
            exit::DONE => ("finished", code),
            _ if following.enough => ("limit", exit::DONE),
            _ => ("interrupted", code),
        };
        done(how, written, began);
        Ok(code)
    }

    fn complete(&self, text: &Complete) {
        let options = self.options("completion/completion".to_owned(), &Taker::default());
        let scope = self.session.scope(&options);
        let found = scope.complete(&text.before, &text.after);
        let start = text.before.get(..found.start).map_or(0, |before| before.chars().count());
        let candidates = found.candidates.iter();
        let candidates = candidates.map(|found| Candidate { text: &found.text, what: found.what });
        tell(&Event::Completions { start, candidates: candidates.collect() });
    }
}

fn done(ended: &str, rows: u64, began: Instant) {
    let seconds = (instant() - began).as_secs_f64();
    tell(&Event::Done { ended, rows, seconds });
}

//! `weir sql --page`: the SQL page, served by the process that runs what is asked there. What a page
//! has to bring along to be answered stands in [`weir_page::sql`].
//!
//! Each text is a session of its own behind what the process was started with (`--init`): what stands
//! in the editor is all that holds, so that what is checked, what is run and what becomes a manifest
//! are the same.
//!
//! Bounds: [`MAX_RUNS`] runs go on at once; each keeps so many rows and changes of a statement
//! (`feed`); a run whose page was closed ends, and its results are forgotten (`runs`).

mod feed;
mod manifest;
mod offsets;
mod runs;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context;
use futures::stream::{self, BoxStream, StreamExt};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::time::{MissedTickBehavior, interval};
use weir_connectors::print::Taker;
use weir_engine::veil;
use weir_page::sql::view::{
    CandidateView, Checked, ColumnView, Completed, Diagnostic, ManifestAsked, Refused, RunAsked,
    RunState, StatementView, TableView, Update, Words,
};
use weir_page::sql::{SqlPage, Workbench, serve};
use weir_sql::session::{Entry, Kind, Session, statement_at_end};
use weir_sql::{PlanOptions, Planned, Span, SqlError};

use super::engine::{Engine, Running};
use super::options;
use crate::{exit, monitor};
use offsets::{Offsets, units};
use runs::{ABANDONED, Asked, Looking, Run, Statement, go, kind};

/// Runs that go on at once.
const MAX_RUNS: usize = 4;
/// Runs that are over and can still be looked at.
const MAX_ENDED: usize = 8;
/// How often a page hears of what has happened.
const EVERY: Duration = Duration::from_millis(200);
/// The name under which texts are planned that are not run.
const DRAFT: &str = "draft/draft";

/// What a page works with.
pub(super) struct Bench {
    /// What holds in front of every text.
    base: Session,
    /// The same as a text.
    before: String,
    /// Paths of tables are relative to it.
    folder: PathBuf,
    engine: Mutex<Engine>,
    runs: Mutex<Vec<Arc<Run>>>,
    /// Nothing begins any more; changed and read while `runs` is held.
    ends: AtomicBool,
    host: Handle,
    /// Nobody may look at a run for so long.
    patience: Duration,
    this: Weak<Self>,
}

/// What a page begins with.
pub(super) struct Begun {
    /// What holds in front of every text, as a session and as it was written.
    pub(super) base: Session,
    pub(super) before: String,
    /// The editor's text.
    pub(super) text: String,
    pub(super) folder: PathBuf,
    pub(super) memory: Option<String>,
}

/// Serves the page until Ctrl-C; the code is the process's.
///
/// # Errors
/// When it cannot listen at the address that was asked for.
pub(super) async fn run(address: Option<&str>, begun: Begun) -> anyhow::Result<u8> {
    let listener = monitor::listen(address).await.with_context(|| {
        format!("--page {}: the page cannot listen there", address.unwrap_or_default())
    })?;
    let at = listener.local_addr()?;
    let token = uuid::Uuid::new_v4().simple().to_string();
    let folder = std::path::absolute(&begun.folder).unwrap_or_else(|_| begun.folder.clone());
    let text = begun.text.clone();
    let bench = Bench::new(begun, ABANDONED);
    let workbench = Arc::clone(&bench) as Arc<dyn Workbench>;
    let page = SqlPage::new(workbench, token.clone(), text, folder.display().to_string());
    eprintln!(
        "page http://{at}/sql#token={token}\n\
         whoever has this address runs SQL as you do; Ctrl-C ends the page and what runs there"
    );
    tokio::select! {
        served = serve(listener, Arc::new(page)) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    bench.end().await;
    Ok(exit::DONE)
}

impl Bench {
    fn new(begun: Begun, patience: Duration) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            base: begun.base,
            before: begun.before,
            folder: begun.folder,
            engine: Mutex::new(Engine::new(begun.memory.as_deref())),
            runs: Mutex::default(),
            ends: AtomicBool::new(false),
            host: Handle::current(),
            patience,
            this: Weak::clone(this),
        })
    }

    fn options(&self, job: String, printed: &Taker) -> PlanOptions {
        options(self.folder.clone(), job, printed)
    }

    fn drafting(&self) -> PlanOptions {
        self.options(DRAFT.to_owned(), &Taker::default())
    }

    fn next_job(&self) -> String {
        self.engine.lock().next_job()
    }

    fn start(
        &self,
        job: &str,
        planned: Planned,
        parallelism: u32,
        writes: bool,
    ) -> anyhow::Result<Running> {
        self.engine.lock().start(job, planned, parallelism, writes)
    }

    fn find(&self, name: &str) -> Option<Arc<Run>> {
        self.runs.lock().iter().find(|run| run.name == name).cloned()
    }

    /// Ends all runs.
    async fn end(&self) {
        let runs = {
            let runs = self.runs.lock();
            self.ends.store(true, Ordering::Relaxed);
            runs.clone()
        };
        runs.iter().for_each(|run| run.stop());
        while runs.iter().any(|run| !run.has_ended()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Connections that are still open hold this one, and so its engine.
        self.engine.lock().clear();
    }

    /// What is wrong, where it stands in the editor.
    fn diagnostics(
        session: &Session,
        errors: &[SqlError],
        offsets: &Offsets<'_>,
    ) -> Vec<Diagnostic> {
        let each = errors.iter().map(|error| {
            let (from, to) = stretch(session, error.span, offsets);
            let message = veil::hide(&error.message).into_owned();
            Diagnostic { from, to, severity: "error", message }
        });
        each.collect()
    }

    /// The statements that are asked for, with the declarations that hold for them.
    fn chosen(
        session: &Session,
        entries: Vec<Entry>,
        only: Option<(usize, usize)>,
        offsets: &Offsets<'_>,
    ) -> Vec<Entry> {
        let Some((first, last)) = only else { return entries };
        let stretches: Vec<(usize, usize)> =
            entries.iter().map(|entry| stretch(session, entry.span(), offsets)).collect();
        let touches = |(from, to): (usize, usize)| from <= last && to >= first;
        let mut wanted: Vec<bool> = stretches.iter().map(|at| touches(*at)).collect();
        // A cursor between two is in front of the second.
        if first == last
            && let Some(at) = wanted.iter().rposition(|wanted| *wanted)
        {
            wanted[..at].fill(false);
        }
        let Some(end) = wanted.iter().rposition(|wanted| *wanted) else { return Vec::new() };
        let each = entries.into_iter().zip(wanted).take(end + 1);
        let kept = each.filter(|(entry, wanted)| *wanted || entry.kind() == Kind::Declares);
        kept.map(|(entry, _)| entry).collect()
    }
}

fn stretch(session: &Session, span: Span, offsets: &Offsets<'_>) -> (usize, usize) {
    session.in_last(span).map_or((0, 0), |span| offsets.stretch(span))
}

impl Workbench for Bench {
    fn words(&self) -> Words {
        let (keywords, functions) = weir_sql::session::words();
        Words { keywords, functions }
    }

    fn check(&self, text: &str) -> Checked {
        let mut session = self.base.clone();
        let options = self.drafting();
        let draft = session.draft(text, &options);
        let offsets = Offsets::of(text);
        let mut diagnostics = Self::diagnostics(&session, &draft.errors, &offsets);
        diagnostics.extend(draft.warnings.iter().map(|warning| {
            let (from, to) = stretch(&session, warning.span, &offsets);
            let message = veil::hide(&warning.message).into_owned();
            Diagnostic { from, to, severity: "warning", message }
        }));
        let statements = draft.statements.into_iter().map(|drafted| {
            let (from, to) = stretch(&session, drafted.span, &offsets);
            let plan = drafted.planned.as_ref();
            let text = plan.map(|planned| weir_sql::explain::text(&planned.graph));
            let columns = drafted.shown.map(|shown| shown.columns).unwrap_or_default();
            StatementView {
                from,
                to,
                kind: kind(drafted.kind),
                schema: columns.into_iter().map(|(name, ty)| ColumnView { name, ty }).collect(),
                plan: text.map(|text| veil::hide(&text).into_owned()).unwrap_or_default(),
                bounded: plan.is_some_and(|planned| planned.bounded),
            }
        });
        let scope = self.base.scope_behind(text, &options);
        let tables = scope.tables.into_iter().map(|(name, columns)| TableView { name, columns });
        Checked { diagnostics, statements: statements.collect(), tables: tables.collect() }
    }

    fn complete(&self, text: &str, offset: usize) -> Completed {
        let at = Offsets::of(text).byte(offset);
        let (before, behind) = text.split_at(at);
        let begins = statement_at_end(before);
        let scope = self.base.scope_behind(&before[..begins], &self.drafting());
        let statement = &before[begins..];
        // What follows in the statement names tables, too.
        let rest = behind.split(';').next().unwrap_or_default();
        let completion = scope.complete(statement, rest);
        let candidates = completion.candidates.into_iter();
        let candidates: Vec<CandidateView> =
            candidates.map(|c| CandidateView { text: c.text, what: c.what }).collect();
        let from = units(&before[..begins + completion.start]);
        let mut to = units(before);
        // An editor has written the quote already that ends a text.
        let ends_quoted = candidates.first().is_some_and(|first| first.text.ends_with('\''));
        if ends_quoted && behind.starts_with('\'') {
            to += 1;
        }
        Completed { from, to, candidates }
    }

    fn manifest(&self, asked: &ManifestAsked) -> Result<String, Vec<Diagnostic>> {
        manifest::manifest(asked, &self.before, |job| self.options(job, &Taker::default()))
    }

    fn run(&self, asked: &RunAsked) -> Result<String, Refused> {
        let mut session = self.base.clone();
        let offsets = Offsets::of(&asked.text);
        let (entries, errors) = session.read_draft(&asked.text);
        let wrong = |session: &Session, errors: &[SqlError]| {
            Refused::Wrong(Self::diagnostics(session, errors, &offsets))
        };
        if asked.only.is_none() && !errors.is_empty() {
            return Err(wrong(&session, &errors));
        }
        let entries = Self::chosen(&session, entries, asked.only, &offsets);
        if entries.is_empty() {
            if !errors.is_empty() {
                return Err(wrong(&session, &errors));
            }
            let from = asked.only.map_or(0, |(from, _)| from);
            let message = "there is no statement here; a statement ends with ';'".to_owned();
            let none = Diagnostic { from, to: from, severity: "error", message };
            return Err(Refused::Wrong(vec![none]));
        }
        session.check(&entries, &self.drafting()).map_err(|errors| wrong(&session, &errors))?;
        let statements = entries.iter().map(|entry| {
            let (from, to) = stretch(&session, entry.span(), &offsets);
            Statement::new(entry, &asked.text[offsets.byte(from)..offsets.byte(to)])
        });
        let name = uuid::Uuid::new_v4().simple().to_string();
        let run = Arc::new(Run::new(name.clone(), statements.collect(), self.patience));
        let mut runs = self.runs.lock();
        if self.ends.load(Ordering::Relaxed) {
            return Err(Refused::Busy("the page ends".to_owned()));
        }
        runs.retain(|run| !run.is_forgotten());
        if runs.iter().filter(|run| !run.has_ended()).count() >= MAX_RUNS {
            return Err(Refused::Busy(format!(
                "{MAX_RUNS} runs go on already; stop one, or close its page and wait half a minute"
            )));
        }
        let ended = runs.iter().filter(|run| run.has_ended()).count();
        if ended >= MAX_ENDED
            && let Some(oldest) = runs.iter().position(|run| run.has_ended())
        {
            runs.remove(oldest);
        }
        runs.push(Arc::clone(&run));
        drop(runs);
        let asked = entries.into_iter().enumerate();
        let asked = asked.map(|(number, entry)| Asked { entry, number }).collect();
        // It lives for as long as somebody asks it.
        if let Some(bench) = self.this.upgrade() {
            self.host.spawn(go(bench, run, session, asked));
        }
        Ok(name)
    }

    fn stop(&self, run: &str) -> bool {
        self.find(run).map(|run| run.stop()).is_some()
    }

    fn follow(&self, run: &str) -> Option<BoxStream<'static, Update>> {
        let looking = Looking::at(self.find(run)?);
        let mut due = interval(EVERY);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let following = Following {
            numbers: vec![None; looking.0.statements.len()],
            looking,
            due,
            queue: VecDeque::new(),
            said: None,
        };
        let updates = stream::unfold(following, |mut following| async move {
            let update = following.next().await?;
            Some((update, following))
        });
        Some(updates.boxed())
    }
}

/// Somebody who follows a run.
struct Following {
    looking: Looking,
    due: tokio::time::Interval,
    /// By statement, the last change that was told.
    numbers: Vec<Option<u64>>,
    queue: VecDeque<Update>,
    said: Option<RunState>,
}

impl Following {
    async fn next(&mut self) -> Option<Update> {
        loop {
            if let Some(update) = self.queue.pop_front() {
                return Some(update);
            }
            if self.said.as_ref().is_some_and(|said| said.ended) {
                return None;
            }
            self.due.tick().await;
            self.look();
        }
    }

    /// Columns come before their rows, and the end behind all of them.
    fn look(&mut self) {
        let run = Arc::clone(&self.looking.0);
        let ended = run.has_ended();
        let mut news = Vec::new();
        for (at, statement) in run.statements.iter().enumerate() {
            let Some(feed) = statement.feed() else { continue };
            if let Some((mut rows, number)) = feed.since(self.numbers[at]) {
                rows.statement = at;
                self.numbers[at] = Some(number);
                news.push(Update::Rows(rows));
            }
        }
        // Read behind the rows: what is said of columns holds for all of them.
        self.say(run.state());
        self.queue.extend(news);
        if ended {
            self.say(RunState { ended, ..run.state() });
        }
    }

    fn say(&mut self, state: RunState) {
        if self.said.as_ref() != Some(&state) {
            self.queue.push_back(Update::State(state.clone()));
            self.said = Some(state);
        }
    }
}

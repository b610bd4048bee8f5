//! Runs of texts: statements one after the other, what comes of each, and who looks at it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::join_all;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use weir_connectors::print::Taker;
use weir_engine::veil;
use weir_page::sql::view::{ColumnView, RunState, StatementState};
use weir_sql::session::{Entry, Kind, Outcome, Session};

use super::super::client::told;
use super::super::engine::{Ended, Running};
use super::super::{parallelism, waits};
use super::Bench;
use super::feed::{Feed, Keep, MOST, MOST_BYTES};

/// A run that nobody looks at ends after this time: its page was closed.
pub(super) const ABANDONED: Duration = Duration::from_secs(30);
/// Results that nobody looks at are forgotten after this time.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Characters of a statement that name it.
const TITLE: usize = 100;

/// One run.
pub(super) struct Run {
    pub(super) name: String,
    pub(super) statements: Vec<Statement>,
    stop: watch::Sender<bool>,
    ended: AtomicBool,
    viewers: AtomicUsize,
    seen: Mutex<Instant>,
    /// Nobody may look at it for so long.
    patience: Duration,
}

/// One of its statements.
pub(super) struct Statement {
    state: Mutex<StatementState>,
    feed: Mutex<Option<Arc<Feed>>>,
    began: Mutex<Option<Instant>>,
}

impl Statement {
    pub(super) fn new(entry: &Entry, text: &str) -> Self {
        let kind = kind(entry.kind());
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let all = lines.collect::<Vec<_>>().join(" ");
        let mut title: String = all.chars().take(TITLE).collect();
        if title.len() < all.len() {
            title.push('…');
        }
        let title = veil::hide(&title).into_owned();
        let state = StatementState { title, kind, state: "waiting", ..StatementState::default() };
        Self { state: Mutex::new(state), feed: Mutex::default(), began: Mutex::default() }
    }

    /// As it is now.
    fn now(&self) -> StatementState {
        let mut state = self.state.lock().clone();
        if state.state == "running"
            && let Some(began) = *self.began.lock()
        {
            state.took_ms = millis(began);
        }
        if let Some(feed) = &*self.feed.lock() {
            let counts = feed.counts();
            (state.changes, state.rows, state.kept) = (counts.changes, counts.there, counts.kept);
            // A table that prints nothing has nothing to show.
            if state.kind == "insert" && counts.changes == 0 {
                state.columns.clear();
            }
        }
        state
    }

    pub(super) fn feed(&self) -> Option<Arc<Feed>> {
        self.feed.lock().clone()
    }

    fn begin(&self) {
        *self.began.lock() = Some(Instant::now());
        self.state.lock().state = "running";
    }

    fn end(&self, how: &'static str, message: &str) {
        let took_ms = self.began.lock().map_or(0, millis);
        let mut state = self.state.lock();
        (state.state, state.took_ms, state.rate) = (how, took_ms, 0.0);
        veil::hide(message).trim_end().clone_into(&mut state.message);
    }

    fn shows(&self, columns: Vec<ColumnView>, feed: Feed) -> Arc<Feed> {
        let feed = Arc::new(feed);
        // First: who sees the rows has to know of what.
        self.state.lock().columns = columns;
        *self.feed.lock() = Some(Arc::clone(&feed));
        feed
    }
}

fn millis(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Query => "query",
        Kind::Insert => "insert",
        Kind::Told => "told",
        Kind::Declares => "declares",
    }
}

/// Somebody looks at a run for as long as this lives.
pub(super) struct Looking(pub(super) Arc<Run>);

impl Looking {
    pub(super) fn at(run: Arc<Run>) -> Self {
        run.viewers.fetch_add(1, Ordering::Relaxed);
        Self(run)
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        *self.0.seen.lock() = Instant::now();
        self.0.viewers.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Run {
    pub(super) fn new(name: String, statements: Vec<Statement>, patience: Duration) -> Self {
        Self {
            name,
            statements,
            stop: watch::Sender::new(false),
            ended: AtomicBool::new(false),
            viewers: AtomicUsize::new(0),
            seen: Mutex::new(Instant::now()),
            patience,
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Nobody will ask for it any more.
    pub(super) fn is_forgotten(&self) -> bool {
        self.has_ended() && self.unseen() > FORGOTTEN
    }

    /// For how long nobody has looked at it.
    pub(super) fn unseen(&self) -> Duration {
        match self.viewers.load(Ordering::Relaxed) {
            0 => self.seen.lock().elapsed(),
            _ => Duration::ZERO,
        }
    }

    pub(super) fn state(&self) -> RunState {
        let statements = self.statements.iter().map(Statement::now).collect();
        RunState { statements, ended: false, most: MOST, most_bytes: MOST_BYTES }
    }

    /// Ends it.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    /// Until it is to end, and why.
    async fn stopped(&self) -> &'static str {
        let mut stop = self.stop.subscribe();
        let abandoned = async {
            while self.unseen() < self.patience {
                sleep(self.patience / 10).await;
            }
        };
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => "",
            () = abandoned => {
                // What follows is not begun either.
                self.stop();
                "since nobody looked at it any more; "
            }
        }
    }
}

/// A statement of a run that is to be answered.
pub(super) struct Asked {
    pub(super) entry: Entry,
    /// Which of the run's statements it is.
    pub(super) number: usize,
}

/// Answers statements one after the other. As in a script, the first that fails ends the run, and
/// what has no end goes on beside what follows.
pub(super) async fn go(bench: Arc<Bench>, run: Arc<Run>, mut session: Session, asked: Vec<Asked>) {
    let over = Over(Arc::clone(&run));
    let mut beside: Vec<JoinHandle<()>> = Vec::new();
    let mut goes_on = true;
    let last = asked.len();
    for (at, Asked { entry, number }) in asked.iter().enumerate() {
        let statement = &run.statements[*number];
        if !goes_on || run.is_stopped() {
            statement.end("skipped", "");
            continue;
        }
        statement.begin();
        let job = bench.next_job();
        let printed = Taker::default();
        let options = bench.options(job.clone(), &printed);
        // Planning takes milliseconds of a processor.
        let answered = tokio::task::block_in_place(|| session.answer(entry, &options));
        let answered = match answered {
            Ok(answered) => answered,
            Err(errors) => {
                statement.end("failed", &session.render(&errors, None));
                goes_on = false;
                continue;
            }
        };
        let warnings: Vec<String> = answered
            .warnings
            .iter()
            .map(|warning| format!("warning: {}\n", session.render_warning(warning, None)))
            .collect();
        let warnings = warnings.concat();
        let is_query = matches!(answered.outcome, Outcome::Query(..));
        let planned = match answered.outcome {
            Outcome::Query(planned, shown) => {
                let keep = if planned.bounded { Keep::First } else { Keep::Newest };
                let columns = shown
                    .columns
                    .iter()
                    .map(|(name, ty)| ColumnView { name: name.clone(), ty: ty.clone() });
                let feed = statement.shows(columns.collect(), Feed::of_query(&shown, keep));
                let mut state = statement.state.lock();
                (state.corrected, state.newest) = (shown.is_corrected, keep == Keep::Newest);
                printed.set(feed);
                *planned
            }
            Outcome::Insert(planned) => {
                let columns = vec![ColumnView { name: "printed".into(), ty: "STRING".into() }];
                printed.set(statement.shows(columns, Feed::of_lines()));
                statement.state.lock().newest = true;
                *planned
            }
            outcome => {
                told_of(statement, outcome, &warnings);
                continue;
            }
        };
        statement.state.lock().message.clone_from(&warnings);
        let waits = planned.bounded || is_query || waits(&session);
        let parallelism = parallelism(&session);
        match bench.start(&job, planned, parallelism, !is_query) {
            Err(error) => {
                statement.end("failed", &format!("{error:#}"));
                goes_on = false;
            }
            Ok(running) if waits || at + 1 == last => {
                goes_on = follow(&run, *number, running, is_query, warnings).await;
            }
            Ok(running) => {
                let (run, number) = (Arc::clone(&run), *number);
                beside.push(tokio::spawn(async move {
                    follow(&run, number, running, is_query, warnings).await;
                }));
            }
        }
    }
    if !goes_on {
        run.stop();
    }
    join_all(beside).await;
    drop(over);
}

/// A run is over when this is gone, also where a fault of Weir has ended it.
struct Over(Arc<Run>);

impl Drop for Over {
    fn drop(&mut self) {
        // What goes on beside is not left behind.
        self.0.stop();
        *self.0.seen.lock() = Instant::now();
        self.0.ended.store(true, Ordering::Release);
    }
}

/// What was no job.
fn told_of(statement: &Statement, outcome: Outcome, warnings: &str) {
    let mut message = String::new();
    match outcome {
        Outcome::Done(what) => message = what,
        Outcome::Text(text) => statement.state.lock().text = veil::hide(&text).into_owned(),
        Outcome::Answer(answer) => {
            let column = |name: String| ColumnView { name, ty: "STRING".into() };
            let feed = Feed::of_lines();
            feed.texts(&answer.rows);
            statement.shows(answer.columns.into_iter().map(column).collect(), feed);
        }
        _ => {}
    }
    statement.end("done", &format!("{warnings}{message}"));
}

/// Follows a job to its end; whether what follows it is to be begun.
async fn follow(
    run: &Run,
    number: usize,
    running: Running,
    is_query: bool,
    warnings: String,
) -> bool {
    let statement = &run.statements[number];
    let mut why = "";
    let stopped = async { why = run.stopped().await };
    let ended = running
        .followed(stopped, |totals, rate| {
            let mut state = statement.state.lock();
            (state.rows_in, state.rate) = (totals.rows_in, rate);
        })
        .await;
    let took = statement.began.lock().map_or(0, millis);
    let took = format!("{:.2} s", took as f64 / 1000.0);
    let (how, message) = match ended {
        Ended::Failed(why) => ("failed", why),
        ended @ Ended::Finished(_) if !is_query => ("done", told(ended, &took).0),
        Ended::Finished(_) => ("done", String::new()),
        Ended::Stopped | Ended::LeftOff | Ended::Unread if is_query => {
            ("stopped", format!("{why}stopped after {took}"))
        }
        ended => ("stopped", format!("{why}{}", told(ended, &took).0)),
    };
    statement.end(how, &format!("{warnings}{message}"));
    how == "done"
}

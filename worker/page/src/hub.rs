//! What the page shows: the newest moment of the job, and what was before.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{broadcast, watch};
use weir_protocol::view::{
    CheckpointRecord, FailureView, History, KeyGroupsView, OperationView, RowsView, Snapshot,
    VIEW_VERSION,
};

use crate::diagnose;
use crate::history::Rings;
use crate::render::{Fragments, View};

/// Operations, and failures, that are kept.
const MAX_LEDGER: usize = 200;
/// Log lines that are kept.
const MAX_LINES: usize = 500;
/// A log line is cut here.
const MAX_LINE: usize = 2_000;
/// Views whose fragments are kept until the next moment; viewers of the same view share them.
const MAX_RENDERED: usize = 32;
/// Operators that are looked at at a time: what workers show of one is 6 bytes a key group.
const MAX_LOOKED: usize = 4;
/// Whoever has not asked again for so long does not look any more.
const LOOK_MS: u64 = 5_000;
/// News that a slow listener may be behind by.
const MAX_NEWS: usize = 64;

/// The program that the job runs; it never changes while this process lives.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Its text.
    pub sql: String,
    /// The plan for people.
    pub plan: String,
    /// By operator (uid): what `weir plan` says of it.
    pub details: BTreeMap<String, BTreeMap<String, String>>,
    /// By operator (uid): where in the text it comes from, in bytes.
    pub places: BTreeMap<String, Vec<Range<usize>>>,
    /// Whether rows may be shown: whoever reaches the page sees them then.
    pub shows_rows: bool,
}

/// What was done with the job and what went wrong, oldest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ledger {
    /// What was done.
    pub operations: VecDeque<OperationView>,
    /// What went wrong.
    pub failures: VecDeque<FailureView>,
}

impl Ledger {
    /// Adds an operation; the oldest of too many goes.
    pub fn operation(&mut self, operation: OperationView) {
        push(&mut self.operations, operation);
    }

    /// Adds a failure; the oldest of too many goes.
    pub fn failure(&mut self, failure: FailureView) {
        push(&mut self.failures, failure);
    }
}

fn push<T>(all: &mut VecDeque<T>, one: T) {
    if all.len() >= MAX_LEDGER {
        all.pop_front();
    }
    all.push_back(one);
}

/// The job at one moment, with what is known of before.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) snapshot: Snapshot,
    pub(crate) checkpoints: Vec<Arc<CheckpointRecord>>,
    pub(crate) ledger: Arc<Ledger>,
    /// Why there is nothing to show; empty when there is.
    pub(crate) elsewhere: String,
}

/// Something that has just happened, for those who listen to the stream.
#[derive(Clone, Debug)]
pub(crate) enum News {
    Operation(OperationView),
    Failure(FailureView),
}

impl News {
    fn at_ms(&self) -> u64 {
        match self {
            Self::Operation(done) => done.at_ms,
            Self::Failure(failure) => failure.at_ms,
        }
    }
}

/// An operator that somebody looks at.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looked {
    /// Until when, if nobody asks again; and until when at its rows, if anybody does.
    until_ms: u64,
    rows_until_ms: Option<u64>,
    /// What its key groups are like.
    pub(crate) groups: Option<Arc<KeyGroupsView>>,
    /// The newest rows that it gave since somebody looks at them.
    pub(crate) rows: Option<Arc<RowsView>>,
}

/// An operator of which workers are to show more than they do otherwise.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Look {
    /// Which.
    pub uid: String,
    /// Its rows are looked at as well.
    pub rows: bool,
}

/// What the page shows; one for a process.
#[derive(Debug)]
pub struct Hub {
    pub(crate) program: Program,
    moment: watch::Sender<Arc<Moment>>,
    news: broadcast::Sender<News>,
    rings: Mutex<Rings>,
    lines: Mutex<VecDeque<String>>,
    rendered: Mutex<Vec<(View, u64, Arc<Fragments>)>>,
    /// By uid.
    looked: Mutex<BTreeMap<String, Looked>>,
}

impl Hub {
    /// Nothing is known of the job yet.
    #[must_use]
    pub fn new(program: Program) -> Arc<Self> {
        let nothing =
            Moment { elsewhere: "the job has not begun yet".to_owned(), ..Moment::default() };
        Arc::new(Self {
            program,
            moment: watch::Sender::new(Arc::new(nothing)),
            news: broadcast::Sender::new(MAX_NEWS),
            rings: Mutex::default(),
            lines: Mutex::default(),
            rendered: Mutex::default(),
            looked: Mutex::default(),
        })
    }

    /// Takes the next snapshot, which it numbers and diagnoses.
    pub fn publish(&self, mut snapshot: Snapshot, checkpoints: Vec<Arc<CheckpointRecord>>) {
        let before = self.moment();
        snapshot.version = VIEW_VERSION;
        snapshot.sequence = before.snapshot.sequence + 1;
        snapshot.findings = diagnose(&snapshot);
        self.rings.lock().push(&snapshot);
        let (ledger, elsewhere) = (Arc::clone(&before.ledger), String::new());
        self.moment.send_replace(Arc::new(Moment { snapshot, checkpoints, ledger, elsewhere }));
    }

    /// Takes what has happened; what is new is told to those who listen at once.
    pub fn happened(&self, ledger: &Ledger) {
        let before = self.moment();
        let began_at_ms = before.snapshot.job.began_at_ms;
        let known = |failure: &&FailureView| before.ledger.failures.contains(failure);
        let news = ledger.operations.iter().filter(|o| !before.ledger.operations.contains(o));
        let news = news.cloned().map(News::Operation);
        let failures = ledger.failures.iter().filter(|failure| !known(failure));
        let news = news.chain(failures.cloned().map(News::Failure));
        // What was read of the ledger happened before, and is no news.
        for news in news.filter(|news| news.at_ms() >= began_at_ms) {
            self.news.send(news).ok(); // Nobody may listen.
        }
        let mut moment = Moment::clone(&before);
        moment.ledger = Arc::new(ledger.clone());
        // What is rendered of the moment is not what it is any more.
        moment.snapshot.sequence += 1;
        self.moment.send_replace(Arc::new(moment));
    }

    /// The job is coordinated by another process: says which.
    pub fn elsewhere(&self, why: &str) {
        if self.moment().elsewhere != why {
            let sequence = self.moment().snapshot.sequence + 1;
            let snapshot = Snapshot { sequence, ..Snapshot::default() };
            let elsewhere = why.to_owned();
            self.moment.send_replace(Arc::new(Moment { snapshot, elsewhere, ..Moment::default() }));
        }
    }

    /// Takes a line of the log.
    pub fn log(&self, line: &str) {
        let mut lines = self.lines.lock();
        if lines.len() >= MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(line.chars().take(MAX_LINE).collect());
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().iter().cloned().collect()
    }

    /// The newest snapshot; an empty one while there is nothing to show.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.moment().snapshot.clone()
    }

    /// Somebody looks at an operator: from now on and for a while workers show of it what they do not
    /// show otherwise; with `rows` a few of the rows that it gives, if that is allowed. Gives what is
    /// known so far; nothing while as many are looked at as may be.
    pub(crate) fn look(&self, uid: &str, rows: bool) -> Option<Looked> {
        let moment = self.moment();
        let at_ms = moment.snapshot.at_ms;
        if !moment.snapshot.job.ending.is_empty() {
            // Nobody is there to ask, and time goes on for it no more.
            return Some(Looked::default());
        }
        let until_ms = at_ms + LOOK_MS;
        let rows = rows && self.program.shows_rows;
        let mut looked = self.looked.lock();
        looked.retain(|_, operator| operator.until_ms >= at_ms);
        if !looked.contains_key(uid) && looked.len() >= MAX_LOOKED {
            return None;
        }
        let operator = looked.entry(uid.to_owned()).or_default();
        operator.until_ms = until_ms;
        if rows {
            operator.rows_until_ms = Some(until_ms);
        }
        let seen = operator.rows.clone().filter(|_| rows);
        Some(Looked { rows: seen, ..operator.clone() })
    }

    /// The operators that somebody looks at just now: who feeds the page has workers show them. What
    /// nobody looks at any more is forgotten.
    #[must_use]
    pub fn looks(&self) -> Vec<Look> {
        let at_ms = self.moment().snapshot.at_ms;
        let mut looked = self.looked.lock();
        looked.retain(|_, operator| operator.until_ms >= at_ms);
        let look = |(uid, operator): (&String, &mut Looked)| {
            let rows = operator.rows_until_ms.is_some_and(|until_ms| until_ms >= at_ms);
            operator.rows = operator.rows.take().filter(|_| rows);
            Look { uid: uid.clone(), rows }
        };
        looked.iter_mut().map(look).collect()
    }

    /// Takes rows that an operator gave; to be published with the next snapshot.
    pub fn show_rows(&self, rows: RowsView) {
        let mut looked = self.looked.lock();
        if let Some(operator) = looked.get_mut(&rows.uid).filter(|o| o.rows_until_ms.is_some()) {
            operator.rows = Some(Arc::new(rows));
        }
    }

    /// Takes what workers show of an operator; to be published with the next snapshot.
    pub fn show_groups(&self, groups: KeyGroupsView) {
        if let Some(operator) = self.looked.lock().get_mut(&groups.uid) {
            operator.groups = Some(Arc::new(groups));
        }
    }

    pub(crate) fn moment(&self) -> Arc<Moment> {
        Arc::clone(&self.moment.borrow())
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Moment>> {
        self.moment.subscribe()
    }

    pub(crate) fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// The last ten minutes by the second, or the last day by the minute.
    pub(crate) fn history(&self, by_minute: bool, since_ms: u64) -> History {
        let rings = self.rings.lock();
        if by_minute { rings.minutes(since_ms) } else { rings.seconds(since_ms) }
    }

    /// The parts of a view as they are now; rendered once for all who look at it.
    pub(crate) fn fragments(&self, view: &View) -> Arc<Fragments> {
        let moment = self.moment();
        let sequence = moment.snapshot.sequence;
        let known = self.rendered.lock().iter().find_map(|(of, at, fragments)| {
            (of == view && *at == sequence).then(|| Arc::clone(fragments))
        });
        if let Some(known) = known {
            return known;
        }
        let fragments = Arc::new(view.render(self, &moment));
        let mut rendered = self.rendered.lock();
        rendered.retain(|(of, at, _)| of != view && *at == sequence);
        if rendered.len() < MAX_RENDERED {
            rendered.push((view.clone(), sequence, Arc::clone(&fragments)));
        }
        fragments
    }
}

//! A connection of one process to the API server: its faults and its count of writes.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;

use super::http_api::{self, Answer};
use super::refuse::Refusal;
use super::store::Store;
use super::watch;

/// What becomes of the write at which a process dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// The process died before it was sent.
    NotSent,
    /// The server applied it; the answer never arrived.
    Lost,
    /// The server applied it and the process saw the answer; the next request of any kind fails.
    Answered,
}

/// A request as the audit shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PATCH`, …
    pub method: String,
    /// Path and query.
    pub uri: String,
    /// The status of the answer; 0 where the process died or the connection was cut.
    pub status: u16,
    /// Whether it was a write.
    pub write: bool,
    /// Whether it changed an object.
    pub changed: bool,
}

/// A connection of one process. Clones are the same connection.
#[derive(Clone)]
pub struct Connection {
    pub(super) store: Arc<Mutex<Store>>,
    pub(super) name: Arc<str>,
    pub(super) faults: Arc<Mutex<Faults>>,
}

type Rule = Box<dyn FnMut(&Request) -> Option<u16> + Send>;
type Meddler = Box<dyn FnMut(&Request) + Send>;

#[derive(Default)]
pub(super) struct Faults {
    audit: Vec<Request>,
    writes: u64,
    dies_at: Option<(u64, Last)>,
    dead: bool,
    refuse: Option<Rule>,
    meddle: Option<Meddler>,
    pub(super) hold_watches: bool,
    pub(super) watch_cuts: u64,
    pub(super) stale_at: Option<u64>,
}

type Answered = UnsyncBoxBody<Bytes, Cut>;

/// The connection is cut.
#[derive(Debug, thiserror::Error)]
#[error("connection closed")]
pub(super) struct Cut;

impl Connection {
    pub(super) fn new(store: Arc<Mutex<Store>>, name: &str) -> Self {
        Self { store, name: name.into(), faults: Arc::default() }
    }

    /// A client of this connection; its default namespace is `default`.
    pub fn client(&self) -> Client {
        let connection = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let connection = connection.clone();
            async move { connection.serve(request).await }
        });
        Client::new(service, "default")
    }

    /// Writes that reached the server or would have (creates, updates, patches, deletes; dry runs
    /// not counted), whether or not they changed anything.
    pub fn writes(&self) -> u64 {
        self.faults.lock().writes
    }

    /// Every request so far, in order; watches included.
    pub fn requests(&self) -> Vec<Request> {
        self.faults.lock().audit.clone()
    }

    /// The process dies at its `n`-th write, counted from now (1 is the next one): that write
    /// fares as `last` says, and every later request fails.
    pub fn die_after(&self, n: u64, last: Last) {
        let mut faults = self.faults.lock();
        faults.dies_at = Some((faults.writes + n, last));
    }

    /// The process dies now.
    pub fn die(&self) {
        self.faults.lock().dead = true;
        self.store.lock().wake();
    }

    /// Whether the process has died of [`Self::die_after`] or [`Self::die`].
    pub fn is_dead(&self) -> bool {
        self.faults.lock().dead
    }

    /// Asks `rule` about every request before it is served: `Some(code)` answers it with that
    /// status instead (500, 503, 429, 409, 403; 0 cuts the connection), and nothing is changed.
    pub fn refuse(&self, rule: impl FnMut(&Request) -> Option<u16> + Send + 'static) {
        self.faults.lock().refuse = Some(Box::new(rule));
    }

    /// Answers truthfully again.
    pub fn refuse_nothing(&self) {
        self.faults.lock().refuse = None;
    }

    /// Lets `meddler` act on the cluster before each request is served: what the process has read
    /// may be old by then.
    pub fn meddle(&self, meddler: impl FnMut(&Request) + Send + 'static) {
        self.faults.lock().meddle = Some(Box::new(meddler));
    }

    /// Watches deliver nothing until `false`, so that caches grow stale.
    pub fn hold_watches(&self, hold: bool) {
        self.faults.lock().hold_watches = hold;
        self.store.lock().wake();
    }

    /// Ends every open watch, as a server's restart does.
    pub fn cut_watches(&self) {
        self.faults.lock().watch_cuts += 1;
        self.store.lock().wake();
    }

    /// Lists that accept any version (`resourceVersion=0`) show the objects as they were at
    /// `version`, until `None`.
    pub fn serve_stale_lists(&self, version: Option<u64>) {
        self.faults.lock().stale_at = version;
    }

    async fn serve(self, request: http::Request<Body>) -> Result<Response<Answered>, Cut> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.map_err(|_| Cut)?;
        let call = http_api::Call::read(&parts, &body);
        let write = call.as_ref().is_ok_and(http_api::Call::is_write);
        let mut entry = Request {
            method: parts.method.to_string(),
            uri: parts.uri.to_string(),
            status: 0,
            write,
            changed: false,
        };
        // One lock over decision and deed: the n-th write is one certain write.
        let mut faults = self.faults.lock();
        if faults.dead {
            return Err(Cut);
        }
        let mut last = None;
        if write {
            faults.writes += 1;
            if let Some((at, how)) = faults.dies_at
                && at == faults.writes
            {
                faults.dead = true;
                last = Some(how);
            }
        }
        if last == Some(Last::NotSent) {
            faults.audit.push(entry);
            drop(faults);
            self.store.lock().wake();
            return Err(Cut);
        }
        if let Some(code) = faults.refuse.as_mut().and_then(|rule| rule(&entry)) {
            entry.status = code;
            faults.audit.push(entry);
            return match code {
                0 => Err(Cut),
                code => Ok(self.respond(Refusal::injected(code).into(), 0)),
            };
        }
        if let Some(meddle) = faults.meddle.as_mut() {
            meddle(&entry);
        }
        let stale_at = faults.stale_at;
        let before = self.store.lock().version;
        let answer = match call {
            Ok(call) => http_api::serve(&self, call, stale_at),
            Err(refusal) => refusal.into(),
        };
        entry.changed = write && self.store.lock().version != before;
        entry.status = match &answer {
            Answer::Json(code, _) => *code,
            Answer::Watch(_) => 200,
        };
        if last == Some(Last::Lost) {
            entry.status = 0;
        }
        faults.audit.push(entry);
        let cuts = faults.watch_cuts;
        drop(faults);
        if last.is_some() {
            self.store.lock().wake();
        }
        match last {
            Some(Last::Lost) => Err(Cut),
            _ => Ok(self.respond(answer, cuts)),
        }
    }

    /// Held back, cuts so far, dead.
    pub(super) fn watch_faults(&self) -> (bool, u64, bool) {
        let faults = self.faults.lock();
        (faults.hold_watches, faults.watch_cuts, faults.dead)
    }

    fn respond(&self, answer: Answer, cuts: u64) -> Response<Answered> {
        let (code, body) = match answer {
            Answer::Json(code, body) => {
                let whole = Full::new(Bytes::from(body.to_string()));
                (code, whole.map_err(|never| match never {}).boxed_unsync())
            }
            Answer::Watch(call) => {
                let events = watch::open(self, *call, cuts);
                (200, StreamBody::new(events).boxed_unsync())
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() =
            StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, json);
        response
    }
}

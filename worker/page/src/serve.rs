//! The page over HTTP: on loopback, read-only, for nobody but this machine's browser.
//!
//! Who may reach the port may look; so it is bound to 127.0.0.1, and in a pod `kubectl port-forward`
//! is the login. A web site that the browser is at must not get through either: another name that
//! leads here (DNS rebinding) is told by `Host`, another site's script by `Origin`.

mod data;
pub(crate) mod guard;
mod stream;

use std::io::Write;
use std::sync::{Arc, LazyLock};

use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Router, middleware};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::hub::Hub;
use crate::render::{self, Subject, View};

/// The page of one process's job.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    hub: Arc<Hub>,
}

/// The pages and `/v1/…`.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/", get(job))
        .route("/operators/{uid}", get(operator))
        .route("/checkpoints", get(checkpoints))
        .route("/checkpoints/{attempt}", get(checkpoint))
        .route("/program", get(program))
        .route("/log", get(log))
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/assets/icon.svg") }))
        .route("/v1/snapshot", get(data::snapshot))
        .route("/v1/stream", get(stream::stream))
        .route("/v1/history", get(data::history))
        .route("/v1/checkpoints", get(data::checkpoints))
        .route("/v1/checkpoints/{epoch}", get(data::checkpoint))
        .route("/v1/operations", get(data::operations))
        .route("/v1/failures", get(data::failures))
        .route("/v1/operators/{uid}/key-groups", get(data::key_groups))
        .route("/v1/operators/{uid}/sample", get(data::sample))
        .layer(middleware::from_fn(guard::guard))
        .with_state(Page { hub })
}

/// Serves until the listener fails.
///
/// # Errors
/// That of the listener.
pub async fn serve(listener: TcpListener, hub: Arc<Hub>) -> std::io::Result<()> {
    axum::serve(listener, router(hub)).await
}

/// What every page understands.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    /// `json`.
    format: Option<String>,
    /// `24h`.
    range: Option<String>,
    /// The uid of an operator whose part lies open.
    operator: Option<String>,
    /// `1`: the newest rows of the operator are looked at.
    rows: Option<String>,
}

/// Whether a request says that the newest rows of its operator are looked at: `rows=1`.
fn looks_at_rows(rows: Option<&str>) -> bool {
    rows == Some("1")
}

impl Asked {
    fn view(&self, subject: Subject) -> View {
        let by_minute = self.range.as_deref() == Some("24h");
        let rows = looks_at_rows(self.rows.as_deref());
        View { subject, by_minute, operator: self.operator.clone(), rows }
    }

    fn is_json(&self) -> bool {
        self.format.as_deref() == Some("json")
    }
}

async fn job(State(page): State<Page>, Query(asked): Query<Asked>) -> Response {
    if asked.is_json() {
        return data::snapshot(State(page)).await;
    }
    shown(&page, &asked.view(Subject::Job))
}

async fn operator(
    State(page): State<Page>,
    Path(uid): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let moment = page.hub.moment();
    let Some((vertex, operator)) = moment.snapshot.operator(&uid) else {
        return missing(&format!("the job has no operator {uid}"));
    };
    if asked.is_json() {
        return axum::Json(serde_json::json!({
            "operator": operator,
            "vertex": vertex,
            "details": page.hub.program.details.get(&uid),
        }))
        .into_response();
    }
    shown(&page, &asked.view(Subject::Operator(uid)))
}

async fn checkpoints(State(page): State<Page>, Query(asked): Query<Asked>) -> Response {
    if asked.is_json() {
        return data::checkpoints(State(page)).await;
    }
    shown(&page, &asked.view(Subject::Checkpoints(None)))
}

async fn checkpoint(
    State(page): State<Page>,
    Path(attempt): Path<u64>,
    Query(asked): Query<Asked>,
) -> Response {
    let moment = page.hub.moment();
    let Some(record) = moment.checkpoints.iter().find(|r| r.attempt == attempt) else {
        return missing(&format!("attempt {attempt} is not among the last ones"));
    };
    if asked.is_json() {
        return axum::Json(&**record).into_response();
    }
    shown(&page, &asked.view(Subject::Checkpoints(Some(attempt))))
}

async fn program(State(page): State<Page>, Query(asked): Query<Asked>) -> Response {
    if asked.is_json() {
        let program = &page.hub.program;
        let fields = serde_json::json!({"sql": program.sql, "plan": program.plan, "details": program.details});
        return axum::Json(fields).into_response();
    }
    shown(&page, &asked.view(Subject::Program))
}

async fn log(State(page): State<Page>, Query(asked): Query<Asked>) -> Response {
    if asked.is_json() {
        return axum::Json(page.hub.lines()).into_response();
    }
    shown(&page, &asked.view(Subject::Log))
}

fn shown(page: &Page, view: &View) -> Response {
    let fragments = page.hub.fragments(view);
    let html = render::page(view, &page.hub.moment(), &fragments);
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
}

fn missing(why: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("{why}\n")).into_response()
}

/// A file that the pages load, compressed.
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    kind: &'static str,
    pub(crate) gzipped: Vec<u8>,
    /// Of its content: what the browser has under another tag is old.
    pub(crate) tag: String,
}

pub(crate) static ASSETS: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    [
        Asset::new("page.css", "text/css; charset=utf-8", include_bytes!("../assets/page.css")),
        Asset::new(
            "page.js",
            "text/javascript; charset=utf-8",
            include_bytes!("../assets/page.js"),
        ),
        Asset::new("icon.svg", "image/svg+xml", include_bytes!("../assets/icon.svg")),
    ]
});

impl Asset {
    pub(crate) fn new(name: &'static str, kind: &'static str, content: &[u8]) -> Self {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // Writing to memory succeeds.
        let gzipped =
            encoder.write_all(content).and_then(|()| encoder.finish()).unwrap_or_default();
        let tag = format!("{:016x}", xxhash_rust::xxh3::xxh3_64(content));
        Self { name, kind, gzipped, tag }
    }
}

pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    sent(ASSETS.iter(), &name)
}

/// One of these files.
pub(crate) fn sent<'a>(mut assets: impl Iterator<Item = &'a Asset>, name: &str) -> Response {
    let Some(asset) = assets.find(|asset| asset.name == name) else {
        return missing(&format!("no {name} here"));
    };
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CONTENT_ENCODING, "gzip"),
        // Pages name it with its tag.
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable"),
    ];
    (headers, asset.gzipped.clone()).into_response()
}

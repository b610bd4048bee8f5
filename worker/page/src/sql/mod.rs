//! `/sql`: statements are written, checked, run and looked at in a browser.
//!
//! - **In**: texts from the page; what they mean and what comes of them from a [`Workbench`].
//! - **Out**: the page, `/v1/sql/…`, the rows of a run as server-sent events.
//! - **Always**: whoever gets through here runs SQL as the user who started the process, who may
//!   read and write what that user may. So it is served by processes of one person on their own
//!   machine alone, never in pods, and by these rules:
//!
//! | rule | against | answer |
//! |---|---|---|
//! | it listens on loopback | other machines | cannot be reached |
//! | `Host` is `127.0.0.1`, `localhost` or `[::1]` | other names that lead here (DNS rebinding) | 403 |
//! | `Origin`, where there is one, is this page's own; nothing is allowed to others (no CORS at all) | other sites' scripts | 403 |
//! | what does anything is a POST, and its `Origin` must be there | links, pictures, forms of other sites | 403, 405 |
//! | a POST is `application/json` | forms, which cannot send that | 415 |
//! | a POST carries the process's token in `x-weir-token` | whoever else may reach the port, such as other users of the machine | 403 |
//! | the token stands in the address that the terminal shows, behind `#`: browsers send that to nobody; no answer of the server holds it | logs, `Referer`, whoever fetches the page | – |
//! | rows of a run are under a name of 122 random bits, which only the answer to its POST says | whoever guesses | 404 |
//! | the text of a program is never taken from an address | links with a program in them | – |
//! | a text has at most 256 kB; so many runs go on at once, so many rows are kept, and a run that nobody looks at is ended ([`Workbench`] says how many) | a page that is left open | 413, 429 |
//! | the page loads nothing from elsewhere and is in nobody's frame (CSP) | what a row or a message might smuggle in | – |
//!
//! Each rule has its test in `tests.rs`.

mod html;
mod rules;
#[cfg(test)]
mod tests;
pub mod view;

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use futures::StreamExt;
use futures::stream::BoxStream;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::serve::{ASSETS, Asset, guard, sent};
use view::{
    Checked, CompleteAsked, Completed, Diagnostic, ManifestAsked, Refused, RunAsked, StopAsked,
    Text, Update, Words,
};

/// Bytes of a request: programs are shorter.
const MAX_BODY: usize = 256 << 10;
/// Texts that are planned at once; others wait.
const PLANNERS: usize = 2;
/// A comment is sent so often when there is nothing else.
const ALIVE: Duration = Duration::from_secs(5);

/// Who understands statements and runs them.
///
/// Offsets into texts count as JavaScript does, in UTF-16 code units. Calls other than
/// [`Workbench::follow`] may take as long as planning takes, and are made where that holds nobody up.
pub trait Workbench: Send + Sync + 'static {
    /// What an editor sets off.
    fn words(&self) -> Words;
    /// What a text would come to, and everything that is wrong with it.
    fn check(&self, text: &str) -> Checked;
    /// What could stand at a place of a text.
    fn complete(&self, text: &str, offset: usize) -> Completed;
    /// A text as the manifest of a job that runs it.
    ///
    /// # Errors
    /// Why it cannot be one.
    fn manifest(&self, asked: &ManifestAsked) -> Result<String, Vec<Diagnostic>>;
    /// Starts to run a text; the name of the run.
    ///
    /// # Errors
    /// What is wrong with it, or that too many run already.
    fn run(&self, asked: &RunAsked) -> Result<String, Refused>;
    /// Ends a run; false where there is none of this name.
    fn stop(&self, run: &str) -> bool;
    /// What a run comes to, from its beginning or the newest that is kept, to its end. The run is
    /// looked at for as long as the stream lives.
    fn follow(&self, run: &str) -> Option<BoxStream<'static, Update>>;
}

/// What the page needs of its process.
pub struct SqlPage {
    bench: Arc<dyn Workbench>,
    token: String,
    /// The editor's text at the beginning.
    text: String,
    /// The folder that paths of tables are relative to, for people.
    folder: String,
    planners: Arc<Semaphore>,
}

impl SqlPage {
    /// A page whose POSTs carry `token`: a random one, of this process.
    #[must_use]
    pub fn new(bench: Arc<dyn Workbench>, token: String, text: String, folder: String) -> Self {
        Self { bench, token, text, folder, planners: Arc::new(Semaphore::new(PLANNERS)) }
    }
}

type Shared = State<Arc<SqlPage>>;

/// The page and `/v1/sql/…`.
pub fn router(page: Arc<SqlPage>) -> Router {
    let acting = Router::new()
        .route("/v1/sql/begun", post(begun))
        .route("/v1/sql/check", post(check))
        .route("/v1/sql/complete", post(complete))
        .route("/v1/sql/manifest", post(manifest))
        .route("/v1/sql/run", post(run))
        .route("/v1/sql/stop", post(stop))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .route_layer(middleware::from_fn_with_state(Arc::clone(&page), rules::rules));
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/sql") }))
        .route("/sql", get(shown))
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/assets/icon.svg") }))
        .route("/v1/sql/words", get(words))
        .route("/v1/sql/runs/{run}", get(follow))
        .merge(acting)
        .layer(middleware::from_fn(guard::guard))
        .with_state(page)
}

/// Serves until the listener fails.
///
/// # Errors
/// That of the listener.
pub async fn serve(listener: TcpListener, page: Arc<SqlPage>) -> std::io::Result<()> {
    axum::serve(listener, router(page)).await
}

async fn shown() -> Response {
    let html = html::page();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
}

/// Files that this page loads beside those of all pages.
pub(crate) static EDITOR: LazyLock<[Asset; 3]> = LazyLock::new(|| {
    let script = "text/javascript; charset=utf-8";
    [
        Asset::new("sql.css", "text/css; charset=utf-8", include_bytes!("../../assets/sql.css")),
        Asset::new("sql.js", script, include_bytes!("../../assets/sql.js")),
        Asset::new("codemirror.js", script, include_bytes!("../../assets/codemirror.js")),
    ]
});

async fn asset(Path(name): Path<String>) -> Response {
    sent(ASSETS.iter().chain(EDITOR.iter()), &name)
}

async fn words(State(page): Shared) -> Json<Words> {
    Json(page.bench.words())
}

type Asked<T> = Result<Json<T>, JsonRejection>;

/// What the page begins with. Not in the page itself, which whoever reaches the port may have: a script
/// may hold passwords.
async fn begun(State(page): Shared) -> Response {
    Json(serde_json::json!({ "text": page.text, "folder": page.folder })).into_response()
}

async fn check(State(page): Shared, asked: Asked<Text>) -> Response {
    planned(&page, asked, |bench, asked| Json(bench.check(&asked.text)).into_response()).await
}

async fn complete(State(page): Shared, asked: Asked<CompleteAsked>) -> Response {
    planned(&page, asked, |bench, asked| {
        Json(bench.complete(&asked.text, asked.offset)).into_response()
    })
    .await
}

async fn manifest(State(page): Shared, asked: Asked<ManifestAsked>) -> Response {
    planned(&page, asked, |bench, asked| match bench.manifest(&asked) {
        Ok(manifest) => Json(serde_json::json!({ "manifest": manifest })).into_response(),
        Err(diagnostics) => unprocessable(diagnostics),
    })
    .await
}

async fn run(State(page): Shared, asked: Asked<RunAsked>) -> Response {
    planned(&page, asked, |bench, asked| match bench.run(&asked) {
        Ok(run) => Json(serde_json::json!({ "run": run })).into_response(),
        Err(Refused::Wrong(diagnostics)) => unprocessable(diagnostics),
        Err(Refused::Busy(why)) => problem(StatusCode::TOO_MANY_REQUESTS, &why),
    })
    .await
}

async fn stop(State(page): Shared, asked: Asked<StopAsked>) -> Response {
    match asked {
        Err(wrong) => problem(wrong.status(), &wrong.body_text()),
        Ok(Json(asked)) if page.bench.stop(&asked.run) => {
            Json(serde_json::json!({})).into_response()
        }
        Ok(_) => problem(StatusCode::NOT_FOUND, "there is no such run any more"),
    }
}

async fn follow(State(page): Shared, Path(run): Path<String>) -> Response {
    let Some(updates) = page.bench.follow(&run) else {
        return problem(StatusCode::NOT_FOUND, "there is no such run any more");
    };
    let events = updates.map(|update| {
        let name = match &update {
            Update::State(_) => "state",
            Update::Rows(_) => "rows",
        };
        // Values of this crate always become JSON.
        let data = serde_json::to_string(&update).unwrap_or_default();
        Ok::<_, Infallible>(Event::default().event(name).data(data))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

/// Answers by planning, beside the threads that serve.
async fn planned<T: DeserializeOwned + Send + 'static>(
    page: &Arc<SqlPage>,
    asked: Asked<T>,
    answer: impl FnOnce(&dyn Workbench, T) -> Response + Send + 'static,
) -> Response {
    let asked = match asked {
        Ok(Json(asked)) => asked,
        Err(wrong) => return problem(wrong.status(), &wrong.body_text()),
    };
    let Ok(turn) = Arc::clone(&page.planners).acquire_owned().await else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "the process ends");
    };
    let bench = Arc::clone(&page.bench);
    // Who has asked may be gone by then; the turn is not over before the work is.
    let answering = tokio::task::spawn_blocking(move || {
        let answered = answer(&*bench, asked);
        drop(turn);
        answered
    });
    match answering.await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a request of the SQL page was not answered");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "this text cannot be planned: a fault of Weir",
            )
        }
    }
}

fn unprocessable(diagnostics: Vec<Diagnostic>) -> Response {
    let body = Json(serde_json::json!({ "diagnostics": diagnostics }));
    (StatusCode::UNPROCESSABLE_ENTITY, body).into_response()
}

fn problem(status: StatusCode, why: &str) -> Response {
    (status, Json(serde_json::json!({ "error": why }))).into_response()
}

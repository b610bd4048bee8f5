//! The fleet page over HTTP.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use futures::stream;
use tokio::sync::watch;

use super::{Fleet, Opens, Shown, fragments, page};
use crate::serve::{asset, guard};

/// A page is told this often that it is heard, if nothing else is to be told.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);
/// A comment is sent so often when there is nothing else.
const ALIVE: Duration = Duration::from_secs(15);

#[derive(Clone)]
struct Served {
    fleet: Fleet,
    opens: Opens,
}

pub(super) fn router(fleet: Fleet, opens: Opens) -> Router {
    Router::new()
        .route("/", get(whole))
        .route("/jobs/{namespace}/{name}", get(open))
        .route("/assets/{name}", get(asset))
        .route("/favicon.ico", get(|| async { Redirect::permanent("/assets/icon.svg") }))
        .route("/v1/fleet", get(data))
        .route("/v1/stream", get(listen))
        .layer(middleware::from_fn(guard::guard))
        .with_state(Served { fleet, opens })
}

async fn whole(State(served): State<Served>) -> Response {
    let shown = served.fleet.shown();
    let html = page(&shown.moment, shown.age_ms()).into_string();
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response()
}

async fn data(State(served): State<Served>) -> Response {
    Json(&served.fleet.shown().moment).into_response()
}

/// Opens the way to a job's page, and leads there. Only of jobs that the page shows: nobody has a
/// way opened to what was not looked at.
async fn open(
    State(served): State<Served>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let shown = served.fleet.shown();
    let is_it = |row: &&super::FleetRow| row.namespace == namespace && row.name == name;
    if !shown.moment.rows.iter().any(|row| is_it(&row)) {
        return (StatusCode::NOT_FOUND, format!("no job {namespace}/{name} here\n"))
            .into_response();
    }
    let opens = Arc::clone(&served.opens);
    let opened = tokio::task::spawn_blocking(move || opens(&namespace, &name)).await;
    match opened {
        Ok(Ok(url)) => Redirect::to(&url).into_response(),
        Ok(Err(why)) => (StatusCode::BAD_GATEWAY, format!("{why}\n")).into_response(),
        Err(_) => (StatusCode::BAD_GATEWAY, "the way could not be opened\n").into_response(),
    }
}

struct Listener {
    moments: watch::Receiver<Arc<Shown>>,
    /// What the page has.
    sent: BTreeMap<&'static str, String>,
    first: bool,
}

async fn listen(State(served): State<Served>) -> Response {
    let moments = served.fleet.0.subscribe();
    let listener = Listener { moments, sent: BTreeMap::new(), first: true };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

impl Listener {
    /// The next event; none when the process ends.
    async fn next(&mut self) -> Option<Event> {
        if !std::mem::take(&mut self.first) {
            tokio::select! {
                changed = self.moments.changed() => changed.ok()?,
                // A page that hears nothing believes that nobody is there.
                () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            }
        }
        let shown = self.moments.borrow_and_update().clone();
        let moment = &shown.moment;
        let mut changed = BTreeMap::new();
        for (name, html) in fragments(moment) {
            let html = html.into_string();
            if self.sent.get(name) != Some(&html) {
                changed.insert(name, html.clone());
                self.sent.insert(name, html);
            }
        }
        let said = serde_json::json!({
            "atMs": moment.at_ms, "ageMs": shown.age_ms(), "parts": changed,
        });
        Some(Event::default().event("fragments").data(said.to_string()))
    }
}

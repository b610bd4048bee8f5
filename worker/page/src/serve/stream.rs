//! `/v1/stream`: what changes, as server-sent events.
//!
//! A program gets `snapshot` on connecting and once a second, and `operation` and `failure` at once.
//! A page asks with `view=…` and gets `fragments` instead: its parts that have changed, rendered. A
//! listener that is slow gets the newest and misses what was between; nobody waits for it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::IntoResponse;
use axum::response::Response;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::stream;
use serde::Deserialize;
use tokio::sync::{broadcast, watch};

use super::Page;
use crate::hub::{Hub, Moment, News};
use crate::render::{Subject, View};

/// A comment is sent so often when there is nothing else.
const ALIVE: Duration = Duration::from_secs(15);
/// A page is told this often that it is heard, if nothing else is to be told.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    /// `job`, `operator`, `checkpoints`, `program` or `log`; absent: data.
    view: Option<String>,
    operator: Option<String>,
    attempt: Option<u64>,
    range: Option<String>,
    rows: Option<String>,
}

impl Wanted {
    fn view(self) -> Option<View> {
        let by_minute = self.range.as_deref() == Some("24h");
        let uid = self.operator.clone().unwrap_or_default();
        let (subject, operator) = match self.view.as_deref()? {
            "operator" => (Subject::Operator(uid), None),
            "checkpoints" => (Subject::Checkpoints(self.attempt), None),
            "program" => (Subject::Program, self.operator),
            "log" => (Subject::Log, None),
            _ => (Subject::Job, self.operator),
        };
        let rows = super::looks_at_rows(self.rows.as_deref());
        Some(View { subject, by_minute, operator, rows })
    }
}

struct Listener {
    hub: Arc<Hub>,
    view: Option<View>,
    moments: watch::Receiver<Arc<Moment>>,
    news: broadcast::Receiver<News>,
    /// What the page has.
    sent: BTreeMap<&'static str, String>,
    first: bool,
}

pub(super) async fn stream(State(page): State<Page>, Query(wanted): Query<Wanted>) -> Response {
    let hub = page.hub;
    let (moments, news) = (hub.watch(), hub.news());
    let view = wanted.view();
    let listener = Listener { hub, view, moments, news, sent: BTreeMap::new(), first: true };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(ALIVE)).into_response()
}

impl Listener {
    /// The next event; none when the process ends.
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.first) {
            self.moments.mark_unchanged();
            return Some(self.event());
        }
        loop {
            tokio::select! {
                changed = self.moments.changed() => {
                    changed.ok()?;
                    self.moments.mark_unchanged();
                    return Some(self.event());
                }
                news = self.news.recv() => match news {
                    Ok(_) if self.view.is_some() => {}
                    Ok(News::Operation(done)) => return Some(json("operation", &done)),
                    Ok(News::Failure(failure)) => return Some(json("failure", &failure)),
                    // Those are in `/v1/operations` and `/v1/failures`.
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                // A page that hears nothing believes that nobody is there.
                () = tokio::time::sleep(SIGN_OF_LIFE), if self.view.is_some() => {
                    return Some(self.event());
                }
            }
        }
    }

    fn event(&mut self) -> Event {
        let moment = self.hub.moment();
        let id = moment.snapshot.sequence.to_string();
        let Some(view) = &self.view else {
            return json("snapshot", &moment.snapshot).id(id);
        };
        let fragments = self.hub.fragments(view);
        let mut changed = BTreeMap::new();
        for (name, html) in fragments.iter() {
            if self.sent.get(name).is_none_or(|sent| sent != html.as_str()) {
                changed.insert(*name, html.as_str());
                self.sent.insert(name, html.as_str().to_owned());
            }
        }
        let at_ms = moment.snapshot.at_ms;
        json("fragments", &serde_json::json!({"atMs": at_ms, "parts": changed})).id(id)
    }
}

fn json(name: &str, value: &impl serde::Serialize) -> Event {
    // Values of this crate always become JSON.
    Event::default().event(name).data(serde_json::to_string(value).unwrap_or_default())
}

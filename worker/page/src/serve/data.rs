//! `/v1/…`: the same as the pages show, for programs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use weir_protocol::view::CheckpointRecord;

use super::{Page, missing};
use crate::hub::Hub;
use crate::render::ROWS_ARE_HIDDEN;

/// What workers are asked for is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// The job now; 503 with the reason where this process does not coordinate it.
pub(super) async fn snapshot(State(page): State<Page>) -> Response {
    let moment = page.hub.moment();
    match moment.elsewhere.as_str() {
        "" => Json(&moment.snapshot).into_response(),
        why => unavailable(why),
    }
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Since {
    /// Milliseconds since 1970.
    #[serde(default)]
    since: u64,
    /// `24h`: a point a minute.
    range: Option<String>,
}

/// What it was like.
pub(super) async fn history(State(page): State<Page>, Query(asked): Query<Since>) -> Response {
    let by_minute = asked.range.as_deref() == Some("24h");
    Json(page.hub.history(by_minute, asked.since)).into_response()
}

/// The newest attempts, newest first, without what each task took.
pub(super) async fn checkpoints(State(page): State<Page>) -> Response {
    let moment = page.hub.moment();
    let records = moment.checkpoints.iter().rev();
    let without =
        |record: &CheckpointRecord| CheckpointRecord { tasks: Vec::new(), ..record.clone() };
    Json(records.map(|record| without(record)).collect::<Vec<_>>()).into_response()
}

/// One of them, by epoch, with what each task took.
pub(super) async fn checkpoint(State(page): State<Page>, Path(epoch): Path<u64>) -> Response {
    let moment = page.hub.moment();
    match moment.checkpoints.iter().find(|record| record.epoch == epoch && epoch > 0) {
        Some(record) => Json(&**record).into_response(),
        None => {
            missing(&format!("checkpoint {epoch} is not among the last ones of this coordinator"))
        }
    }
}

/// What was done, newest first.
pub(super) async fn operations(State(page): State<Page>) -> Response {
    let moment = page.hub.moment();
    Json(moment.ledger.operations.iter().rev().collect::<Vec<_>>()).into_response()
}

/// What went wrong, newest first.
pub(super) async fn failures(State(page): State<Page>) -> Response {
    let moment = page.hub.moment();
    Json(moment.ledger.failures.iter().rev().collect::<Vec<_>>()).into_response()
}

/// What the key groups of an operator are like, once its workers have said it: within about two
/// seconds where nobody has looked at it before.
pub(super) async fn key_groups(State(page): State<Page>, Path(uid): Path<String>) -> Response {
    let moment = page.hub.moment();
    if !moment.elsewhere.is_empty() {
        return unavailable(&moment.elsewhere);
    }
    match moment.snapshot.operator(&uid) {
        None => return missing(&format!("the job has no operator {uid}")),
        Some((_, operator)) if !operator.stateful => {
            return missing(&format!("{} keeps no state by key", operator.name));
        }
        Some(_) => {}
    }
    asked(&page.hub, || page.hub.look(&uid, false).map(|looked| looked.groups)).await
}

/// A few of the rows that an operator gave since somebody looks, where rows may be shown.
pub(super) async fn sample(State(page): State<Page>, Path(uid): Path<String>) -> Response {
    let moment = page.hub.moment();
    if !moment.elsewhere.is_empty() {
        return unavailable(&moment.elsewhere);
    }
    if moment.snapshot.operator(&uid).is_none() {
        return missing(&format!("the job has no operator {uid}"));
    }
    if !page.hub.program.shows_rows {
        return (StatusCode::FORBIDDEN, format!("{ROWS_ARE_HIDDEN}\n")).into_response();
    }
    asked(&page.hub, || page.hub.look(&uid, true).map(|looked| looked.rows)).await
}

/// Asks with each new moment until there is an answer. `None`: more is looked at than may be.
async fn asked<T: serde::Serialize>(
    hub: &Hub,
    ask: impl Fn() -> Option<Option<Arc<T>>>,
) -> Response {
    let answered = async {
        let mut moments = hub.watch();
        loop {
            moments.mark_unchanged();
            match ask() {
                None => return unavailable("as many operators are looked at as may be: close one"),
                Some(Some(answer)) => return Json(&*answer).into_response(),
                Some(None) if moments.changed().await.is_err() => break,
                Some(None) => {}
            }
        }
        unavailable("the process ends")
    };
    let answered = tokio::time::timeout(PATIENCE, answered).await;
    answered.unwrap_or_else(|_| unavailable("nothing has come from the workers yet: ask again"))
}

fn unavailable(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

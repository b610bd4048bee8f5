//! `/v1/…`: the same as the pages show, for programs.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use weir_protocol::view::CheckpointRecord;

use super::{Page, missing};

/// The job now; 503 with the reason where this process does not coordinate it.
pub(super) async fn snapshot(State(page): State<Page>) -> Response {
    let moment = page.hub.moment();
    match moment.elsewhere.as_str() {
        "" => Json(&moment.snapshot).into_response(),
        why => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
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

//! What kubelet and Prometheus ask over HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use weir_page::Hub;

use super::metrics::{self, Settings};
use super::shared::Shared;

#[derive(Clone)]
struct Pages {
    shared: Arc<Shared>,
    hub: Arc<Hub>,
    settings: Arc<Settings>,
}

/// `/livez`, `/readyz` and `/metrics`.
pub(crate) fn router(shared: Arc<Shared>, hub: Arc<Hub>, settings: Settings) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .with_state(Pages { shared, hub, settings: Arc::new(settings) })
}

/// Serves until the listener fails.
pub(crate) async fn serve(listener: TcpListener, pages: Router) -> std::io::Result<()> {
    axum::serve(listener, pages).await
}

async fn readyz(State(pages): State<Pages>) -> (StatusCode, String) {
    match pages.shared.readiness() {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn show_metrics(State(pages): State<Pages>) -> Response {
    match metrics::render(&pages.shared, &pages.hub, &pages.settings) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

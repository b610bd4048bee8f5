//! `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics::Metrics;

const PAGES: &str = "there are /livez, /readyz and /metrics\n";

#[derive(Clone)]
struct Pages {
    metrics: Metrics,
    ready: Arc<AtomicBool>,
}

/// The pages. `ready`: the API server has answered once.
fn router(metrics: Metrics, ready: Arc<AtomicBool>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(show_metrics))
        .fallback(|| async { (StatusCode::NOT_FOUND, PAGES) })
        .with_state(Pages { metrics, ready })
}

/// Answers until the process ends. `ready`: the API server has answered once.
pub async fn serve(listener: TcpListener, metrics: Metrics, ready: Arc<AtomicBool>) {
    if let Err(error) = axum::serve(listener, router(metrics, ready)).await {
        tracing::error!(%error, "probes and metrics are not served any more");
    }
}

async fn readyz(State(pages): State<Pages>) -> (StatusCode, &'static str) {
    match pages.ready.load(Ordering::SeqCst) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered yet\n"),
    }
}

async fn show_metrics(State(pages): State<Pages>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], pages.metrics.render())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn status(method: &str, path: &str, ready: bool) -> u16 {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let pages = router(Metrics::default(), Arc::new(AtomicBool::new(ready)));
        pages.oneshot(request).await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn readiness_follows_the_api_server_and_liveness_does_not() {
        assert_eq!(status("GET", "/livez", false).await, 200);
        assert_eq!(status("GET", "/readyz", false).await, 503);
        assert_eq!(status("GET", "/readyz?verbose", true).await, 200);
        assert_eq!(status("POST", "/metrics", true).await, 405);
        assert_eq!(status("GET", "/metrics", false).await, 200);
        assert_eq!(status("GET", "/", true).await, 404);
    }
}

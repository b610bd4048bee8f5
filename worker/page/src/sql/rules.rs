//! What a request that does something has to bring along; see the module's table.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{SqlPage, problem};

/// The header with the process's token.
const TOKEN: &str = "x-weir-token";

/// Answers what the page itself asks for, alone.
pub(super) async fn rules(
    State(page): State<Arc<SqlPage>>,
    request: Request,
    next: Next,
) -> Response {
    match refused(request.headers(), &page.token) {
        Some((status, why)) => problem(status, why),
        None => next.run(request).await,
    }
}

/// Why a request is not answered. Whether `Host` and `Origin` are this machine's and each other's is
/// seen to for all requests (`serve::guard`).
fn refused(headers: &HeaderMap, token: &str) -> Option<(StatusCode, &'static str)> {
    if !headers.contains_key(header::ORIGIN) {
        return Some((
            StatusCode::FORBIDDEN,
            "a request that does something has to say its Origin",
        ));
    }
    let given = headers.get(TOKEN).map(|value| value.as_bytes()).unwrap_or_default();
    if !is_same(given, token.as_bytes()) {
        return Some((
            StatusCode::FORBIDDEN,
            "the token of this process is missing: open the page by the address that the terminal \
             shows, with what stands behind '#'",
        ));
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Some((StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json"));
    }
    None
}

/// Whether two texts are the same; how long that takes tells nothing of where they differ.
fn is_same(a: &[u8], b: &[u8]) -> bool {
    !b.is_empty()
        && a.len() == b.len()
        && a.iter().zip(b).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

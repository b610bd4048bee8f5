//! Who gets an answer.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Nothing comes from elsewhere, nothing is sent elsewhere, nobody shows the page in a frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Names of this machine: what `weir run` and `kubectl port-forward` say that they listen at.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// Answers requests of this machine's browser alone, and says what a page may do.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refused(request.headers()) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Why a request is not answered.
fn refused(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?"));
    let Some(host) = text(header::HOST) else {
        return Some("the request names no host".to_owned());
    };
    if !is_here(host) {
        return Some(format!(
            "this page is for this machine alone: open it as 127.0.0.1, not as {host}"
        ));
    }
    // A site that asks in a way that carries no Origin, such as for a picture. To follow a link is
    // no such thing.
    let asks = text(HeaderName::from_static("sec-fetch-site"));
    let is_link = text(HeaderName::from_static("sec-fetch-mode")) == Some("navigate");
    if matches!(asks, Some("cross-site" | "same-site")) && !is_link {
        return Some("another site asks: it gets no answer here".to_owned());
    }
    let origin = text(header::ORIGIN)?;
    let site = origin.strip_prefix("http://").filter(|site| *site == host);
    site.is_none().then(|| format!("{origin} is another site: it gets no answer here"))
}

/// Whether a host, with or without a port, is this machine.
fn is_here(host: &str) -> bool {
    HOSTS.iter().any(|here| {
        host.strip_prefix(here).is_some_and(|port| {
            let digits = port.strip_prefix(':');
            port.is_empty()
                || digits.is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(host: &'static str, origin: Option<&'static str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        }
        refused(&headers)
    }

    #[test]
    fn only_this_machine_and_its_own_pages_get_an_answer() {
        for host in ["127.0.0.1:8081", "localhost:8081", "[::1]:8081", "localhost"] {
            assert_eq!(asked(host, None), None, "{host}");
        }
        for host in [
            "evil.example:8081",
            "127.0.0.1.evil.example",
            "localhost:80x",
            "10.0.0.1",
            "localhost:",
        ] {
            assert!(asked(host, None).is_some(), "{host}");
        }
        let here = "127.0.0.1:8081";
        assert_eq!(asked(here, Some("http://127.0.0.1:8081")), None);
        for origin in
            ["https://evil.example", "http://127.0.0.1:9000", "http://localhost:8081", "null"]
        {
            assert!(asked(here, Some(origin)).is_some(), "{origin}");
        }
        assert!(refused(&HeaderMap::new()).is_some(), "no host");
        for (site, mode, is_answered) in [
            ("cross-site", "no-cors", false),
            ("same-site", "no-cors", false),
            ("cross-site", "navigate", true),
            ("same-origin", "cors", true),
            ("none", "navigate", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(here));
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            headers.insert("sec-fetch-mode", HeaderValue::from_static(mode));
            assert_eq!(refused(&headers).is_none(), is_answered, "{site} {mode}");
        }
    }
}

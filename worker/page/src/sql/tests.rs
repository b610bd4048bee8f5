//! Who may run SQL here: one test a rule of the module's table.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use futures::stream;
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tower::ServiceExt;

use super::view::{RowsUpdate, RunState};
use super::*;
use crate::serve::ASSETS;

const HERE: &str = "127.0.0.1:8081";
const ORIGIN: &str = "http://127.0.0.1:8081";
const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const RUN: &str = "a-name-of-a-run";

/// Notes what comes through.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Workbench for Notes {
    fn words(&self) -> Words {
        Words { keywords: vec!["SELECT"], functions: vec!["UPPER"] }
    }

    fn check(&self, text: &str) -> Checked {
        self.0.lock().push(format!("check {text}"));
        Checked::default()
    }

    fn complete(&self, text: &str, offset: usize) -> Completed {
        self.0.lock().push(format!("complete {text} {offset}"));
        Completed::default()
    }

    fn manifest(&self, asked: &ManifestAsked) -> Result<String, Vec<Diagnostic>> {
        self.0.lock().push(format!("manifest {}", asked.name));
        Ok("kind: StreamJob".to_owned())
    }

    fn run(&self, asked: &RunAsked) -> Result<String, Refused> {
        self.0.lock().push(format!("run {}", asked.text));
        match asked.text.as_str() {
            "busy" => Err(Refused::Busy("stop one".to_owned())),
            _ => Ok(RUN.to_owned()),
        }
    }

    fn stop(&self, run: &str) -> bool {
        self.0.lock().push(format!("stop {run}"));
        run == RUN
    }

    fn follow(&self, run: &str) -> Option<BoxStream<'static, Update>> {
        let state = Update::State(RunState { ended: true, ..RunState::default() });
        let rows = Update::Rows(RowsUpdate::default());
        (run == RUN).then(|| stream::iter([rows, state]).boxed())
    }
}

const ACTING: [(&str, &str); 5] = [
    ("check", r#"{"text": "SELECT 1"}"#),
    ("complete", r#"{"text": "SEL", "offset": 3}"#),
    ("manifest", r#"{"text": "SELECT 1", "name": "a", "parallelism": 1}"#),
    ("run", r#"{"text": "SELECT 1"}"#),
    ("stop", r#"{"run": "a-name-of-a-run"}"#),
];

/// The headers that the page itself sends.
const PROPER: [(&str, &str); 4] = [
    ("host", HERE),
    ("origin", ORIGIN),
    ("x-weir-token", TOKEN),
    ("content-type", "application/json"),
];

struct Asking {
    notes: Arc<Notes>,
    router: Router,
}

impl Asking {
    fn new() -> Self {
        let notes = Arc::new(Notes::default());
        let bench = Arc::clone(&notes) as Arc<dyn Workbench>;
        let text = "SELECT '<script>alert(1)</script>\" x=\"';".to_owned();
        let page = SqlPage::new(bench, TOKEN.to_owned(), text, "/data".to_owned());
        Self { notes, router: router(Arc::new(page)) }
    }

    /// The answer to a request with these headers.
    async fn ask(
        &self,
        (method, path): (Method, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, axum::http::HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Each that acts, with the proper headers but for these; none may come through.
    async fn refused(&self, instead: &[(&str, Option<&str>)], expected: StatusCode) {
        for (what, body) in ACTING {
            let mut headers = PROPER.to_vec();
            for (name, value) in instead {
                headers.retain(|(known, _)| known != name);
                headers.extend(value.map(|value| (*name, value)));
            }
            let path = format!("/v1/sql/{what}");
            let (status, _, answer) = self.ask((Method::POST, &path), &headers, body).await;
            assert_eq!(status, expected, "{what} {instead:?}: {answer}");
            assert!(self.notes.0.lock().is_empty(), "{what} {instead:?} came through");
        }
    }
}

#[tokio::test]
async fn what_the_page_asks_for_is_answered() {
    let asking = Asking::new();
    for (what, body) in ACTING {
        let path = format!("/v1/sql/{what}");
        let (status, headers, answer) = asking.ask((Method::POST, &path), &PROPER, body).await;
        assert_eq!(status, StatusCode::OK, "{what}: {answer}");
        assert!(!headers.contains_key("access-control-allow-origin"), "{what}: {headers:?}");
    }
    assert_eq!(asking.notes.0.lock().len(), ACTING.len());
    let mut headers = PROPER.to_vec();
    headers.retain(|(name, _)| *name != "content-type");
    headers.push(("content-type", "Application/JSON; charset=utf-8"));
    let (status, ..) =
        asking.ask((Method::POST, "/v1/sql/check"), &headers, r#"{"text": ""}"#).await;
    assert_eq!(status, StatusCode::OK);
}

#[tokio::test]
async fn another_host_gets_nothing() {
    let asking = Asking::new();
    for host in ["evil.example:8081", "10.0.0.1:8081", "127.0.0.1.evil.example", ""] {
        let origin = format!("http://{host}");
        let instead = [("host", Some(host)), ("origin", Some(origin.as_str()))];
        asking.refused(&instead, StatusCode::FORBIDDEN).await;
        for path in ["/", "/sql", "/v1/sql/words", "/v1/sql/runs/a-name-of-a-run"] {
            let (status, _, answer) = asking.ask((Method::GET, path), &[("host", host)], "").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{host} {path}: {answer}");
        }
    }
    asking.refused(&[("host", None)], StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn another_origin_or_none_gets_nothing() {
    let asking = Asking::new();
    for origin in [
        "http://evil.example",
        "http://evil.example:8081",
        "http://127.0.0.1:9000",
        "http://localhost:8081",
        "https://127.0.0.1:8081",
        "null",
        "",
    ] {
        asking.refused(&[("origin", Some(origin))], StatusCode::FORBIDDEN).await;
        let headers = [("host", HERE), ("origin", origin)];
        for path in ["/sql", "/v1/sql/runs/a-name-of-a-run"] {
            let (status, ..) = asking.ask((Method::GET, path), &headers, "").await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{origin} {path}");
        }
    }
    asking.refused(&[("origin", None)], StatusCode::FORBIDDEN).await;
    let from = [("sec-fetch-site", Some("cross-site")), ("sec-fetch-mode", Some("no-cors"))];
    asking.refused(&from, StatusCode::FORBIDDEN).await;
    // What another site asks for beforehand is not granted.
    let preflight = [
        ("host", HERE),
        ("origin", "http://evil.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "x-weir-token"),
    ];
    let (status, headers, _) = asking.ask((Method::OPTIONS, "/v1/sql/run"), &preflight, "").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
}

#[tokio::test]
async fn without_the_token_nothing_is_done_and_no_answer_holds_it() {
    let asking = Asking::new();
    let other = TOKEN.replace('f', "e");
    for token in [None, Some(""), Some("0"), Some(other.as_str()), Some(&TOKEN[1..])] {
        asking.refused(&[("x-weir-token", token)], StatusCode::FORBIDDEN).await;
    }
    for path in ["/sql", "/v1/sql/words", "/v1/sql/runs/a-name-of-a-run", "/assets/sql.js"] {
        let (_, headers, answer) = asking.ask((Method::GET, path), &[("host", HERE)], "").await;
        assert!(!answer.contains(TOKEN) && !format!("{headers:?}").contains(TOKEN), "{path}");
    }
}

#[tokio::test]
async fn a_process_without_a_token_does_nothing() {
    let notes = Arc::new(Notes::default());
    let bench = Arc::clone(&notes) as Arc<dyn Workbench>;
    let page = SqlPage::new(bench, String::new(), String::new(), String::new());
    let asking = Asking { notes, router: router(Arc::new(page)) };
    asking.refused(&[("x-weir-token", Some(""))], StatusCode::FORBIDDEN).await;
}

#[tokio::test]
async fn what_a_form_can_send_is_refused() {
    let asking = Asking::new();
    for kind in [
        Some("application/x-www-form-urlencoded"),
        Some("multipart/form-data; boundary=x"),
        Some("text/plain"),
        Some("text/plain; application/json"),
        None,
    ] {
        asking.refused(&[("content-type", kind)], StatusCode::UNSUPPORTED_MEDIA_TYPE).await;
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
        for (what, body) in ACTING {
            let path = format!("/v1/sql/{what}");
            let (status, ..) = asking.ask((method.clone(), &path), &PROPER, body).await;
            assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{method} {what}");
        }
    }
    assert!(asking.notes.0.lock().is_empty());
}

#[tokio::test]
async fn a_text_has_a_bound_and_a_fault_says_what_it_is() {
    let asking = Asking::new();
    let long = format!(r#"{{"text": "{}"}}"#, "x".repeat(MAX_BODY));
    let (status, ..) = asking.ask((Method::POST, "/v1/sql/run"), &PROPER, &long).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    for body in ["", "{", "{}", r#"{"text": 3}"#] {
        let (status, _, answer) = asking.ask((Method::POST, "/v1/sql/run"), &PROPER, body).await;
        assert!(status.is_client_error() && answer.contains("error"), "{body}: {status} {answer}");
    }
    assert!(asking.notes.0.lock().is_empty());
    let busy = r#"{"text": "busy"}"#;
    let (status, _, answer) = asking.ask((Method::POST, "/v1/sql/run"), &PROPER, busy).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(answer, r#"{"error":"stop one"}"#);
}

#[tokio::test]
async fn rows_are_for_who_knows_the_name_of_the_run() {
    let asking = Asking::new();
    let here = [("host", HERE)];
    let (status, headers, answer) =
        asking.ask((Method::GET, "/v1/sql/runs/a-name-of-a-run"), &here, "").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(headers[header::CONTENT_TYPE], "text/event-stream");
    assert!(answer.contains("event: rows") && answer.contains("event: state"), "{answer}");
    for name in ["", "other", "..", "a-name-of-a-ru"] {
        let path = format!("/v1/sql/runs/{name}");
        let (status, ..) = asking.ask((Method::GET, &path), &here, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{name}");
    }
}

#[tokio::test]
async fn the_page_takes_nothing_from_its_address_and_loads_nothing_from_elsewhere() {
    let asking = Asking::new();
    let here = [("host", HERE)];
    let (status, headers, answer) = asking
        .ask((Method::GET, "/sql?text=DROP&sql=DROP&token=0123456789abcdef"), &here, "")
        .await;
    assert_eq!(status, StatusCode::OK);
    assert!(!answer.contains("DROP") && !answer.contains("0123456789abcdef"), "{answer}");
    assert!(!answer.contains("<script>alert"), "{answer}");
    let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"));
    assert!(policy.contains("frame-ancestors 'none'"));
    let elsewhere = answer.split(['"', '\'']).find(|part| part.contains("//"));
    assert_eq!(elsewhere, None);
}

/// A script may hold passwords.
#[tokio::test]
async fn what_the_page_begins_with_is_had_with_the_token_alone() {
    let asking = Asking::new();
    let path = "/v1/sql/begun";
    let (status, _, answer) = asking.ask((Method::POST, path), &PROPER, "{}").await;
    assert_eq!(status, StatusCode::OK);
    let begun: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let text = begun["text"].as_str().unwrap();
    assert!(!text.is_empty() && begun["folder"] == "/data", "{answer}");
    let without: Vec<_> = PROPER.into_iter().filter(|(name, _)| *name != "x-weir-token").collect();
    let (status, _, answer) = asking.ask((Method::POST, path), &without, "{}").await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(!answer.contains(text) && !answer.contains("/data"), "{answer}");
    let (_, _, page) = asking.ask((Method::GET, "/sql"), &[("host", HERE)], "").await;
    assert!(!page.contains(text) && !page.contains("/data"), "{page}");
}

/// Pods serve the page of their job.
#[tokio::test]
async fn the_page_of_a_job_has_none_of_it() {
    let hub = crate::Hub::new(crate::Program::default());
    let asking = Asking { notes: Arc::default(), router: crate::router(hub) };
    for (what, body) in ACTING {
        let path = format!("/v1/sql/{what}");
        let (status, ..) = asking.ask((Method::POST, &path), &PROPER, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{what}");
    }
    for path in ["/sql", "/assets/codemirror.js"] {
        let (status, ..) = asking.ask((Method::GET, path), &[("host", HERE)], "").await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// What this page loads beside those of all pages, which have a bound of their own.
#[test]
fn the_editor_is_small_enough_and_what_was_built() {
    let sizes: Vec<(&str, usize)> = EDITOR.iter().map(|a| (a.name, a.gzipped.len())).collect();
    let size = |name: &str| sizes.iter().find(|(n, _)| *n == name).map_or(0, |(_, size)| *size);
    assert!((100_000..150_000).contains(&size("codemirror.js")), "{sizes:?}");
    assert!(size("sql.js") + size("sql.css") < 15_000, "{sizes:?}");
    assert!(ASSETS.iter().all(|asset| !["codemirror.js", "sql.js"].contains(&asset.name)));
    // Nobody edits what is built: `editor/build.sh` makes it anew.
    let editor = EDITOR.iter().find(|asset| asset.name == "codemirror.js").unwrap();
    expect_test::expect!["eec8a2ae9c64d1a1"].assert_eq(&editor.tag);
}

//! Spans to a collector: OTLP over HTTP as JSON, which every collector takes at port 4318.
//!
//! In the clear: a collector is beside what it collects from, as a sidecar, on the node or in the
//! cluster, and goes on from there as it likes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Span;

/// What waits for a collector; more is dropped.
const MAX_WAITING: usize = 64;
/// A collector answers within.
const LIMIT: Duration = Duration::from_secs(5);
/// The standard's names for where a collector is: all signals', and that of traces alone.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// Sends spans beside the work.
#[derive(Clone, Debug)]
pub struct Exporter(mpsc::Sender<Vec<Span>>);

/// Where a collector takes traces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Endpoint {
    /// `host:port`.
    pub(super) address: String,
    pub(super) path: String,
}

impl Endpoint {
    /// From an address of the standard; `path` is added to it.
    pub(super) fn parse(url: &str, path: &str) -> Result<Self, String> {
        let rest = url.strip_prefix("http://").ok_or_else(|| {
            format!(
                "{url}: traces go to a collector by http alone, such as http://collector:4318; let \
                 one that is near pass them on"
            )
        })?;
        let (host, base) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() {
            return Err(format!("{url}: names no host; write http://collector:4318"));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if has_port { host.to_owned() } else { format!("{host}:80") };
        let base = base.trim_end_matches('/');
        let path = if base.is_empty() { path.to_owned() } else { format!("/{base}{path}") };
        Ok(Self { address, path: if path.is_empty() { "/".to_owned() } else { path } })
    }
}

impl Exporter {
    /// To the collector that the environment names; none where it names none. `service`: who sends.
    ///
    /// # Errors
    /// When what it names is no place to send to.
    pub fn from_env(service: &str) -> Result<Option<Self>, String> {
        let named = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let endpoint = match (named(TRACES_ENDPOINT), named(ENDPOINT)) {
            (Some(url), _) => {
                Endpoint::parse(&url, "").map_err(|e| format!("{TRACES_ENDPOINT}={e}"))?
            }
            (None, Some(url)) => {
                Endpoint::parse(&url, "/v1/traces").map_err(|e| format!("{ENDPOINT}={e}"))?
            }
            (None, None) => return Ok(None),
        };
        Ok(Some(Self::start(endpoint, service)))
    }

    pub(super) fn start(endpoint: Endpoint, service: &str) -> Self {
        let (sender, mut waiting) = mpsc::channel::<Vec<Span>>(MAX_WAITING);
        let service = service.to_owned();
        tokio::spawn(async move {
            let mut fails = false;
            while let Some(spans) = waiting.recv().await {
                let body = body(&service, &spans).to_string();
                let sent = timeout(LIMIT, post(&endpoint, &body)).await;
                let sent = sent.unwrap_or_else(|_| Err(format!("no answer within {LIMIT:?}")));
                // Said once, until it is well again.
                match &sent {
                    Err(error) if !fails => {
                        tracing::warn!(%error, at = endpoint.address, "traces are not taken");
                    }
                    Ok(()) if fails => tracing::info!("traces are taken again"),
                    _ => {}
                }
                fails = sent.is_err();
            }
        });
        Self(sender)
    }

    /// Sends these in a while. Where a collector is too slow they are dropped.
    pub fn send(&self, spans: Vec<Span>) {
        if !spans.is_empty() && self.0.try_send(spans).is_err() {
            tracing::debug!("the collector is too slow: spans were dropped");
        }
    }
}

async fn post(endpoint: &Endpoint, body: &str) -> Result<(), String> {
    let sent = async {
        let mut stream = TcpStream::connect(&endpoint.address).await?;
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n",
            endpoint.path,
            endpoint.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        let mut answer = [0; 512];
        let length = stream.read(&mut answer).await?;
        Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer[..length]).into_owned())
    };
    let answer = sent.await.map_err(|error| error.to_string())?;
    let line = answer.lines().next().unwrap_or_default();
    match line.split_whitespace().nth(1) {
        Some(code) if code.starts_with('2') => Ok(()),
        _ => Err(format!("{} answers `{line}`", endpoint.path)),
    }
}

/// As the protocol writes it: `ExportTraceServiceRequest` in JSON.
pub(super) fn body(service: &str, spans: &[Span]) -> Value {
    let text = |name: &str, value: &str| json!({"key": name, "value": {"stringValue": value}});
    let spans = spans.iter().map(|span| {
        let attributes: Vec<Value> =
            span.attributes.iter().map(|(name, value)| text(name, value)).collect();
        let mut written = json!({
            "traceId": format!("{:032x}", span.trace),
            "spanId": format!("{:016x}", span.id),
            "name": span.name,
            // Internal: neither end of a call.
            "kind": 1,
            // 64 bits are texts in JSON.
            "startTimeUnixNano": (span.begin_us * 1_000).to_string(),
            "endTimeUnixNano": (span.end_us * 1_000).to_string(),
            "attributes": attributes,
        });
        if span.parent != 0 {
            written["parentSpanId"] = format!("{:016x}", span.parent).into();
        }
        if !span.problem.is_empty() {
            written["status"] = json!({"code": 2, "message": span.problem});
        }
        written
    });
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            text("service.name", service),
            text("service.version", env!("CARGO_PKG_VERSION")),
        ]},
        "scopeSpans": [{"scope": {"name": "weir"}, "spans": spans.collect::<Vec<_>>()}],
    }]})
}

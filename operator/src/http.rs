//! `/livez`, `/readyz` and `/metrics`. Three fixed answers need no framework: one request a
//! connection, its head within 8 KiB and two seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::metrics::Metrics;

const LONGEST_HEAD: usize = 8 * 1024;
const TIMEOUT: Duration = Duration::from_secs(2);
const MOST_CONNECTIONS: usize = 64;

/// Answers until the process ends. `ready`: the API server has answered once.
pub async fn serve(listener: TcpListener, metrics: Metrics, ready: Arc<AtomicBool>) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (metrics, ready) = (metrics.clone(), ready.clone());
        tokio::spawn(async move {
            // A client that goes away is its own business.
            let _gone = tokio::time::timeout(TIMEOUT, answer(stream, &metrics, &ready)).await;
            drop(place);
        });
    }
}

async fn answer(
    mut stream: TcpStream,
    metrics: &Metrics,
    ready: &AtomicBool,
) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= LONGEST_HEAD || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let head = String::from_utf8_lossy(&head);
    let mut words = head.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, kind, body) = reply(method, path, metrics, ready.load(Ordering::SeqCst));
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

fn reply(
    method: &str,
    path: &str,
    metrics: &Metrics,
    ready: bool,
) -> (&'static str, &'static str, String) {
    let text = "text/plain; charset=utf-8";
    let path = path.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", "/livez") => ("200 OK", text, "ok\n".to_owned()),
        ("GET", "/readyz") if ready => ("200 OK", text, "ok\n".to_owned()),
        ("GET", "/readyz") => {
            ("503 Service Unavailable", text, "the API server has not answered yet\n".to_owned())
        }
        ("GET", "/metrics") => ("200 OK", "text/plain; version=0.0.4", metrics.render()),
        ("GET", _) => ("404 Not Found", text, "there are /livez, /readyz and /metrics\n".into()),
        _ => ("405 Method Not Allowed", text, "only GET\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_follows_the_api_server_and_liveness_does_not() {
        let metrics = Metrics::default();
        assert!(reply("GET", "/livez", &metrics, false).0.starts_with("200"));
        assert!(reply("GET", "/readyz", &metrics, false).0.starts_with("503"));
        assert!(reply("GET", "/readyz?verbose", &metrics, true).0.starts_with("200"));
        assert!(reply("POST", "/metrics", &metrics, true).0.starts_with("405"));
    }
}

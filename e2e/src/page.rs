//! A job's page, asked without a browser.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::cache::tail;
use crate::job::{Run, repository};
use crate::process::wait_for;

/// Where pictures of pages are kept: beside the build, for whoever wants to look.
#[must_use]
pub fn pictures() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| repository().join("target")).join("page")
}

/// Where the page of a job that has just begun listens, as its first line says.
///
/// # Errors
/// When no such line comes within `limit`.
pub fn address(run: &Run, limit: Duration) -> Result<String> {
    let mut address = String::new();
    wait_for("the address of the page", limit, || {
        let log = run.log();
        let found =
            log.split_once("  page http://").and_then(|(_, rest)| rest.split_whitespace().next());
        address = found.unwrap_or_default().to_owned();
        Ok(!address.is_empty())
    })
    .with_context(|| tail(&run.log()))?;
    Ok(address)
}

/// The first line and the body of an answer; `headers` end in line breaks.
///
/// # Errors
/// When nobody answers.
pub fn get(address: &str, path: &str, headers: &str) -> Result<(String, String)> {
    let request = format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n");
    answered(address, &request)
}

/// The first line and the body of the answer to a POST; `headers` end in line breaks.
///
/// # Errors
/// When nobody answers.
pub fn post(address: &str, path: &str, headers: &str, body: &str) -> Result<(String, String)> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    answered(address, &request)
}

fn answered(address: &str, request: &str) -> Result<(String, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

/// The job at this moment, as `/v1/snapshot` gives it.
///
/// # Errors
/// When nobody answers, or with no snapshot (as before the first).
pub fn snapshot(address: &str) -> Result<Value> {
    let (first, body) = get(address, "/v1/snapshot", &format!("Host: {address}\r\n"))?;
    ensure!(first.contains("200"), "{first}");
    Ok(serde_json::from_str(&body)?)
}

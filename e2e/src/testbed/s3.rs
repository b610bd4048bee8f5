//! A real S3 server: versitygw over a temporary folder.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use crate::cache;
use crate::process::{Process, free_port, wait_for};
use crate::testbed::Place;

const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw@v1.8.0";
const ACCESS_KEY: &str = "weir-test";
const SECRET_KEY: &str = "weir-test-secret";

/// A running server with one bucket, [`S3::BUCKET`].
#[derive(Debug)]
pub struct S3 {
    _server: Process,
    folder: TempDir,
    place: Place,
    port: u16,
}

impl S3 {
    /// The bucket.
    pub const BUCKET: &str = "weir-test";

    /// Starts a server on loopback, built first if need be.
    ///
    /// # Errors
    /// When it cannot be built or does not answer.
    pub fn start() -> Result<Self> {
        Self::start_at(Place::loopback())
    }

    /// Starts a server at a place.
    ///
    /// # Errors
    /// When it cannot be built or does not answer.
    pub fn start_at(place: Place) -> Result<Self> {
        let program = program()?;
        let folder = TempDir::with_prefix("weir-s3-")?;
        fs::create_dir(folder.path().join(Self::BUCKET))?;
        let port = free_port()?;
        let log = fs::File::create(folder.path().join(".log"))?;
        let mut server = Process::start(
            "versitygw",
            place
                .command(program)
                .args(["--port", &format!("{}:{port}", place.address), "--quiet", "posix"])
                .arg(folder.path())
                .env("ROOT_ACCESS_KEY", ACCESS_KEY)
                .env("ROOT_SECRET_KEY", SECRET_KEY)
                .stdin(Stdio::null())
                .stdout(log.try_clone()?)
                .stderr(log),
        )?;
        wait_for("the S3 server", Duration::from_secs(20), || {
            if let Some(status) = server.poll()? {
                let log = fs::read_to_string(folder.path().join(".log"))?;
                anyhow::bail!("it ended with {status}:\n{}", cache::tail(&log));
            }
            Ok(TcpStream::connect((place.address.as_str(), port)).is_ok())
        })?;
        Ok(Self { _server: server, folder, place, port })
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, as everyone who may reach it knows it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.place.address, self.port)
    }

    /// Name and value of what a client needs to be let in.
    #[must_use]
    pub fn credentials() -> [(&'static str, &'static str); 2] {
        [("AWS_ACCESS_KEY_ID", ACCESS_KEY), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)]
    }

    /// The bucket's objects as files.
    #[must_use]
    pub fn bucket_folder(&self) -> PathBuf {
        self.folder.path().join(Self::BUCKET)
    }

    /// The environment of a client that reaches the bucket through `port`: this server's own,
    /// or that of a proxy before it.
    #[must_use]
    pub fn client_environment(port: u16) -> Vec<(&'static str, String)> {
        let endpoint = format!("http://127.0.0.1:{port}");
        vec![
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT", endpoint.clone()),
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
    }
}

fn program() -> Result<PathBuf> {
    let folder = cache::folder("versitygw-1.8.0", |folder| {
        cache::run(
            Command::new("go")
                .args(["install", "-trimpath", MODULE])
                .env("GOBIN", absolute(folder)?)
                .env("CGO_ENABLED", "0"),
        )?;
        Ok(())
    })?;
    Ok(folder.join("versitygw"))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    Ok(std::path::absolute(path)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn the_server_answers_and_ends_with_its_owner() {
        let server = S3::start().expect("it starts");
        let port = server.port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 403"), "unsigned: {answer}");
        drop(server);
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "nobody listens any more");
    }
}

//! Certificates for a server of a test, made by OpenSSL's own program.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::cache;

/// The authority's certificate.
pub const AUTHORITY: &str = "ca.pem";
/// The certificate of an authority that signs nothing.
pub const OTHER_AUTHORITY: &str = "other-ca.pem";
/// The server's private key and certificate, in one file.
pub const BROKER: &str = "server.pem";

/// Makes two authorities, and a certificate for an address that the first one signs.
///
/// # Errors
/// When `openssl` (3.0 or newer) is missing or fails.
pub fn certify(folder: &Path, address: &str) -> Result<()> {
    for name in [AUTHORITY, OTHER_AUTHORITY] {
        make(folder, name, &["-subj", &format!("/CN=weir test {name}")])?;
    }
    let name = format!("subjectAltName=IP:{address}");
    let authority_key = key_of(AUTHORITY);
    make(
        folder,
        "certificate",
        &["-subj", "/CN=kafka", "-addext", &name, "-CA", AUTHORITY, "-CAkey", &authority_key],
    )?;
    let key = fs::read_to_string(folder.join(key_of("certificate")))?;
    let certificate = fs::read_to_string(folder.join("certificate"))?;
    fs::write(folder.join(BROKER), key + &certificate)?;
    Ok(())
}

fn key_of(name: &str) -> String {
    format!("{name}.key")
}

fn make(folder: &Path, name: &str, how: &[&str]) -> Result<()> {
    let mut command = Command::new("openssl");
    command
        .args(["req", "-x509", "-nodes", "-days", "2"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-keyout", &key_of(name), "-out", name])
        .args(how)
        .current_dir(folder);
    cache::run(&mut command)?;
    Ok(())
}

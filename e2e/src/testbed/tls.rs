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

/// A client's private key and certificate, in one file.
pub const CLIENT: &str = "client.pem";

/// Makes two authorities, and certificates for an address and for a client that the first one signs.
///
/// # Errors
/// When `openssl` (3.0 or newer) is missing or fails.
pub fn certify(folder: &Path, address: &str) -> Result<()> {
    for name in [AUTHORITY, OTHER_AUTHORITY] {
        make(folder, name, &["-subj", &format!("/CN=weir test {name}")])?;
    }
    sign(
        folder,
        BROKER,
        &["-subj", "/CN=kafka", "-addext", &format!("subjectAltName=IP:{address}")],
    )?;
    sign(folder, CLIENT, &["-subj", "/CN=weir"])
}

/// A key and a certificate that [`AUTHORITY`] signs, in one file.
fn sign(folder: &Path, name: &str, how: &[&str]) -> Result<()> {
    let (certificate, authority_key) = (format!("{name}.certificate"), key_of(AUTHORITY));
    let mut how = how.to_vec();
    how.extend(["-CA", AUTHORITY, "-CAkey", &authority_key]);
    make(folder, &certificate, &how)?;
    let key = fs::read_to_string(folder.join(key_of(&certificate)))?;
    fs::write(folder.join(name), key + &fs::read_to_string(folder.join(&certificate))?)?;
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

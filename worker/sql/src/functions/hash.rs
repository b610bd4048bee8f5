//! Digests, as hexadecimal text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use md5::{Digest as _, Md5};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use weir_engine::EngineError;

use super::{Function, Want, simple};
use crate::expr::Col;
use crate::expr::col::Texts;
use crate::types::Kind;

pub(super) const FUNCTIONS: &[Function] = &[
    simple("MD5", "MD5(string)", &[Want::Text], Kind::STRING, |a, n| {
        digest(a, n, |b| hex(&Md5::digest(b)))
    }),
    simple("SHA224", "SHA224(string)", &[Want::Text], Kind::STRING, |a, n| {
        digest(a, n, |b| hex(&Sha224::digest(b)))
    }),
    simple("SHA256", "SHA256(string)", &[Want::Text], Kind::STRING, |a, n| {
        digest(a, n, |b| hex(&Sha256::digest(b)))
    }),
    simple("SHA384", "SHA384(string)", &[Want::Text], Kind::STRING, |a, n| {
        digest(a, n, |b| hex(&Sha384::digest(b)))
    }),
    simple("SHA512", "SHA512(string)", &[Want::Text], Kind::STRING, |a, n| {
        digest(a, n, |b| hex(&Sha512::digest(b)))
    }),
];

fn digest(args: &[Col], rows: usize, f: impl Fn(&[u8]) -> String) -> Result<ArrayRef, EngineError> {
    let texts = Texts::of(&args[0]);
    Ok(Arc::new((0..rows).map(|r| texts.get(r).map(|t| f(t.as_bytes()))).collect::<StringArray>()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

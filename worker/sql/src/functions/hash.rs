//! Digests, as hexadecimal text.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::Int32Type;
use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use weir_engine::EngineError;

use super::{Body, Function, Simple, Want, simple};
use crate::expr::Col;
use crate::expr::col::{Prims, Texts};
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
    simple("SHA1", "SHA1(string)", &[Want::Text], Kind::STRING, |a, n| {
        digest(a, n, |b| hex(&Sha1::digest(b)))
    }),
    Function {
        name: "SHA2",
        usage: "SHA2(string, 224 | 256 | 384 | 512)",
        body: Body::Simple(Simple {
            wants: &[Want::Text, Want::Int],
            optional: 0,
            variadic: false,
            ret: Kind::STRING,
            may_be_null: false,
            fallible: true,
            run: sha2,
        }),
    },
];

fn sha2(args: &[Col], rows: usize) -> Result<ArrayRef, EngineError> {
    let (texts, lengths) = (Texts::of(&args[0]), Prims::<Int32Type>::of(&args[1]));
    let one = |row: usize| {
        let (Some(text), Some(length)) = (texts.get(row), lengths.get(row)) else {
            return Ok(None);
        };
        Ok(Some(match length {
            224 => hex(&Sha224::digest(text)),
            256 => hex(&Sha256::digest(text)),
            384 => hex(&Sha384::digest(text)),
            512 => hex(&Sha512::digest(text)),
            _ => {
                return Err(EngineError::user(format!(
                    "SHA2 gives 224, 256, 384 or 512 bits, not {length}"
                )));
            }
        }))
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
}

fn digest(args: &[Col], rows: usize, f: impl Fn(&[u8]) -> String) -> Result<ArrayRef, EngineError> {
    let texts = Texts::of(&args[0]);
    Ok(Arc::new((0..rows).map(|r| texts.get(r).map(|t| f(t.as_bytes()))).collect::<StringArray>()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

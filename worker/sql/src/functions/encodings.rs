//! Texts, bytes and numbers in other writings: BIN, HEX, Base64, character sets, URLs, addresses.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use weir_engine::EngineError;

use super::{Body, Function, Simple, Site, Want, optional, simple, special};
use crate::error::SqlError;
use crate::expr::col::{Prims, Texts};
use crate::expr::{Col, Expr};
use crate::types::{Kind, SqlType};
use Want::{BigInt, Text};

type Made = Result<ArrayRef, EngineError>;
const STRING: Kind = Kind::STRING;

pub(super) const FUNCTIONS: &[Function] = &[
    simple("BIN", "BIN(integer)", &[BigInt], STRING, |a, n| {
        let numbers = Prims::<Int64Type>::of(&a[0]);
        let binary = |number: i64| format!("{number:b}");
        Ok(Arc::new((0..n).map(|r| numbers.get(r).map(binary)).collect::<StringArray>()))
    }),
    special("HEX", "HEX(integer or string)", hex),
    optional("UNHEX", "UNHEX(string)", &[Text], 0, Kind::Bytes, |a, n| {
        let texts = Texts::of(&a[0]);
        Ok(Arc::new((0..n).map(|r| unhex(texts.get(r)?)).collect::<BinaryArray>()))
    }),
    special("TO_BASE64", "TO_BASE64(string or bytes)", to_base64),
    fallible("FROM_BASE64", "FROM_BASE64(string)", &[Text], STRING, from_base64),
    fallible("ENCODE", "ENCODE(string, character set)", &[Text, Text], Kind::Bytes, encode),
    special("DECODE", "DECODE(bytes, character set)", decode),
    optional("URL_ENCODE", "URL_ENCODE(string)", &[Text], 0, STRING, |a, n| {
        let texts = Texts::of(&a[0]);
        let one = |text: &str| utf8_percent_encode(text, FORM).to_string().replace("%20", "+");
        Ok(Arc::new((0..n).map(|r| texts.get(r).map(one)).collect::<StringArray>()))
    }),
    optional("URL_DECODE", "URL_DECODE(string)", &[Text], 0, STRING, |a, n| {
        let texts = Texts::of(&a[0]);
        Ok(Arc::new((0..n).map(|r| url_decode(texts.get(r)?)).collect::<StringArray>()))
    }),
    optional(
        "PARSE_URL",
        "PARSE_URL(url, part [, key of the QUERY])",
        &[Text, Text, Text],
        1,
        STRING,
        parse_url,
    ),
    optional("INET_ATON", "INET_ATON(string)", &[Text], 0, Kind::BigInt, |a, n| {
        let texts = Texts::of(&a[0]);
        Ok(Arc::new((0..n).map(|r| address(texts.get(r)?)).collect::<Int64Array>()))
    }),
    optional("INET_NTOA", "INET_NTOA(integer)", &[BigInt], 0, STRING, |a, n| {
        let numbers = Prims::<Int64Type>::of(&a[0]);
        let one = |row: usize| {
            let number = u32::try_from(numbers.get(row)?).ok()?;
            Some(std::net::Ipv4Addr::from(number).to_string())
        };
        Ok(Arc::new((0..n).map(one).collect::<StringArray>()))
    }),
];

/// A function that data can make fail.
const fn fallible(
    name: &'static str,
    usage: &'static str,
    wants: &'static [Want],
    ret: Kind,
    run: fn(&[Col], usize) -> Made,
) -> Function {
    let body = Simple {
        wants,
        optional: 0,
        variadic: false,
        ret,
        may_be_null: false,
        fallible: true,
        run,
    };
    Function { name, usage, body: Body::Simple(body) }
}

/// Padding may be left out, as Java's decoder allows.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What a form's fields keep as it is, as Java's URLEncoder.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'*').remove(b'_');

fn hex(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let kind = site.expr(0)?.kind();
    if kind.is_integer() {
        let arg = site.want(0, BigInt)?;
        let ty = SqlType { kind: STRING, nullable: arg.ty.nullable };
        return site.call(vec![arg], ty, false, |a, n| {
            let numbers = Prims::<Int64Type>::of(&a[0]);
            let hex = |number: i64| format!("{number:X}");
            Ok(Arc::new((0..n).map(|r| numbers.get(r).map(hex)).collect::<StringArray>()))
        });
    }
    if !kind.is_text() && kind != Kind::Null {
        return site.type_error(0, "an integer or a string");
    }
    let arg = site.want(0, Text)?;
    let ty = SqlType { kind: STRING, nullable: arg.ty.nullable };
    site.call(vec![arg], ty, false, |a, n| {
        let texts = Texts::of(&a[0]);
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>();
        Ok(Arc::new((0..n).map(|r| texts.get(r).map(hex)).collect::<StringArray>()))
    })
}

/// The bytes of hexadecimal digits. Of an odd number Flink drops the first, of which a byte 0 is
/// left.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let (odd, even) = text.split_at(text.len() % 2);
    let mut bytes = vec![0; odd.len()];
    for at in (0..even.len()).step_by(2) {
        bytes.push(u8::from_str_radix(&even[at..at + 2], 16).ok()?);
    }
    Some(bytes)
}

fn to_base64(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(1..=1)?;
    let bytes = match site.expr(0)? {
        bytes if bytes.kind() == Kind::Bytes => bytes,
        _ => site.cast(site.want(0, Text)?, Kind::Bytes)?,
    };
    let ty = SqlType { kind: STRING, nullable: bytes.ty.nullable };
    site.call(vec![bytes], ty, false, |args, rows| {
        let bytes = args[0].to_rows(rows)?;
        let one = |bytes: Option<&[u8]>| Some(BASE64.encode(bytes?));
        Ok(Arc::new(bytes.as_binary::<i32>().iter().map(one).collect::<StringArray>()))
    })
}

fn from_base64(args: &[Col], rows: usize) -> Made {
    let texts = Texts::of(&args[0]);
    let one = |row: usize| {
        let Some(text) = texts.get(row) else {
            return Ok(None);
        };
        let bytes = BASE64.decode(text).map_err(|error| {
            let shown: String = text.chars().take(60).collect();
            EngineError::user(format!("FROM_BASE64: '{shown}' is no Base64: {error}"))
        })?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
}

/// A character set that Flink names.
#[derive(Clone, Copy)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    /// 16 bits; with a mark of their order in front, big end first.
    Utf16 {
        mark: bool,
        little: bool,
    },
}

impl Charset {
    fn of(name: &str) -> Result<Self, EngineError> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "US-ASCII" | "ASCII" => Self::Ascii,
            "ISO-8859-1" | "LATIN1" => Self::Latin1,
            "UTF-8" | "UTF8" => Self::Utf8,
            "UTF-16" => Self::Utf16 { mark: true, little: false },
            "UTF-16BE" => Self::Utf16 { mark: false, little: false },
            "UTF-16LE" => Self::Utf16 { mark: false, little: true },
            _ => {
                return Err(EngineError::user(format!(
                    "the character set '{name}' is unknown; US-ASCII, ISO-8859-1, UTF-8, UTF-16, UTF-16BE and UTF-16LE are"
                )));
            }
        })
    }

    /// `?` for what the set does not have.
    fn encode(self, text: &str) -> Vec<u8> {
        let narrow = |last: u32| {
            let byte = |c: char| if u32::from(c) <= last { u32::from(c) as u8 } else { b'?' };
            text.chars().map(byte).collect()
        };
        match self {
            Self::Ascii => narrow(0x7f),
            Self::Latin1 => narrow(0xff),
            Self::Utf8 => text.as_bytes().to_vec(),
            Self::Utf16 { mark, little } => {
                let mark = (mark && !text.is_empty()).then_some(0xfeff);
                let bytes =
                    |unit: u16| if little { unit.to_le_bytes() } else { unit.to_be_bytes() };
                mark.into_iter().chain(text.encode_utf16()).flat_map(bytes).collect()
            }
        }
    }

    /// The replacement character for what does not stand for any.
    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Self::Ascii => {
                let one =
                    |&b: &u8| if b < 0x80 { char::from(b) } else { char::REPLACEMENT_CHARACTER };
                bytes.iter().map(one).collect()
            }
            Self::Latin1 => bytes.iter().map(|&b| char::from(b)).collect(),
            Self::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Self::Utf16 { mark, little } => {
                let (little, bytes) = match bytes {
                    [0xfe, 0xff, rest @ ..] if mark => (false, rest),
                    [0xff, 0xfe, rest @ ..] if mark => (true, rest),
                    _ => (little, bytes),
                };
                let unit = |pair: &[u8]| match pair {
                    [a, b] if little => u16::from_le_bytes([*a, *b]),
                    [a, b] => u16::from_be_bytes([*a, *b]),
                    // Half of a character.
                    _ => 0xfffd,
                };
                String::from_utf16_lossy(&bytes.chunks(2).map(unit).collect::<Vec<_>>())
            }
        }
    }
}

fn encode(args: &[Col], rows: usize) -> Made {
    let (texts, names) = (Texts::of(&args[0]), Texts::of(&args[1]));
    let one = |row: usize| match (texts.get(row), names.get(row)) {
        (Some(text), Some(name)) => Charset::of(name).map(|set| Some(set.encode(text))),
        _ => Ok(None),
    };
    Ok(Arc::new((0..rows).map(one).collect::<Result<BinaryArray, EngineError>>()?))
}

fn decode(site: &mut Site) -> Result<Expr, SqlError> {
    site.expect_count(2..=2)?;
    let bytes = site.expr(0)?;
    if !matches!(bytes.kind(), Kind::Bytes | Kind::Null) {
        return site.type_error(0, "BYTES");
    }
    let args = vec![site.cast(bytes, Kind::Bytes)?, site.want(1, Text)?];
    site.call(args, SqlType::nullable(STRING), true, |args, rows| {
        let (values, names) = (args[0].values().as_binary::<i32>(), Texts::of(&args[1]));
        let at = |row: usize| if args[0].is_scalar() { 0 } else { row };
        let one = |row: usize| match names.get(row) {
            Some(name) if values.is_valid(at(row)) => {
                Charset::of(name).map(|set| Some(set.decode(values.value(at(row)))))
            }
            _ => Ok(None),
        };
        Ok(Arc::new((0..rows).map(one).collect::<Result<StringArray, EngineError>>()?))
    })
}

/// NULL where a `%` is not followed by two digits.
fn url_decode(text: &str) -> Option<String> {
    let complete = text.split('%').skip(1).all(|after| {
        after.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    });
    let text = complete.then(|| text.replace('+', " "))?;
    Some(percent_decode_str(&text).decode_utf8_lossy().into_owned())
}

/// The parts of a URL as they stand in it: nothing is decoded or made small, as by Java's URL. The
/// `url` crate gives what a browser would make of them.
struct Url<'a> {
    protocol: &'a str,
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    reference: Option<&'a str>,
}

/// Protocols that Java's URL knows.
const PROTOCOLS: [&str; 6] = ["http", "https", "ftp", "file", "jar", "mailto"];

impl<'a> Url<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (protocol, rest) = text.trim().split_once(':')?;
        PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol)).then_some(())?;
        let (rest, reference) = match rest.split_once('#') {
            Some((rest, reference)) => (rest, Some(reference)),
            None => (rest, None),
        };
        let (rest, query) = match rest.split_once('?') {
            Some((rest, query)) => (rest, Some(query)),
            None => (rest, None),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(authority), path)
            }
            None => (None, rest),
        };
        let url = Self { protocol, authority, path, query, reference };
        let port = url.host_and_port().1;
        port.is_none_or(|port| port.bytes().all(|b| b.is_ascii_digit())).then_some(url)
    }

    fn user(&self) -> Option<&'a str> {
        Some(self.authority?.rsplit_once('@')?.0)
    }

    fn host_and_port(&self) -> (&'a str, Option<&'a str>) {
        let authority = self.authority.unwrap_or_default();
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let from = place.rfind(']').unwrap_or(0);
        match place[from..].rfind(':') {
            Some(at) => (&place[..from + at], Some(&place[from + at + 1..])),
            None => (place, None),
        }
    }

    fn part(&self, name: &str) -> Option<String> {
        Some(match name {
            "HOST" => self.host_and_port().0.to_owned(),
            "PATH" => self.path.to_owned(),
            "QUERY" => self.query?.to_owned(),
            "REF" => self.reference?.to_owned(),
            "PROTOCOL" => self.protocol.to_ascii_lowercase(),
            "FILE" => match self.query {
                Some(query) => format!("{}?{query}", self.path),
                None => self.path.to_owned(),
            },
            "AUTHORITY" => self.authority?.to_owned(),
            "USERINFO" => self.user()?.to_owned(),
            _ => return None,
        })
    }
}

fn parse_url(args: &[Col], rows: usize) -> Made {
    let (urls, parts) = (Texts::of(&args[0]), Texts::of(&args[1]));
    let keys = args.get(2).map(Texts::of);
    let one = |row: usize| {
        let (url, part) = (Url::parse(urls.get(row)?)?, parts.get(row)?);
        let Some(keys) = &keys else {
            return url.part(part);
        };
        let key = keys.get(row)?;
        let mut pairs = url.query.filter(|_| part == "QUERY")?.split('&');
        pairs.find_map(|pair| pair.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
    };
    Ok(Arc::new((0..rows).map(one).collect::<StringArray>()))
}

/// An address of up to four numbers of 8 bits; the last is the lowest, however many there are.
fn address(text: &str) -> Option<i64> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() > 4 {
        return None;
    }
    let mut address = 0;
    for (i, part) in parts.iter().enumerate() {
        let digits = part.bytes().all(|b| b.is_ascii_digit()).then_some(*part)?;
        let number = i64::from(digits.parse::<u8>().ok()?);
        let shift = if i + 1 == parts.len() { 0 } else { 24 - 8 * i };
        address |= number << shift;
    }
    Some(address)
}

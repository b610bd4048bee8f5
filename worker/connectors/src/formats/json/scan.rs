//! The grammar: walks one record byte by byte and notes where the wanted values are.
//!
//! Accepts RFC 8259, and as Flink's Jackson does, unescaped control characters in strings. The
//! caller has checked that the record is UTF-8. Every value is checked, wanted or not.

use std::collections::HashMap;

/// Containers within containers, as Jackson allows by default.
const MAX_DEPTH: usize = 1_000;

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The field is not there.
    Missing,
    Null,
    True,
    False,
    /// The span holds the digits.
    Number,
    /// The span lies between the quotes and holds no backslash.
    Text,
    /// The span lies between the quotes and holds escapes, which are well-formed.
    Escaped,
    /// The span goes from brace to brace.
    Object,
    /// The span goes from bracket to bracket.
    Array,
}

/// A value in a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Token {
    pub(super) const MISSING: Self = Self { kind: Kind::Missing, start: 0, end: 0 };
}

/// A place where a record breaks the grammar.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// The wanted field names of one object, and where what they stand for is noted.
pub(super) struct Names {
    names: Vec<Box<[u8]>>,
    /// For objects with more wanted names than a short loop should compare.
    by_name: HashMap<Box<[u8]>, usize>,
    places: Vec<Place>,
}

/// A wanted field.
pub(super) struct Place {
    /// The token that it gets.
    pub(super) slot: usize,
    /// What is wanted of it where it is an object. The slots of that follow its own.
    pub(super) inner: Option<Names>,
}

const SHORT: usize = 8;

impl Names {
    pub(super) fn new<'a>(fields: impl Iterator<Item = (&'a str, Place)>) -> Self {
        let (names, places): (Vec<Box<[u8]>>, Vec<_>) =
            fields.map(|(name, place)| (name.as_bytes().into(), place)).unzip();
        let by_name = if names.len() > SHORT {
            names.iter().enumerate().map(|(place, name)| (name.clone(), place)).collect()
        } else {
            HashMap::new()
        };
        Self { names, by_name, places }
    }

    /// Which of the names this is; `next` is the likeliest one.
    fn position(&self, name: &[u8], next: usize) -> Option<usize> {
        if self.names.get(next).is_some_and(|likely| **likely == *name) {
            return Some(next);
        }
        if self.names.len() > SHORT {
            return self.by_name.get(name).copied();
        }
        self.names.iter().position(|known| **known == *name)
    }

    /// Forgets what was noted for these and all that is within them.
    fn forget(&self, tokens: &mut [Token]) {
        for place in &self.places {
            if let Some(token) = tokens.get_mut(place.slot) {
                *token = Token::MISSING;
            }
            if let Some(inner) = &place.inner {
                inner.forget(tokens);
            }
        }
    }
}

/// A value that is neither object nor array, at any depth, for learning a layout.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scalar {
    pub(super) token: Token,
    /// The wanted field that it is the value of.
    pub(super) slot: Option<usize>,
}

/// What a walk notes besides the wanted values.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) scalars: Vec<Scalar>,
    /// Slots of wanted objects of which fields are wanted.
    pub(super) objects: Vec<usize>,
    /// A wanted value is an object or array of which no fields are wanted, an object comes twice, or
    /// a name holds an escape: no layout can be made.
    pub(super) unfit: bool,
}

impl Notes {
    pub(super) fn clear(&mut self) {
        self.scalars.clear();
        self.objects.clear();
        self.unfit = false;
    }
}

/// Walks a record that is an object; `tokens` gets one token per wanted field, at any depth, the
/// last of duplicates.
pub(super) fn object(
    record: &[u8],
    names: &Names,
    tokens: &mut [Token],
    notes: Option<&mut Notes>,
) -> Result<(), Broken> {
    let mut walk = Walk { data: record, at: mark(record), depth: 0, notes };
    tokens.fill(Token::MISSING);
    walk.space();
    if walk.peek() != Some(b'{') {
        return Err(walk.broken("expected an object, that is `{`"));
    }
    walk.members(names, tokens)?;
    walk.space();
    if walk.at < record.len() {
        return Err(walk.broken("something follows the object; one record is one object"));
    }
    Ok(())
}

/// Walks a record that is an array; the token goes from bracket to bracket.
pub(super) fn array(record: &[u8]) -> Result<Token, Broken> {
    let mut walk = Walk { data: record, at: mark(record), depth: 0, notes: None };
    walk.space();
    let token = walk.value(None)?;
    walk.space();
    if walk.at < record.len() {
        return Err(walk.broken("something follows the array"));
    }
    Ok(token)
}

/// Length of the mark of UTF-8, which is passed before every record as Flink's Jackson does:
/// files that begin with one get joined.
fn mark(record: &[u8]) -> usize {
    let mark = "\u{feff}".as_bytes();
    if record.starts_with(mark) { mark.len() } else { 0 }
}

/// Calls `each` for every element of an array that was walked before.
pub(super) fn elements<E: From<Broken>>(
    array: &[u8],
    mut each: impl FnMut(Token) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk { data: array, at: 1, depth: 0, notes: None };
    walk.space();
    if walk.peek() == Some(b']') {
        return Ok(());
    }
    loop {
        each(walk.value(None)?)?;
        walk.space();
        if walk.next() != Some(b',') {
            return Ok(());
        }
        walk.space();
    }
}

/// Calls `each` with name and value of every member of an object that was walked before.
pub(super) fn members<E: From<Broken>>(
    object: &[u8],
    mut each: impl FnMut(Token, Token) -> Result<(), E>,
) -> Result<(), E> {
    let mut walk = Walk { data: object, at: 1, depth: 0, notes: None };
    walk.space();
    if walk.peek() == Some(b'}') {
        return Ok(());
    }
    loop {
        let name = walk.string()?;
        walk.colon()?;
        each(name, walk.value(None)?)?;
        walk.space();
        if walk.next() != Some(b',') {
            return Ok(());
        }
        walk.space();
    }
}

/// The kind of a bare value that spans exactly `text`: a number or a literal.
pub(super) fn bare(text: &[u8]) -> Option<Kind> {
    match text {
        b"null" => Some(Kind::Null),
        b"true" => Some(Kind::True),
        b"false" => Some(Kind::False),
        _ => {
            let mut walk = Walk { data: text, at: 0, depth: 0, notes: None };
            (walk.number().is_ok() && walk.at == text.len()).then_some(Kind::Number)
        }
    }
}

/// Checks the escapes of a string's inside.
pub(super) fn escapes(inside: &[u8]) -> Result<(), Broken> {
    let mut walk = Walk { data: inside, at: 0, depth: 0, notes: None };
    while let Some(found) = memchr::memchr(b'\\', &inside[walk.at..]) {
        walk.at += found;
        walk.escape()?;
    }
    Ok(())
}

/// Appends a checked string's inside with its escapes resolved.
pub(super) fn unescape(inside: &[u8], out: &mut Vec<u8>) {
    let mut rest = inside;
    while let Some(found) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..found]);
        let (byte, length) = match rest.get(found + 1).copied().unwrap_or(b'\\') {
            b'b' => (8, 2),
            b'f' => (12, 2),
            b'n' => (b'\n', 2),
            b'r' => (b'\r', 2),
            b't' => (b'\t', 2),
            b'u' => {
                let unit = hex4(rest, found + 2).unwrap_or(0xfffd);
                let (code, length) = match hex4(rest, found + 8) {
                    Some(low) if (0xd800..0xdc00).contains(&unit) => {
                        (0x1_0000 + ((unit - 0xd800) << 10) + (low.wrapping_sub(0xdc00)), 12)
                    }
                    _ => (unit, 6),
                };
                let code = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
                rest = rest.get(found + length..).unwrap_or_default();
                continue;
            }
            same => (same, 2),
        };
        out.push(byte);
        rest = rest.get(found + length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn hex4(data: &[u8], at: usize) -> Option<u32> {
    let digits = data.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

struct Walk<'a, 'n> {
    data: &'a [u8],
    at: usize,
    /// Wanted objects around the one whose members are walked.
    depth: usize,
    notes: Option<&'n mut Notes>,
}

impl Walk<'_, '_> {
    fn peek(&self) -> Option<u8> {
        self.data.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn broken(&self, what: &'static str) -> Broken {
        Broken { at: self.at, what }
    }

    fn colon(&mut self) -> Result<(), Broken> {
        self.space();
        if self.peek() != Some(b':') {
            return Err(self.broken("expected `:` after a field's name"));
        }
        self.at += 1;
        self.space();
        Ok(())
    }

    /// The members of a wanted object, from its brace on.
    fn members(&mut self, names: &Names, tokens: &mut [Token]) -> Result<(), Broken> {
        self.at += 1;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut likely = 0;
        let mut unescaped = Vec::new();
        loop {
            let name = self.string()?;
            let position = match name.kind {
                Kind::Text => names.position(&self.data[name.start..name.end], likely),
                _ => {
                    if let Some(notes) = &mut self.notes {
                        notes.unfit = true;
                    }
                    unescaped.clear();
                    unescape(&self.data[name.start..name.end], &mut unescaped);
                    names.position(&unescaped, likely)
                }
            };
            self.colon()?;
            let token = match position.and_then(|position| names.places.get(position)) {
                Some(place) => self.wanted(place, tokens)?,
                None => self.value(None)?,
            };
            likely = position.map_or(likely, |position| position + 1);
            self.space();
            match self.next() {
                Some(b',') => self.space(),
                Some(b'}') => return Ok(()),
                None => return Err(self.broken("the record ends before its object does")),
                _ => {
                    self.at = self.at.saturating_sub(1).max(token.end.min(self.data.len()));
                    return Err(self.broken("expected `,` or `}` after a field's value"));
                }
            }
        }
    }

    /// The value of a wanted field.
    fn wanted(&mut self, place: &Place, tokens: &mut [Token]) -> Result<Token, Broken> {
        let Place { slot, inner } = place;
        let Some(inner) = inner else {
            let token = self.value(Some(*slot))?;
            if let Some(noted) = tokens.get_mut(*slot) {
                *noted = token;
            }
            return Ok(token);
        };
        if tokens.get(*slot).is_some_and(|noted| noted.kind != Kind::Missing) {
            // Of an object that comes again nothing of the first counts.
            inner.forget(tokens);
            if let Some(notes) = &mut self.notes {
                notes.unfit = true;
            }
        }
        let token = if self.peek() == Some(b'{') {
            let start = self.at;
            if self.depth == MAX_DEPTH {
                return Err(self.broken("nested more than 1000 deep"));
            }
            if let Some(notes) = &mut self.notes {
                notes.objects.push(*slot);
            }
            self.depth += 1;
            self.members(inner, tokens)?;
            self.depth -= 1;
            Token { kind: Kind::Object, start, end: self.at }
        } else {
            self.value(Some(*slot))?
        };
        if let Some(noted) = tokens.get_mut(*slot) {
            *noted = token;
        }
        Ok(token)
    }

    /// Any value.
    fn value(&mut self, slot: Option<usize>) -> Result<Token, Broken> {
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            _ => {
                let token = self.scalar()?;
                if let Some(notes) = &mut self.notes {
                    notes.scalars.push(Scalar { token, slot });
                }
                return Ok(token);
            }
        };
        if slot.is_some()
            && let Some(notes) = &mut self.notes
        {
            notes.unfit = true;
        }
        self.container()?;
        Ok(Token { kind, start, end: self.at })
    }

    /// A number, string or literal.
    fn scalar(&mut self) -> Result<Token, Broken> {
        let start = self.at;
        let mut literal = |text: &str, kind: Kind| {
            if !self.data[start..].starts_with(text.as_bytes()) {
                return Err(Broken { at: start, what: "expected `true`, `false` or `null`" });
            }
            self.at = start + text.len();
            Ok(Token { kind, start, end: start + text.len() })
        };
        match self.data.get(start) {
            Some(b'"') => self.string(),
            Some(b't') => literal("true", Kind::True),
            Some(b'f') => literal("false", Kind::False),
            Some(b'n') => literal("null", Kind::Null),
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Ok(Token { kind: Kind::Number, start, end: self.at })
            }
            Some(_) => Err(self.broken("expected a value")),
            None => Err(self.broken("the record ends where a value is expected")),
        }
    }

    /// An object or array, without recursion: the stack holds what closes.
    fn container(&mut self) -> Result<(), Broken> {
        let mut open: Vec<u8> = Vec::new();
        loop {
            // Here a value begins.
            let (close, what) = match self.peek() {
                Some(b'{') => (b'}', "expected `,` or `}` in an object"),
                Some(b'[') => (b']', "expected `,` or `]` in an array"),
                _ => {
                    let token = self.scalar()?;
                    if let Some(notes) = &mut self.notes {
                        notes.scalars.push(Scalar { token, slot: None });
                    }
                    (0, "")
                }
            };
            if close != 0 {
                if self.depth + open.len() == MAX_DEPTH {
                    return Err(self.broken("nested more than 1000 deep"));
                }
                self.at += 1;
                self.space();
                open.push(close);
                if self.peek() == Some(close) {
                    // Empty: closed below, like one whose last value has been read.
                } else {
                    if close == b'}' {
                        self.name()?;
                    }
                    continue;
                }
            }
            // Here a value has ended, or an empty container is about to.
            loop {
                self.space();
                let Some(&close) = open.last() else { return Ok(()) };
                match self.peek() {
                    Some(byte) if byte == close => {
                        self.at += 1;
                        open.pop();
                        if open.is_empty() {
                            return Ok(());
                        }
                    }
                    Some(b',') => {
                        self.at += 1;
                        self.space();
                        if close == b'}' {
                            self.name()?;
                        }
                        break;
                    }
                    _ if close == b'}' => {
                        return Err(self.broken("expected `,` or `}` in an object"));
                    }
                    _ => {
                        let what =
                            if what.is_empty() { "expected `,` or `]` in an array" } else { what };
                        return Err(self.broken(what));
                    }
                }
            }
        }
    }

    fn name(&mut self) -> Result<(), Broken> {
        let name = self.string()?;
        if name.kind == Kind::Escaped
            && let Some(notes) = &mut self.notes
        {
            notes.unfit = true;
        }
        self.colon()
    }

    /// A string; the token lies between its quotes.
    fn string(&mut self) -> Result<Token, Broken> {
        if self.peek() != Some(b'"') {
            return Err(self.broken("expected `\"`"));
        }
        let open = self.at;
        self.at += 1;
        let mut kind = Kind::Text;
        loop {
            let rest = self.data.get(self.at..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                return Err(Broken { at: open, what: "the string that begins here has no end" });
            };
            self.at += found;
            if rest[found] == b'"' {
                let token = Token { kind, start: open + 1, end: self.at };
                self.at += 1;
                return Ok(token);
            }
            kind = Kind::Escaped;
            self.escape()?;
        }
    }

    /// An escape, from its backslash on.
    fn escape(&mut self) -> Result<(), Broken> {
        match self.data.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let Some(unit) = hex4(self.data, self.at + 2) else {
                    return Err(self.broken("expected four hexadecimal digits after `\\u`"));
                };
                self.at += match unit {
                    0xd800..0xdc00 => {
                        let low = (self.data.get(self.at + 6..self.at + 8) == Some(b"\\u"))
                            .then(|| hex4(self.data, self.at + 8));
                        if !matches!(low.flatten(), Some(0xdc00..0xe000)) {
                            return Err(self.broken("half of a surrogate pair"));
                        }
                        12
                    }
                    0xdc00..0xe000 => return Err(self.broken("half of a surrogate pair")),
                    _ => 6,
                };
            }
            _ => return Err(self.broken("`\\` begins no escape that JSON knows")),
        }
        Ok(())
    }

    /// A number.
    fn number(&mut self) -> Result<(), Broken> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first = self.peek();
        let whole = self.digits();
        if whole == 0 || (whole > 1 && first == Some(b'0')) {
            return Err(Broken { at: start, what: "not a number" });
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(Broken { at: start, what: "a number without digits after its point" });
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(Broken { at: start, what: "a number without digits in its exponent" });
            }
        }
        Ok(())
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }
}

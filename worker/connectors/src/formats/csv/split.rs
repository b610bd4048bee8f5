//! Splits one CSV record off a byte stream.

use super::CsvOptions;

/// Where a field stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Field {
    /// Inside the quotes, if there are any.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) quoted: bool,
    /// Holds doubled quotes or escapes.
    pub(super) escaped: bool,
}

/// What stands at the beginning of the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Split {
    /// A record; the next begins at `next`.
    Record { next: usize },
    /// An empty line or a comment; the next record begins at `next`.
    Nothing { next: usize },
    /// The data ends within a record.
    Incomplete,
    /// A broken record; reading goes on at `next`.
    Broken { at: usize, next: usize, what: &'static str },
}

/// Finds the fields of the record at `start`. `last`: nothing follows the data.
pub(super) fn split(
    data: &[u8],
    start: usize,
    last: bool,
    options: &CsvOptions,
    fields: &mut Vec<Field>,
) -> Split {
    fields.clear();
    let line_end = |from: usize| memchr::memchr(b'\n', &data[from..]).map(|found| from + found);
    let first = data.get(start).copied();
    if first == Some(b'\n') || data[start..].starts_with(b"\r\n") {
        return Split::Nothing { next: start + 1 + usize::from(first == Some(b'\r')) };
    }
    if last && data.get(start..) == Some(b"\r") {
        return Split::Nothing { next: data.len() };
    }
    if options.comments && first == Some(b'#') {
        return match line_end(start) {
            Some(end) => Split::Nothing { next: end + 1 },
            None if last => Split::Nothing { next: data.len() },
            None => Split::Incomplete,
        };
    }
    let mut at = start;
    loop {
        // Here a field begins.
        let quoted = options.quote.is_some_and(|quote| data.get(at) == Some(&quote));
        let end = if quoted { quoted_end(data, at, options) } else { plain_end(data, at, options) };
        let Some((end, escaped)) = end else {
            if !last {
                return Split::Incomplete;
            }
            if quoted {
                let next = line_end(at).map_or(data.len(), |end| end + 1);
                let what = "the quoted field that begins here has no end";
                return Split::Broken { at, next, what };
            }
            let end = strip_return(data, at, data.len());
            let escaped = has_escape(&data[at..end], options);
            fields.push(Field { start: at, end, quoted, escaped });
            return Split::Record { next: data.len() };
        };
        let (start, mut after) = if quoted { (at + 1, end + 1) } else { (at, end) };
        if quoted && data.get(after) == Some(&b'\r') {
            match data.get(after + 1) {
                Some(b'\n') => after += 1,
                None if last => after += 1,
                None => return Split::Incomplete,
                Some(_) => {}
            }
        }
        let field = |end| Field { start, end, quoted, escaped };
        match data.get(after) {
            Some(b'\n') => {
                fields.push(field(if quoted { end } else { strip_return(data, at, end) }));
                return Split::Record { next: after + 1 };
            }
            Some(&byte) if byte == options.delimiter => {
                fields.push(field(end));
                at = after + 1;
            }
            None if last => {
                fields.push(field(end));
                return Split::Record { next: data.len() };
            }
            None => return Split::Incomplete,
            Some(_) => {
                let next = line_end(after).map(|end| end + 1);
                return match next {
                    None if !last => Split::Incomplete,
                    next => Split::Broken {
                        at: after,
                        next: next.unwrap_or(data.len()),
                        what: "something follows the end of a quoted field",
                    },
                };
            }
        }
    }
}

fn strip_return(data: &[u8], start: usize, end: usize) -> usize {
    if end > start && data.get(end - 1) == Some(&b'\r') { end - 1 } else { end }
}

fn has_escape(field: &[u8], options: &CsvOptions) -> bool {
    options.escape.is_some_and(|escape| field.contains(&escape))
}

/// The delimiter or newline that ends a field without quotes.
fn plain_end(data: &[u8], start: usize, options: &CsvOptions) -> Option<(usize, bool)> {
    let Some(escape) = options.escape else {
        let found = memchr::memchr2(options.delimiter, b'\n', &data[start..])?;
        return Some((start + found, false));
    };
    let (mut at, mut escaped) = (start, false);
    loop {
        at += memchr::memchr3(options.delimiter, b'\n', escape, data.get(at..)?)?;
        if data[at] != escape || escape == options.delimiter {
            return Some((at, escaped));
        }
        escaped = true;
        // A newline ends the record even behind an escape, or one stray byte would join lines.
        at += if data.get(at + 1) == Some(&b'\n') { 1 } else { 2 };
    }
}

/// The closing quote of a field that begins with one.
fn quoted_end(data: &[u8], start: usize, options: &CsvOptions) -> Option<(usize, bool)> {
    let quote = options.quote?;
    let escape = options.escape.unwrap_or(quote);
    let (mut at, mut escaped) = (start + 1, false);
    loop {
        at += memchr::memchr2(quote, escape, data.get(at..)?)?;
        if data[at] == quote {
            // At the end of the data it may yet turn out to be doubled: the caller then finds
            // nothing behind it and asks for more.
            if data.get(at + 1) != Some(&quote) {
                return Some((at, escaped));
            }
        }
        escaped = true;
        at += 2;
    }
}

/// Appends a field's text with doubled quotes and escapes resolved.
pub(super) fn unescape(text: &[u8], quoted: bool, options: &CsvOptions, out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let doubled = quoted && options.quote == Some(byte);
        if (doubled || options.escape == Some(byte)) && at + 1 < text.len() {
            at += 1;
            let next = text[at];
            // Jackson knows these four by name, everything else stands for itself.
            out.push(match next {
                _ if doubled => next,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'0' => 0,
                _ => next,
            });
        } else {
            out.push(byte);
        }
        at += 1;
    }
}

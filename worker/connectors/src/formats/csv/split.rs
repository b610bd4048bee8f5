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

/// Finds the fields of the record at `start`, which the table wants `arity` of. `last`: nothing
/// follows the data.
pub(super) fn split(
    data: &[u8],
    start: usize,
    last: bool,
    arity: usize,
    options: &CsvOptions,
    fields: &mut Vec<Field>,
) -> Split {
    fields.clear();
    let line_end = |from: usize| memchr::memchr(b'\n', &data[from..]).map(|found| from + found);
    let mut at = start;
    if options.comments {
        // As in Flink, comments may be indented, and then so may records.
        while matches!(data.get(at), Some(b' ' | b'\t')) && data[at] != options.delimiter {
            at += 1;
        }
    }
    match (line_break(data, at, last), data.get(at)) {
        // In a table of one column, an empty line is an empty field; but with comments it may be
        // what stands between them.
        (Some(_), _) if arity == 1 && !options.comments => {}
        (Some(next), _) => return Split::Nothing { next },
        // It may go on as `\r\n`.
        (None, Some(b'\r')) => return Split::Incomplete,
        (None, _) => {}
    }
    if options.comments && data.get(at) == Some(&b'#') {
        return match line_end(at) {
            Some(end) => Split::Nothing { next: end + 1 },
            None if last => Split::Nothing { next: data.len() },
            None => Split::Incomplete,
        };
    }
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
            let escaped = has_escape(&data[at..], options);
            fields.push(Field { start: at, end: data.len(), quoted, escaped });
            return Split::Record { next: data.len() };
        };
        let (start, mut after) = if quoted { (at + 1, end + 1) } else { (at, end) };
        // Blanks behind a closing quote say nothing.
        while quoted
            && let Some(b' ' | b'\t') = data.get(after)
            && data.get(after) != Some(&options.delimiter)
        {
            after += 1;
        }
        fields.push(Field { start, end, quoted, escaped });
        match (line_break(data, after, last), data.get(after)) {
            (Some(next), _) => return Split::Record { next },
            (None, Some(&byte)) if byte == options.delimiter => at = after + 1,
            (None, None) if last => return Split::Record { next: data.len() },
            (None, None | Some(b'\r')) => return Split::Incomplete,
            (None, Some(_)) => {
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

/// The place behind the line's end that stands at `at`: `\n`, `\r\n`, or `\r` alone.
fn line_break(data: &[u8], at: usize, last: bool) -> Option<usize> {
    match (data.get(at)?, data.get(at + 1)) {
        (b'\n', _) => Some(at + 1),
        (b'\r', Some(b'\n')) => Some(at + 2),
        (b'\r', Some(_)) => Some(at + 1),
        (b'\r', None) if last => Some(at + 1),
        _ => None,
    }
}

fn has_escape(field: &[u8], options: &CsvOptions) -> bool {
    options.escape.is_some_and(|escape| field.contains(&escape))
}

/// The delimiter or line's end that ends a field without quotes.
fn plain_end(data: &[u8], start: usize, options: &CsvOptions) -> Option<(usize, bool)> {
    let Some(escape) = options.escape else {
        let found = memchr::memchr3(options.delimiter, b'\n', b'\r', &data[start..])?;
        return Some((start + found, false));
    };
    let ends =
        |&byte: &u8| byte == options.delimiter || byte == escape || byte == b'\n' || byte == b'\r';
    let (mut at, mut escaped) = (start, false);
    loop {
        at += data.get(at..)?.iter().position(ends)?;
        if data[at] != escape || escape == options.delimiter {
            return Some((at, escaped));
        }
        escaped = true;
        // A line's end ends the record even behind an escape, or one stray byte would join lines.
        at += if matches!(data.get(at + 1), Some(b'\n' | b'\r')) { 1 } else { 2 };
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

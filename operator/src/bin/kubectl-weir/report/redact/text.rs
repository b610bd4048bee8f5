//! Where secrets stand in a text of no one form: lines of logs, messages, SQL, and what is quoted in
//! them. Pure.
//!
//! - **In**: a text.
//! - **Out**: ranges of it that are secret.
//! - **Always**: rather a word too many than a part of a secret too few. What has a form (JSON, YAML)
//!   is read as that by the caller first, and its texts come here.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::names::{is_header, is_placeholder, is_secret};

/// A value in quotes or brackets that is longer, in bytes, is taken for one that never closes.
const LONGEST: usize = 8192;
/// Around a name in quotes that has other characters than names have.
const AROUND: usize = 80;

fn compiled(pattern: &str) -> Option<Regex> {
    Regex::new(pattern).ok()
}

/// Words that may be names.
static WORD: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(r"[\w.\-]+"));
/// Between a name in quotes and its value; SQL has comments everywhere.
static FAR: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(r"(?s)^(?:\s|/\*.*?\*/|--[^\n]*\n)*(=>|:=|==|=|:)(?:\s|/\*.*?\*/|--[^\n]*\n)*")
});
/// Between a plain name and its value.
static NEAR: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r"^(?:[ \t]|/\*.*?\*/)*(=>|:=|==|=|:)(?:[ \t]|/\*.*?\*/)*"));
/// Between a flag and its value, also where each is an item of a list.
static FLAG: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r#"^\\*["']?(?:\s*,\s*|[ \t]+|[ \t]*\n[ \t]*-[ \t]+)"#));
/// `name: PASSWORD`, and its `value:`.
static PAIR: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r#"^\\*["']?\s*,?\s*\\*["']?value\\*["']?\s*[:=]\s*"#));
/// What stands before a value in quotes and is none of it: `Some(`, prefixes of texts.
static WRAPPED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    compiled(r#"^((?:[A-Za-z_][\w:]*\(\s*)*(?:[uU]&|[eEnNbBrRxX]#*)?)(\\*)(["'`])"#)
});
/// Between parts of one text of SQL.
static JOINED: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r"(?s)^(?:\s|/\*.*?\*/|--[^\n]*\n|\|\|)*"));
/// Before a name with which a line begins.
static BEGINS: LazyLock<Option<Regex>> = LazyLock::new(|| compiled(r#"^([\s#/]*(?:- +)*)["']?$"#));
/// A block of YAML follows.
static BLOCK: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r"^(?:[|>][-+0-9]*)?[ \t]*(?:#[^\n]*)?(?:\n|$)"));
/// `scheme://…`.
static ADDRESS: LazyLock<Option<Regex>> =
    LazyLock::new(|| compiled(r#"[A-Za-z][A-Za-z0-9+.\-]*://([^\s"'`<>]+)"#));

/// What is secret by its own form; the group is the secret.
static FORMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        r"(?i)\b(?:bearer|basic)\s+([\w.~+/=-]{8,})",
        // Oracle's, which is no address.
        r#"(?i)jdbc:oracle:\w+:([^\s@"']+)@"#,
        // Keys of AWS, tokens of JSON, GitHub, GitLab, Slack and Google.
        r"\b((?:AKIA|ASIA)[0-9A-Z]{16})\b",
        r"(eyJ[\w-]{8,}\.[\w-]+\.[\w-]*)",
        r"\b((?:gh[pousr]_|github_pat_|glpat-|xox[abpors]-|AIza)[\w-]{16,})",
        // PEM with all its headers; one that was cut off at its end, and one at its beginning.
        r"(?s)-----BEGIN [A-Z0-9 ]+-----(.*?)-----END [A-Z0-9 ]+-----",
        r"-----BEGIN [A-Z0-9 ]+-----((?:\s*(?:[A-Za-z-]+: [^\n]*|[A-Za-z0-9+/=]{16,}))+)",
        r"((?:[A-Za-z0-9+/=]{16,}\s+)+[A-Za-z0-9+/=]*\s*)-----END [A-Z0-9 ]+-----",
    ]
    .into_iter()
    .filter_map(compiled)
    .collect()
});

/// Ranges of a text that are secret; they may overlap, and are in no order.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for form in FORMS.iter() {
        let groups = form.captures_iter(text).filter_map(|it| it.get(1));
        found.extend(groups.map(|group| group.range()));
    }
    let addresses = ADDRESS.iter().flat_map(|it| it.captures_iter(text));
    found.extend(addresses.filter_map(|it| it.get(1)).filter_map(|rest| user_of(&rest)));
    for word in WORD.iter().flat_map(|it| it.find_iter(text)) {
        let name = word.as_str().trim_end_matches(['.', '-']);
        if is_secret(name) {
            given(text, word.start()..word.start() + name.len(), &mut found);
        }
    }
    found.retain(|range| {
        let secret = text[range.clone()].trim();
        let says_nothing = ["", super::HIDDEN, "null", "None", "true", "false"];
        !says_nothing.contains(&secret) && !is_placeholder(secret)
    });
    found
}

/// The user in an address. Passwords hold `@` and `/` that should be escaped and are not: what stands
/// before the last `@` goes, unless it is a host and a path.
fn user_of(rest: &regex::Match<'_>) -> Option<Range<usize>> {
    let before = &rest.as_str()[..rest.as_str().rfind('@')?];
    let (first, path) = before.split_once('/').map_or((before, None), |(f, p)| (f, Some(p)));
    let is_user = path.is_none() || first.contains(':');
    is_user.then(|| rest.start()..rest.start() + before.len())
}

/// Finds what is given to a name.
fn given(text: &str, name: Range<usize>, found: &mut Vec<Range<usize>>) {
    let (word, rest) = (&text[name.clone()], &text[name.end..]);
    let line = text[..name.start].rfind('\n').map_or(0, |at| at + 1);
    let before = &text[line..name.start];
    let begins = BEGINS.as_ref().and_then(|it| it.captures(before)).and_then(|it| it.get(1));
    let key = Key { line, column: begins.map(|it| it.end()), is_header: is_header(word) };
    if let Some(close) = closed(text, &name)
        && let Some(gap) = FAR.as_ref().and_then(|it| it.captures(&text[close..]))
    {
        return value(text, close + gap[0].len(), &key, &gap[1], found);
    }
    if let Some(gap) = NEAR.as_ref().and_then(|it| it.captures(rest)) {
        let at = name.end + gap[0].len();
        let after = &rest[gap.get(1).map_or(0, |it| it.end())..];
        // A path of Rust, an address.
        let is_other = &gap[1] == ":" && (after.starts_with(':') || after.starts_with("//"));
        if !is_other {
            value(text, at, &key, &gap[1], found);
        }
        return;
    }
    let is_flag = word.starts_with('-');
    let flag = FLAG.as_ref().filter(|_| is_flag).and_then(|it| it.find(rest));
    let pair = PAIR.as_ref().and_then(|it| it.find(rest));
    if let Some(gap) = pair.or(flag.filter(|gap| !rest[gap.end()..].starts_with("--"))) {
        value(text, name.end + gap.end(), &Key { column: None, ..key }, "=", found);
    }
}

/// Where a name stands.
struct Key {
    /// Where its line begins.
    line: usize,
    /// How far it is set in, where its line begins with it.
    column: Option<usize>,
    is_header: bool,
}

/// Where the quotes around a name end.
fn closed(text: &str, name: &Range<usize>) -> Option<usize> {
    let is_quote = |c: char| ['"', '\'', '`'].contains(&c);
    let before = &text[..name.start];
    let open = before.rfind(|c: char| is_quote(c) || c == '\n')?;
    let quote = before[open..].chars().next().filter(|c| is_quote(*c))?;
    let after = &text[name.end..];
    let close = after.find([quote, '\n'])?;
    let is_near = name.start - open <= AROUND && close <= AROUND;
    (is_near && after[close..].starts_with(quote)).then_some(name.end + close + 1)
}

/// What stands here, with all its parts.
fn value(text: &str, at: usize, key: &Key, sign: &str, found: &mut Vec<Range<usize>>) {
    let rest = &text[at..];
    let opened = WRAPPED.as_ref().and_then(|it| it.captures(rest));
    if let Some(opened) = opened {
        let (deep, quote) = (opened[2].len(), opened[3].as_bytes()[0]);
        return quoted(text, at + opened[0].len(), quote, deep, found);
    }
    if let Some(open @ ('[' | '{' | '(')) = rest.chars().next() {
        let end = bracketed(text, at, open).unwrap_or_else(|| line_end(text, at));
        // A password may begin with a bracket.
        if !text[end..].chars().nth(1).is_some_and(char::is_alphanumeric) {
            found.push(at + 1..end);
            return;
        }
    }
    let is_yaml = sign == ":" && key.column.is_some();
    if is_yaml && BLOCK.as_ref().is_some_and(|it| it.is_match(rest)) {
        found.push(line_end(text, at)..deeper(text, at, key));
        return;
    }
    // On another line it is this name's only where it is set in deeper.
    if text[key.line..at].contains('\n') && is_yaml {
        found.push(at..deeper(text, key.line, key).max(at));
        return;
    }
    let line = at..line_end(text, at).min(enclosing(text, key.line, at));
    if sign == ":" && key.is_header {
        found.push(line);
    } else if is_yaml {
        let end = if line.end == line_end(text, at) { deeper(text, at, key) } else { line.end };
        found.push(line.start..end);
    } else {
        found.push(bare(text, at, line.end));
    }
}

/// A value in quotes of which the first ends at `at`, with the parts that SQL joins to it. Quotes in
/// a text in a text are escaped once more each: `deep` is how many `\` stand before one.
fn quoted(text: &str, at: usize, quote: u8, deep: usize, found: &mut Vec<Range<usize>>) {
    let (mut begin, mut at) = (at, at);
    loop {
        let Some(end) = close(text, at, quote, deep) else {
            found.push(begin..line_end(text, at));
            return;
        };
        let after = end + deep + 1;
        let gap = JOINED.as_ref().and_then(|it| it.find(&text[after..])).map_or(0, |it| it.end());
        let is_one = gap == 0 || quote == b'\'' || !text[after..after + gap].contains('\n');
        let next = after + gap;
        let slashes = text[next..].bytes().take_while(|b| *b == b'\\').count();
        let is_quote = slashes == deep && text.as_bytes().get(next + deep) == Some(&quote);
        let goes_on = is_one && is_quote;
        // A quote that is doubled is one.
        if gap > 0 || !goes_on {
            found.push(begin..end);
            begin = next + deep + 1;
        }
        if !goes_on {
            return;
        }
        at = next + deep + 1;
    }
}

/// Where a text in quotes that begins at `at` ends.
fn close(text: &str, at: usize, quote: u8, deep: usize) -> Option<usize> {
    let mut slashes = 0;
    let mut maybe = None;
    for (i, byte) in text.bytes().enumerate().skip(at).take(LONGEST) {
        match byte {
            b'\\' => slashes += 1,
            b'\n' if maybe.is_some() => return maybe,
            byte if byte == quote => {
                if slashes % (2 * (deep + 1)) == deep {
                    return Some(i - deep);
                }
                // SQL knows no escapes: this is the end if there is none else on the line.
                if quote == b'\'' && deep == 0 && maybe.is_none() {
                    maybe = Some(i);
                }
                slashes = 0;
            }
            _ => slashes = 0,
        }
    }
    maybe
}

/// Where what is in brackets that open here ends.
fn bracketed(text: &str, at: usize, open: char) -> Option<usize> {
    let (open, shut) = match open {
        '[' => (b'[', b']'),
        '{' => (b'{', b'}'),
        _ => (b'(', b')'),
    };
    let bytes = text.as_bytes();
    let (mut i, mut depth) = (at, 0_usize);
    while i < bytes.len().min(at + LONGEST) {
        match bytes[i] {
            b if b == open => depth += 1,
            b if b == shut => depth -= 1,
            b'"' => i = close(text, i + 1, b'"', 0).unwrap_or(i),
            _ => {}
        }
        if depth == 0 {
            return Some(i);
        }
        i += 1;
    }
    None
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}

/// Where the quotes end that stand around `at` on its line; the end of the text where there are none.
fn enclosing(text: &str, line: usize, at: usize) -> usize {
    let (before, rest) = (&text[line.min(at)..at], &text[at..]);
    let ends = |quote: char, is_end: &dyn Fn(&str) -> bool| {
        let is_open = before.matches(quote).count() % 2 == 1;
        let mut closing = rest.match_indices(quote).filter(|(i, _)| is_end(&rest[i + 1..]));
        let (i, _) = closing.next().filter(|_| is_open)?;
        let slashes = rest[..i].bytes().rev().take_while(|b| *b == b'\\').count();
        Some(at + i - slashes)
    };
    // An apostrophe is none: a word goes on behind it.
    let no_word = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric());
    let ends = [ends('"', &|_| true), ends('\'', &no_word)];
    ends.into_iter().flatten().min().unwrap_or(text.len())
}

/// A value without quotes, up to `most`: it ends with a blank, or where what looks like another
/// name's begins.
fn bare(text: &str, at: usize, most: usize) -> Range<usize> {
    let in_query = text[..at].rfind(|c: char| c.is_whitespace() || "?&".contains(c));
    let in_query = in_query.is_some_and(|i| text[i..].starts_with(['?', '&']));
    let mut end = at;
    for (i, c) in text[at..most].char_indices() {
        let rest = &text[at + i + c.len_utf8()..most];
        let ends = match c {
            ';' => true,
            '&' => in_query,
            ',' => {
                let word = rest.find(|c: char| !(c.is_alphanumeric() || "_.-\"'\\".contains(c)));
                let names = word.is_some_and(|i| i > 0 && rest[i..].starts_with(['=', ':']));
                names || rest.starts_with(char::is_whitespace) || rest.is_empty()
            }
            ')' | ']' | '}' => {
                let rest = rest.trim_start_matches([')', ']', '}']);
                rest.is_empty()
                    || rest.starts_with(|c: char| c.is_whitespace() || ",;.".contains(c))
            }
            c => c.is_whitespace(),
        };
        if ends {
            break;
        }
        end = at + i + c.len_utf8();
    }
    // A line of properties goes on in the next.
    while text[at..end].ends_with('\\') && text[end..].starts_with('\n') {
        end = line_end(text, end + 1);
    }
    at..end
}

/// Where the lines end that are set in deeper than a name, and so belong to it in YAML; also the items
/// of a list that is not.
fn deeper(text: &str, at: usize, key: &Key) -> usize {
    let column = key.column.unwrap_or(0);
    let mut end = line_end(text, at);
    let mut next = end;
    while next < text.len() {
        let line = &text[next + 1..line_end(text, next + 1)];
        let set_in = line.len() - line.trim_start().len();
        let is_item = set_in == column && line.trim_start().starts_with("- ");
        next += 1 + line.len();
        if line.trim().is_empty() {
            continue;
        }
        if set_in <= column && !is_item {
            break;
        }
        end = next;
    }
    end
}

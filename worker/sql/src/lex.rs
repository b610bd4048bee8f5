//! Program text → tokens with their places.

use crate::error::{Span, SqlError};

/// What a token is.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Tok {
    /// An identifier or keyword as written; `quoted` when it stood in backquotes.
    Word { text: String, quoted: bool },
    /// A number as written.
    Number(String),
    /// A string without its quotes.
    Text(String),
    /// Punctuation.
    Sign(&'static str),
    /// The end of the program.
    End,
}

/// A token and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Token {
    pub(crate) tok: Tok,
    pub(crate) span: Span,
}

impl Token {
    /// The keyword that it is, in capitals, when it is a word without quotes.
    pub(crate) fn keyword(&self) -> Option<String> {
        match &self.tok {
            Tok::Word { text, quoted: false } => Some(text.to_ascii_uppercase()),
            _ => None,
        }
    }

    /// The token as an error message names it.
    pub(crate) fn describe(&self) -> String {
        match &self.tok {
            Tok::Word { text, .. } => format!("'{text}'"),
            Tok::Number(text) => format!("'{text}'"),
            Tok::Text(text) => format!("the string '{text}'"),
            Tok::Sign(sign) => format!("'{sign}'"),
            Tok::End => "the end of the program".to_owned(),
        }
    }
}

/// Begins and ends a hint, which is no comment: what it says is done, or refused.
pub(crate) const HINT: &str = "/*+";
pub(crate) const HINT_END: &str = "*/";

/// Longest first, so that `<=` is not read as `<` and `=`.
const SIGNS: [&str; 32] = [
    "<=>", "<>", "<=", ">=", "!=", "||", "=>", "::", "{-", "-}", "(", ")", "[", "]", ",", ";", ".",
    "+", "-", "*", "/", "%", "=", "<", ">", ":", "{", "}", "|", "?", "^", "$",
];

struct Cursor<'a> {
    rest: &'a str,
    line: u32,
    column: u32,
    last: (u32, u32),
}

impl<'a> Cursor<'a> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.rest = &self.rest[c.len_utf8()..];
        self.last = (self.line, self.column);
        if c == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn bump_all(&mut self, chars: usize) {
        for _ in 0..chars {
            self.bump();
        }
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(|&c| keep(c)) {
            text.push(c);
            self.bump();
        }
        text
    }

    fn here(&self) -> Span {
        Span { line: self.line, column: self.column, end_line: self.line, end_column: self.column }
    }

    fn since(&self, start: Span) -> Span {
        Span { end_line: self.last.0, end_column: self.last.1, ..start }
    }
}

/// Cuts a program into tokens; the last one is always [`Tok::End`].
pub(crate) fn tokenize(sql: &str) -> Result<Vec<Token>, SqlError> {
    tokenize_from(sql, 1)
}

/// As [`tokenize`], of a text whose first line has this number.
pub(crate) fn tokenize_from(sql: &str, line: u32) -> Result<Vec<Token>, SqlError> {
    let mut cursor = Cursor { rest: sql, line, column: 1, last: (line, 1) };
    let mut tokens = Vec::new();
    let mut hint: Option<Span> = None;
    loop {
        skip_blanks(&mut cursor)?;
        let start = cursor.here();
        let Some(c) = cursor.peek() else {
            if let Some(begin) = hint {
                return Err(SqlError::new(
                    begin,
                    "the hint that begins here has no end; close it with */",
                ));
            }
            tokens.push(Token { tok: Tok::End, span: start });
            return Ok(tokens);
        };
        let tok = match c {
            '/' if cursor.rest.starts_with(HINT) => {
                cursor.bump_all(HINT.len());
                hint = Some(cursor.since(start));
                Tok::Sign(HINT)
            }
            '*' if hint.is_some() && cursor.rest.starts_with(HINT_END) => {
                cursor.bump_all(HINT_END.len());
                hint = None;
                Tok::Sign(HINT_END)
            }
            'U' | 'u' if cursor.rest[1..].starts_with("&'") => {
                cursor.bump_all(2);
                Tok::Text(unicode_text(&mut cursor, start)?)
            }
            'U' | 'u' if cursor.rest[1..].starts_with("&\"") => {
                return Err(SqlError::new(
                    start,
                    "names in U&\"…\" are not supported; write them in `backquotes`",
                ));
            }
            '\'' => Tok::Text(quoted(&mut cursor, '\'', "string")?),
            '`' => Tok::Word { text: quoted(&mut cursor, '`', "identifier")?, quoted: true },
            '"' => {
                return Err(SqlError::new(
                    start,
                    "'\"' does not begin anything here; identifiers are quoted with `backquotes`, strings with 'single quotes'",
                ));
            }
            c if c.is_ascii_digit() => Tok::Number(number(&mut cursor)),
            '.' if cursor.rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
                Tok::Number(number(&mut cursor))
            }
            c if c.is_alphabetic() || c == '_' => {
                let text = cursor.take_while(|c| c.is_alphanumeric() || c == '_' || c == '$');
                Tok::Word { text, quoted: false }
            }
            c => match SIGNS.iter().find(|sign| cursor.rest.starts_with(**sign)) {
                Some(sign) => {
                    cursor.bump_all(sign.len());
                    Tok::Sign(sign)
                }
                None => {
                    return Err(SqlError::new(
                        start,
                        format!("the character '{c}' has no meaning here"),
                    ));
                }
            },
        };
        let span = cursor.since(start);
        tokens.push(Token { tok, span });
    }
}

fn skip_blanks(cursor: &mut Cursor<'_>) -> Result<(), SqlError> {
    loop {
        cursor.take_while(|c| c.is_whitespace() || c == '\u{feff}');
        if cursor.rest.starts_with("--") {
            cursor.take_while(|c| c != '\n');
        } else if cursor.rest.starts_with("/*") && !cursor.rest.starts_with(HINT) {
            let start = cursor.here();
            let Some(length) = cursor.rest.find("*/") else {
                return Err(SqlError::new(
                    start,
                    "the comment that begins here has no end; close it with */",
                ));
            };
            let chars = cursor.rest[..length + 2].chars().count();
            cursor.bump_all(chars);
        } else {
            return Ok(());
        }
    }
}

/// Text between two quotes; a doubled quote stands for itself.
fn quoted(cursor: &mut Cursor<'_>, quote: char, what: &str) -> Result<String, SqlError> {
    let start = cursor.here();
    cursor.bump();
    let mut text = String::new();
    loop {
        match cursor.bump() {
            Some(c) if c == quote => {
                if cursor.peek() == Some(quote) {
                    cursor.bump();
                    text.push(quote);
                } else {
                    return Ok(text);
                }
            }
            // Names that stand for several hold some between those.
            Some(c) if quote == '`' && c.is_control() => {
                let (line, column) = cursor.last;
                let span = Span { line, column, end_line: line, end_column: column };
                let message = format!(
                    "a name cannot hold control characters, and this one is U+{:04X}; leave it out",
                    c as u32
                );
                return Err(SqlError::new(span, message));
            }
            Some(c) => text.push(c),
            None => {
                return Err(SqlError::new(
                    start,
                    format!("the {what} that begins here has no end; close it with {quote}"),
                ));
            }
        }
    }
}

/// `U&'\0001'`, and what follows: `UESCAPE '!'` names another escape character.
fn unicode_text(cursor: &mut Cursor<'_>, start: Span) -> Result<String, SqlError> {
    let text = quoted(cursor, '\'', "string")?;
    let end = Cursor { ..*cursor };
    skip_blanks(cursor)?;
    let word = cursor.take_while(|c| c.is_alphanumeric() || c == '_');
    if !word.eq_ignore_ascii_case("UESCAPE") {
        *cursor = end;
        return unescape(&text, '\\').map_err(|cause| SqlError::new(cursor.since(start), cause));
    }
    skip_blanks(cursor)?;
    let at = cursor.here();
    let escape = match cursor.peek() {
        Some('\'') => quoted(cursor, '\'', "string")?,
        _ => String::new(),
    };
    let mut chars = escape.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if !c.is_ascii_hexdigit() && !"+'\"".contains(c) && !c.is_whitespace() => {
            unescape(&text, c).map_err(|cause| SqlError::new(cursor.since(start), cause))
        }
        _ => Err(SqlError::new(
            at,
            "UESCAPE is followed by one character in quotes, which is no hexadecimal digit, blank, quote or +",
        )),
    }
}

/// Replaces `\0041` by the character of that number; a doubled escape stands for itself.
fn unescape(text: &str, escape: char) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::new();
    let mut chars = text.chars().peekable();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        if c != escape || chars.next_if_eq(&escape).is_some() {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        let digits: String = chars.by_ref().take(4).collect();
        let number = (digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit()))
            .then(|| u16::from_str_radix(&digits, 16).ok())
            .flatten();
        units.push(number.ok_or_else(|| {
            format!("'{escape}{digits}' in this string is no character; write {escape} and four hexadecimal digits, as in {escape}0001")
        })?);
    }
    String::from_utf16(&units)
        .map_err(|_| "half of a surrogate pair is no character; write both halves".to_owned())
}

fn number(cursor: &mut Cursor<'_>) -> String {
    let mut text = cursor.take_while(|c| c.is_ascii_digit());
    if cursor.peek() == Some('.') {
        text.push('.');
        cursor.bump();
        text.push_str(&cursor.take_while(|c| c.is_ascii_digit()));
    }
    let mut after = cursor.rest.chars();
    if matches!(after.next(), Some('e' | 'E')) {
        let next = after.next();
        let digits = match next {
            Some('+' | '-') => after.next(),
            other => other,
        };
        if digits.is_some_and(|c| c.is_ascii_digit()) {
            cursor.bump();
            text.push('E');
            if let Some(sign @ ('+' | '-')) = cursor.peek() {
                cursor.bump();
                text.push(sign);
            }
            text.push_str(&cursor.take_while(|c| c.is_ascii_digit()));
        }
    }
    text
}

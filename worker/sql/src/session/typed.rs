//! What an editor knows of a text while it is typed: whether a statement is whole, and what its
//! parts are.

use crate::functions;
use crate::lex::{Tok, tokenize};
use crate::parse::RESERVED;

/// Whether everything that was begun is ended: the last statement by its semicolon, and texts,
/// comments and statement sets too. What is wrong in another way is whole.
#[must_use]
pub fn is_complete(text: &str) -> bool {
    let tokens = match tokenize(text) {
        Ok(tokens) => tokens,
        // Of what has no end there may be more.
        Err(error) => return !error.message.contains("has no end"),
    };
    let mut in_set = false;
    let mut starts = true;
    let words: Vec<String> =
        tokens.iter().map(|token| token.keyword().unwrap_or_default()).collect();
    for (at, token) in tokens.iter().enumerate() {
        let before = |back: usize| at.checked_sub(back).map_or("", |at| words[at].as_str());
        if starts && in_set && words[at] == "END" {
            in_set = false;
        }
        if token.tok == Tok::Sign(";") {
            starts = true;
            continue;
        }
        starts = false;
        let begins = (words[at] == "BEGIN" && before(1) == "SET" && before(2) == "STATEMENT")
            || (words[at] == "SET" && before(1) == "STATEMENT" && before(2) == "BEGIN");
        if begins {
            in_set = true;
            starts = words[at] == "BEGIN";
        }
    }
    let last = tokens.iter().rev().find(|token| token.tok != Tok::End);
    !in_set && last.is_none_or(|token| token.tok == Tok::Sign(";"))
}

/// What a part of a text is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TokenKind {
    /// A word of the language.
    Keyword,
    /// A function that is called.
    Function,
    /// Any other name.
    Name,
    /// A text in quotes.
    Text,
    /// A number.
    Number,
    /// A comment or a hint.
    Comment,
    /// Anything else.
    Sign,
}

/// A part of a text, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// Its first byte.
    pub start: usize,
    /// The first byte behind it.
    pub end: usize,
    /// What it is.
    pub kind: TokenKind,
}

/// The parts of a text that need not be whole, for colours; blanks are in none.
#[must_use]
pub fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let until = |sign: &str, from: usize| {
            rest[from..].find(sign).map_or(rest.len(), |i| from + i + sign.len())
        };
        let run = |keep: fn(char) -> bool| rest.find(|c: char| !keep(c)).unwrap_or(rest.len());
        let (length, kind) = if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        } else if rest.starts_with("--") {
            (rest.find('\n').unwrap_or(rest.len()), TokenKind::Comment)
        } else if rest.starts_with("/*") {
            (until("*/", 2), TokenKind::Comment)
        } else if c == '\'' {
            (until("'", 1), TokenKind::Text)
        } else if c == '`' {
            (until("`", 1), TokenKind::Name)
        } else if c.is_ascii_digit() {
            (run(|c| c.is_ascii_alphanumeric() || c == '.'), TokenKind::Number)
        } else if c.is_alphabetic() || c == '_' {
            let length = run(|c| c.is_alphanumeric() || c == '_' || c == '$');
            let is_called = rest[length..].trim_start().starts_with('(');
            (length, of_word(&rest[..length].to_ascii_uppercase(), is_called))
        } else {
            (c.len_utf8(), TokenKind::Sign)
        };
        found.push(Token { start: at, end: at + length, kind });
        at += length;
    }
    found
}

/// The words of the language, and the names of functions: what [`tokens`] sets off.
#[must_use]
pub fn words() -> (Vec<&'static str>, Vec<&'static str>) {
    let mut keywords: Vec<&str> = RESERVED.into_iter().chain(WORDS).collect();
    let mut called: Vec<&str> = functions::names().collect();
    for words in [&mut keywords, &mut called] {
        words.sort_unstable();
        words.dedup();
    }
    (keywords, called)
}

fn of_word(word: &str, is_called: bool) -> TokenKind {
    if RESERVED.contains(&word) || WORDS.contains(&word) {
        TokenKind::Keyword
    } else if is_called && functions::names().any(|name| name == word) {
        TokenKind::Function
    } else {
        TokenKind::Name
    }
}

/// Words of the language that may also be names.
pub(super) const WORDS: [&str; 89] = [
    "ALTER",
    "ARRAY",
    "ASC",
    "BEGIN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTES",
    "CAST",
    "CATALOG",
    "CATALOGS",
    "CLEAR",
    "COLUMNS",
    "CONSTRAINT",
    "CUBE",
    "CURRENT",
    "DATABASE",
    "DATABASES",
    "DATE",
    "DAY",
    "DECIMAL",
    "DEFINE",
    "DESC",
    "DESCRIBE",
    "DESCRIPTOR",
    "DOUBLE",
    "DROP",
    "ENFORCED",
    "ESCAPE",
    "EXECUTE",
    "EXIT",
    "EXPLAIN",
    "FALSE",
    "FIRST",
    "FLOAT",
    "FUNCTIONS",
    "GROUPING",
    "HELP",
    "HOP",
    "HOUR",
    "IF",
    "INT",
    "INTERVAL",
    "KEY",
    "LAST",
    "LATERAL",
    "MAP",
    "MEASURES",
    "METADATA",
    "MINUTE",
    "MONTH",
    "NULL",
    "NULLS",
    "OF",
    "OVER",
    "OVERWRITE",
    "PARTITION",
    "PARTITIONED",
    "PATTERN",
    "PRECEDING",
    "PRIMARY",
    "QUIT",
    "RANGE",
    "RENAME",
    "RESET",
    "ROLLUP",
    "ROW",
    "ROWS",
    "SECOND",
    "SET",
    "SETS",
    "SHOW",
    "SMALLINT",
    "STATEMENT",
    "STRING",
    "SYSTEM_TIME",
    "TABLES",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "TINYINT",
    "TRUE",
    "TRY_CAST",
    "TUMBLE",
    "USE",
    "VARCHAR",
    "VIEW",
    "VIEWS",
    "WATERMARK",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_whole_with_its_semicolon_and_a_set_with_its_end() {
        for whole in [
            "SELECT 1;",
            "",
            "SELECT ';' -- ;\n;",
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1; END;",
            "BEGIN STATEMENT SET; INSERT INTO a SELECT CASE WHEN TRUE THEN 1 END; END;",
            "SELECT \" ;",
        ] {
            assert!(is_complete(whole), "{whole}");
        }
        for part in [
            "SELECT 1",
            "SELECT '1;",
            "SELECT 1; SELECT",
            "SELECT 1 /* ;",
            "SELECT 1 -- ;",
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;",
            "BEGIN STATEMENT SET;",
        ] {
            assert!(!is_complete(part), "{part}");
        }
    }

    #[test]
    fn parts_have_their_kinds_even_where_a_text_has_no_end() {
        let text = "SELECT COUNT(*), `a b` FROM t -- all\nWHERE s = 'it";
        let parts: Vec<(&str, TokenKind)> =
            tokens(text).iter().map(|t| (&text[t.start..t.end], t.kind)).collect();
        assert_eq!(parts[0], ("SELECT", TokenKind::Keyword));
        assert_eq!(parts[1], ("COUNT", TokenKind::Function));
        assert!(parts.contains(&("`a b`", TokenKind::Name)));
        assert!(parts.contains(&("-- all", TokenKind::Comment)));
        assert_eq!(parts.last(), Some(&("'it", TokenKind::Text)));
    }
}

//! Characters and classes of them.

use std::fmt::Write as _;

use super::parse::{Flags, Parser};

/// What an escape stands for.
pub(super) enum Class {
    Char(char),
    /// Members of a class of the crate's language, without its brackets.
    Set(String),
}

const DIGIT: &str = "0-9";
const SPACE: &str = r"\t\n\x0B\x0C\r ";
const WORD: &str = "a-zA-Z_0-9";
const HORIZONTAL: &str = r" \t\x{A0}\x{1680}\x{180E}\x{2000}-\x{200A}\x{202F}\x{205F}\x{3000}";
const VERTICAL: &str = r"\n\x0B\x0C\r\x{85}\x{2028}\x{2029}";

/// Java's classes of ASCII characters.
const ASCII: [(&str, &str); 13] = [
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x00-\x7F"),
    ("Alpha", "a-zA-Z"),
    ("Digit", DIGIT),
    ("Alnum", "a-zA-Z0-9"),
    ("Punct", r"!-/:-@\[-`{-\x7E"),
    ("Graph", r"!-\x7E"),
    ("Print", r"\x20-\x7E"),
    ("Blank", r" \t"),
    ("Cntrl", r"\x00-\x1F\x7F"),
    ("XDigit", "0-9a-fA-F"),
    ("Space", SPACE),
];

/// Unicode's general categories.
const CATEGORIES: [&str; 36] = [
    "L", "Lu", "Ll", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc",
    "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp", "C",
    "Cc", "Cf", "Co", "Cn",
];

/// Scripts, which Java writes `IsGreek`.
const SCRIPTS: [&str; 14] = [
    "Latin",
    "Greek",
    "Cyrillic",
    "Armenian",
    "Hebrew",
    "Arabic",
    "Devanagari",
    "Thai",
    "Georgian",
    "Hangul",
    "Hiragana",
    "Katakana",
    "Han",
    "Common",
];

fn code(c: char) -> String {
    if c.is_ascii_alphanumeric() { c.to_string() } else { format!(r"\x{{{:X}}}", u32::from(c)) }
}

/// A character by itself, in either case of ASCII where wanted.
pub(super) fn one(c: char, any_case: bool) -> String {
    if any_case && c.is_ascii_alphabetic() {
        return format!("[{}{}]", c.to_ascii_uppercase(), c.to_ascii_lowercase());
    }
    code(c)
}

/// A range; in either case also the other case of the ASCII letters in it.
fn range(from: char, to: char, any_case: bool) -> String {
    let mut text = format!("{}-{}", code(from), code(to));
    if any_case {
        for (first, last, other) in [('a', 'z', 'A'), ('A', 'Z', 'a')] {
            let (low, high) = (from.max(first), to.min(last));
            if low <= high {
                let moved = |c: char| char::from((c as u8) - (first as u8) + (other as u8));
                let _ = write!(text, "{}-{}", moved(low), moved(high));
            }
        }
    }
    text
}

impl Parser {
    /// What follows a `\` in either place: a character, or a class.
    pub(super) fn escaped(&mut self, any_case: bool) -> Result<Class, String> {
        let Some(c) = self.next() else {
            return Err(r"it ends with a '\' that nothing follows".to_owned());
        };
        let negated = |set: &str| Ok(Class::Set(format!("[^{set}]")));
        let plain = |set: &str| Ok(Class::Set(set.to_owned()));
        let unknown = || Err(format!(r"'\{c}' is unknown"));
        match c {
            'd' => plain(DIGIT),
            'D' => negated(DIGIT),
            's' => plain(SPACE),
            'S' => negated(SPACE),
            'w' => plain(WORD),
            'W' => negated(WORD),
            'h' => plain(HORIZONTAL),
            'H' => negated(HORIZONTAL),
            'v' => plain(VERTICAL),
            'V' => negated(VERTICAL),
            'p' | 'P' => {
                let set = self.property(any_case)?;
                if c == 'p' { Ok(Class::Set(set)) } else { negated(&set) }
            }
            't' => Ok(Class::Char('\t')),
            'n' => Ok(Class::Char('\n')),
            'r' => Ok(Class::Char('\r')),
            'f' => Ok(Class::Char('\u{c}')),
            'a' => Ok(Class::Char('\u{7}')),
            'e' => Ok(Class::Char('\u{1b}')),
            'x' if self.eat("{") => {
                let mut digits = String::new();
                while let Some(c) = self.next().filter(|c| *c != '}') {
                    digits.push(c);
                }
                character(u32::from_str_radix(&digits, 16).ok())
            }
            'x' => character(self.hexadecimal(2)),
            'u' => {
                let first = self.hexadecimal(4);
                // Characters beyond 16 bits are written as two halves.
                match first {
                    Some(high @ 0xD800..=0xDBFF) if self.eat(r"\u") => {
                        let low = self.hexadecimal(4).and_then(|low| low.checked_sub(0xDC00));
                        character(low.map(|low| 0x1_0000 + (high - 0xD800) * 0x400 + low))
                    }
                    other => character(other),
                }
            }
            '0' => {
                let mut value = None;
                for _ in 0..3 {
                    let Some(digit) = self.peek().and_then(|c| c.to_digit(8)) else {
                        break;
                    };
                    let next = value.unwrap_or(0) * 8 + digit;
                    if next > 0o377 {
                        break;
                    }
                    value = Some(next);
                    self.next();
                }
                character(value)
            }
            'c' => match self.next() {
                Some(c) if c.is_ascii() => character(Some(u32::from(c) ^ 64)),
                _ => unknown(),
            },
            c if c.is_ascii_alphanumeric() => unknown(),
            c => Ok(Class::Char(c)),
        }
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..digits {
            value = value * 16 + self.next()?.to_digit(16)?;
        }
        Some(value)
    }

    /// The name behind `\p`.
    fn property(&mut self, any_case: bool) -> Result<String, String> {
        let mut name = String::new();
        if self.eat("{") {
            while let Some(c) = self.next().filter(|c| *c != '}') {
                name.push(c);
            }
        } else {
            name.extend(self.next());
        }
        let cased =
            ["Lower", "Upper", "Lu", "Ll", "Lt", "IsLowercase", "IsUppercase", "IsLu", "IsLl"];
        if any_case && cased.contains(&name.as_str()) {
            return Err(format!(r"\p{{{name}}} under (?i) is not supported"));
        }
        if let Some((_, set)) = ASCII.iter().find(|(known, _)| *known == name) {
            return Ok((*set).to_owned());
        }
        let plain = name.strip_prefix("Is").unwrap_or(&name);
        let known = CATEGORIES.contains(&plain)
            || plain != name
                && (SCRIPTS.contains(&plain)
                    || ["Alphabetic", "Lowercase", "Uppercase"].contains(&plain));
        if known {
            return Ok(format!(r"\p{{{plain}}}"));
        }
        Err(format!(r"the class \p{{{name}}} is not supported"))
    }

    /// What follows a `[`, as a class of the crate's language.
    pub(super) fn class(&mut self, flags: Flags) -> Result<String, String> {
        self.deeper(|p| p.class_inner(flags))
    }

    fn class_inner(&mut self, flags: Flags) -> Result<String, String> {
        let any_case = flags.any_case;
        let negated = self.eat("^");
        let mut text = if negated { "[^" } else { "[" }.to_owned();
        // Of nothing but itself there is no class, so that a ']' at once is a member.
        let mut empty = true;
        let mut intersects = false;
        loop {
            let Some(c) = self.peek() else {
                return Err("a class in it is not closed by ']'".to_owned());
            };
            if c == ']' && !empty {
                self.next();
                break;
            }
            if self.eat("&&") {
                if empty || negated {
                    return Err(
                        "'&&' in a class that is negated, or at its beginning, is not supported"
                            .to_owned(),
                    );
                }
                if self.peek() == Some(']') || self.peek() == Some('&') {
                    return Err("'&&' in a class has nothing behind it".to_owned());
                }
                intersects = true;
                text.push_str("&&");
                continue;
            }
            empty = false;
            if self.eat("[") {
                text.push_str(&self.class(flags)?);
                continue;
            }
            match self.member(any_case)? {
                Class::Set(set) => text.push_str(&set),
                Class::Char(from) => {
                    let range_follows = self.peek() == Some('-')
                        && !matches!(self.peek_at(1), None | Some(']' | '['));
                    if !range_follows {
                        text.push_str(&in_class(from, any_case));
                        continue;
                    }
                    self.next();
                    match self.member(any_case)? {
                        Class::Char(to) if from <= to => text.push_str(&range(from, to, any_case)),
                        _ => {
                            return Err(format!(
                                "the range from '{from}' in a class ends before it"
                            ));
                        }
                    }
                }
            }
        }
        if intersects && text.matches("&&").count() > 1 {
            return Err("several '&&' in a class are not supported".to_owned());
        }
        text.push(']');
        Ok(text)
    }

    fn member(&mut self, any_case: bool) -> Result<Class, String> {
        match self.next() {
            Some('\\')
                if matches!(
                    self.peek(),
                    Some('Q' | 'E' | 'b' | 'B' | 'A' | 'z' | 'Z' | 'R' | 'G' | 'X' | 'N' | 'k')
                ) =>
            {
                let c = self.next().unwrap_or(' ');
                Err(format!(r"'\{c}' in a class is not supported"))
            }
            Some('\\') => self.escaped(any_case),
            Some(c) => Ok(Class::Char(c)),
            None => Err("a class in it is not closed by ']'".to_owned()),
        }
    }
}

fn in_class(c: char, any_case: bool) -> String {
    if any_case && c.is_ascii_alphabetic() {
        return format!("{}{}", c.to_ascii_uppercase(), c.to_ascii_lowercase());
    }
    code(c)
}

fn character(value: Option<u32>) -> Result<Class, String> {
    let c = value.and_then(char::from_u32);
    c.map(Class::Char).ok_or_else(|| "a character's number in it is none".to_owned())
}

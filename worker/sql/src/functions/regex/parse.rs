//! Java's pattern text → a tree.

use super::class::{self, Class};

/// Deepest nesting of groups and classes.
const MAX_DEPTH: usize = 100;

/// A piece of a pattern.
#[derive(Debug)]
pub(super) enum Node {
    /// Text of the crate's language that takes one character.
    One(String),
    /// Text of the crate's language that takes none.
    Place(&'static str),
    /// `$` and `\Z`: the end, or before the line end that is there.
    End,
    /// `\R`.
    LineEnd,
    Group {
        captures: bool,
        branches: Vec<Vec<Node>>,
    },
    Repeat {
        of: Box<Node>,
        times: String,
        unbounded: bool,
        from_zero: bool,
    },
}

#[derive(Clone, Copy, Default)]
pub(super) struct Flags {
    /// `i`: of ASCII letters.
    pub(super) any_case: bool,
    /// `s`: `.` takes line ends.
    dot_all: bool,
    /// `m`.
    lines: bool,
    /// `d`: only `\n` ends lines.
    unix: bool,
}

pub(super) struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

type Read<T> = Result<T, String>;

/// Reads a pattern.
pub(super) fn parse(pattern: &str) -> Read<Vec<Vec<Node>>> {
    let mut parser = Parser { chars: pattern.chars().collect(), at: 0, depth: 0 };
    let branches = parser.branches(Flags::default())?;
    match parser.peek() {
        None => Ok(branches),
        Some(_) => Err("it has a ')' without a '(' before it".to_owned()),
    }
}

impl Parser {
    pub(super) fn peek(&self) -> Option<char> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    pub(super) fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    pub(super) fn eat(&mut self, text: &str) -> bool {
        let found = text.chars().enumerate().all(|(i, c)| self.peek_at(i) == Some(c));
        if found {
            self.at += text.chars().count();
        }
        found
    }

    pub(super) fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("it is nested deeper than {MAX_DEPTH} levels"));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn branches(&mut self, mut flags: Flags) -> Read<Vec<Vec<Node>>> {
        let mut branches = vec![Vec::new()];
        loop {
            match self.peek() {
                None | Some(')') => return Ok(branches),
                Some('|') => {
                    self.next();
                    branches.push(Vec::new());
                }
                Some(_) => {
                    if let Some(node) = self.atom(&mut flags)? {
                        let node = self.repeated(node)?;
                        if let Some(branch) = branches.last_mut() {
                            branch.push(node);
                        }
                    }
                }
            }
        }
    }

    /// One piece; none for flags that hold from here on, and for an empty quotation.
    fn atom(&mut self, flags: &mut Flags) -> Read<Option<Node>> {
        let Some(c) = self.next() else {
            return Ok(None);
        };
        let node = match c {
            '(' => return self.group(flags),
            '[' => Node::One(self.class(*flags)?),
            '.' if flags.dot_all => Node::One("(?s:.)".to_owned()),
            '.' if flags.unix => Node::One(r"[^\n]".to_owned()),
            '.' => Node::One(r"[^\n\r\x{85}\x{2028}\x{2029}]".to_owned()),
            '^' | '$' if flags.lines => {
                return Err(format!("'{c}' of single lines, (?m), is not supported"));
            }
            '^' => Node::Place(r"\A"),
            '$' => Node::End,
            '*' | '+' | '?' => return Err(format!("the '{c}' has nothing before it to repeat")),
            '{' => return Err(r"a '{' has nothing before it to repeat; write \{".to_owned()),
            '\\' => return self.escape(*flags),
            c => Node::One(class::one(c, flags.any_case)),
        };
        Ok(Some(node))
    }

    fn group(&mut self, flags: &mut Flags) -> Read<Option<Node>> {
        let mut inner = *flags;
        let mut captures = true;
        if self.eat("?") {
            for (sign, what) in [
                ("=", "lookahead (?=…) is"),
                ("!", "lookahead (?!…) is"),
                ("<=", "lookbehind (?<=…) is"),
                ("<!", "lookbehind (?<!…) is"),
                (">", "atomic groups (?>…) are"),
            ] {
                if self.eat(sign) {
                    return Err(format!("{what} not supported"));
                }
            }
            if self.eat("<") {
                // The name serves back references alone.
                while self.peek().is_some_and(|c| c.is_ascii_alphanumeric()) {
                    self.next();
                }
                if !self.eat(">") {
                    return Err("a group's name is not closed by '>'".to_owned());
                }
            } else {
                captures = false;
                if !self.flags(&mut inner)? {
                    *flags = inner;
                    return Ok(None);
                }
            }
        }
        let branches = self.deeper(|p| p.branches(inner))?;
        if !self.eat(")") {
            return Err("a group in it is not closed".to_owned());
        }
        Ok(Some(Node::Group { captures, branches }))
    }

    /// Flags behind `(?`; whether a group with them follows.
    fn flags(&mut self, flags: &mut Flags) -> Read<bool> {
        let mut on = true;
        loop {
            match self.next() {
                Some(':') => return Ok(true),
                Some(')') => return Ok(false),
                Some('-') => on = false,
                Some('i') => flags.any_case = on,
                Some('s') => flags.dot_all = on,
                Some('m') => flags.lines = on,
                Some('d') => flags.unix = on,
                Some(c @ ('u' | 'U' | 'x')) => {
                    return Err(format!("the flag (?{c}) is not supported"));
                }
                Some(c) => return Err(format!("the flag '{c}' is unknown")),
                None => return Err("a group in it is not closed".to_owned()),
            }
        }
    }

    fn repeated(&mut self, node: Node) -> Read<Node> {
        let (times, unbounded, from_zero) = match self.peek() {
            Some('*') => ("*".to_owned(), true, true),
            Some('+') => ("+".to_owned(), true, false),
            Some('?') => ("?".to_owned(), false, true),
            Some('{') => {
                self.next();
                return self.counted(node);
            }
            _ => return Ok(node),
        };
        self.next();
        self.lazily(node, times, unbounded, from_zero)
    }

    fn counted(&mut self, node: Node) -> Read<Node> {
        let malformed = || r"a '{' begins no {n}, {n,} or {n,m}; write \{ for the sign".to_owned();
        let least = self.number().ok_or_else(malformed)?;
        let mut times = format!("{{{least}");
        let mut unbounded = false;
        if self.eat(",") {
            times.push(',');
            match self.number() {
                Some(most) if most >= least => times.push_str(&most.to_string()),
                Some(_) => return Err(malformed()),
                None => unbounded = true,
            }
        }
        times.push('}');
        if !self.eat("}") {
            return Err(malformed());
        }
        self.lazily(node, times, unbounded, least == 0)
    }

    fn lazily(
        &mut self,
        node: Node,
        mut times: String,
        unbounded: bool,
        from_zero: bool,
    ) -> Read<Node> {
        if self.eat("?") {
            times.push('?');
        } else if self.peek() == Some('+') {
            return Err(format!("possessive quantifiers ({times}+) are not supported"));
        }
        if let Some(c @ ('*' | '+' | '?')) = self.peek() {
            return Err(format!("the '{c}' has nothing before it to repeat"));
        }
        Ok(Node::Repeat { of: Box::new(node), times, unbounded, from_zero })
    }

    fn number(&mut self) -> Option<u32> {
        let mut text = String::new();
        while let Some(c) = self.peek().filter(char::is_ascii_digit) {
            text.push(c);
            self.next();
        }
        text.parse().ok()
    }

    fn escape(&mut self, flags: Flags) -> Read<Option<Node>> {
        let Some(c) = self.peek() else {
            return Err(r"it ends with a '\' that nothing follows".to_owned());
        };
        let simple = match c {
            'A' => Node::Place(r"\A"),
            'z' => Node::Place(r"\z"),
            'Z' => Node::End,
            'b' => Node::Place(r"\b"),
            'B' => Node::Place(r"\B"),
            'R' => Node::LineEnd,
            'Q' => {
                self.next();
                return self.quotation(flags);
            }
            'k' | '1'..='9' => {
                return Err(r"back references (\1, \k<…>) are not supported".to_owned());
            }
            'G' | 'X' | 'N' => return Err(format!(r"'\{c}' is not supported")),
            _ => {
                return match self.escaped(flags.any_case)? {
                    Class::Set(set) => Ok(Some(Node::One(format!("[{set}]")))),
                    Class::Char(c) => Ok(Some(Node::One(class::one(c, flags.any_case)))),
                };
            }
        };
        self.next();
        Ok(Some(simple))
    }

    /// `\Q…\E`: the last character is put off, as a quantifier behind it is for it alone.
    fn quotation(&mut self, flags: Flags) -> Read<Option<Node>> {
        let mut quoted = Vec::new();
        while self.peek().is_some() && !self.eat(r"\E") {
            quoted.extend(self.next());
        }
        let mut nodes: Vec<Node> =
            quoted.into_iter().map(|c| Node::One(class::one(c, flags.any_case))).collect();
        let Some(last) = nodes.pop() else {
            return Ok(None);
        };
        if nodes.is_empty() {
            return Ok(Some(last));
        }
        let last = self.repeated(last)?;
        nodes.push(last);
        Ok(Some(Node::Group { captures: false, branches: vec![nodes] }))
    }
}

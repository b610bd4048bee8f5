//! YAML as a tree in which every value knows its place.
//!
//! A deserializer stops at the first fault and knows no lines; whoever writes a manifest wants
//! all faults at once, each with its line. So the text becomes a small tree first.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};
use serde_json::Value as Json;

use crate::scalar::Meaning;

/// Values a manifest may have. Bounds what aliases can multiply, and what is worth reading.
const MAX_NODES: usize = 20_000;
/// Depth of nesting: reading is recursive.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    Sequence(Vec<Node>),
    Mapping(Vec<(Key, Node)>),
}

#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) style: ScalarStyle,
    /// Where the text itself starts: for a block the first line after its `|`.
    pub(crate) line: usize,
    /// Characters before the text on its first line, quotes included.
    pub(crate) indent: usize,
    /// Lines of the file that the text comes from.
    pub(crate) lines: Vec<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) line: usize,
    /// Without quotes: what it means is not always text.
    pub(crate) plain: bool,
}

impl Key {
    pub(crate) fn meaning(&self) -> Meaning {
        if self.plain { Meaning::of(&self.name) } else { Meaning::Text }
    }
}

/// A fault of the text itself.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    pub(crate) line: usize,
    pub(crate) message: String,
}

impl Node {
    /// What the value is, as an error message calls it.
    pub(crate) fn describe(&self) -> String {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing".to_owned(),
            Value::Scalar(scalar) if scalar.looks_like_number() => {
                format!("the number {}", scalar.text)
            }
            Value::Scalar(scalar) if scalar.looks_like_bool() => {
                format!("the boolean {}", scalar.text)
            }
            Value::Scalar(scalar) => format!("'{}'", shorten(&scalar.text)),
            Value::Sequence(_) => "a list".to_owned(),
            Value::Mapping(_) => "a mapping".to_owned(),
        }
    }

    /// The first field of this name, if this is a mapping that has it.
    pub(crate) fn at(&self, name: &str) -> Option<&Self> {
        let Value::Mapping(entries) = &self.value else { return None };
        entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The value without its places, as an API server would read it. Of a repeated key the last
    /// value counts.
    pub(crate) fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar(scalar) => scalar.to_json(),
            Value::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => {
                let entry = |(key, value): &(Key, Self)| (key.name.clone(), value.to_json());
                Json::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

impl Scalar {
    /// What it stands for; in quotes or in a block it is text.
    pub(crate) fn meaning(&self) -> Meaning {
        match self.style {
            ScalarStyle::Plain => Meaning::of(&self.text),
            _ => Meaning::Text,
        }
    }

    fn to_json(&self) -> Json {
        self.meaning().to_json(&self.text)
    }

    pub(crate) fn is_null(&self) -> bool {
        self.meaning() == Meaning::Null
    }

    pub(crate) fn looks_like_number(&self) -> bool {
        self.meaning().is_number()
    }

    pub(crate) fn looks_like_bool(&self) -> bool {
        matches!(self.meaning(), Meaning::Bool(_))
    }
}

/// At most 40 characters of a text that stands in an error message, on one line.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() > 40 || line.len() < text.trim_end().len() {
        let head: String = line.chars().take(40).collect();
        format!("{head}…")
    } else {
        line.to_owned()
    }
}

/// Reads every document of `text`; documents without any content are left out.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, SyntaxError> {
    let mut builder = Builder {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        nodes: 0,
        lines: text.lines().collect(),
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::DocumentStart(_) => builder.anchors.clear(),
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Nothing => {}
            event => {
                let node = builder.node(event, span, 0)?;
                if !node.is_null() {
                    documents.push(node);
                }
            }
        }
    }
    Ok(documents)
}

struct Builder<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    lines: Vec<&'t str>,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, SyntaxError> {
        self.parser.next().transpose().map_err(|fault| syntax_error(&fault))
    }

    fn inner(&mut self, line: usize) -> Result<(Event<'t>, Span), SyntaxError> {
        self.next()?.ok_or_else(|| SyntaxError {
            line,
            message: "the file ends inside this value".to_owned(),
        })
    }

    fn node(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Node, SyntaxError> {
        let line = span.start.line();
        self.count(1, line)?;
        if depth > MAX_DEPTH {
            return Err(SyntaxError {
                line,
                message: format!("values are nested more than {MAX_DEPTH} deep"),
            });
        }
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, _) => {
                (anchor, Value::Scalar(self.scalar(text.into_owned(), style, span)))
            }
            Event::SequenceStart(anchor, _) => {
                let mut items = Vec::new();
                loop {
                    match self.inner(line)? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, depth + 1)?),
                    }
                }
                (anchor, Value::Sequence(items))
            }
            Event::MappingStart(anchor, _) => {
                let mut entries = Vec::new();
                loop {
                    let (event, span) = self.inner(line)?;
                    let key = match event {
                        Event::MappingEnd => break,
                        Event::Scalar(name, style, ..) => Key {
                            name: name.into_owned(),
                            line: span.start.line(),
                            plain: style == ScalarStyle::Plain,
                        },
                        _ => {
                            return Err(SyntaxError {
                                line: span.start.line(),
                                message: "a key must be plain text".to_owned(),
                            });
                        }
                    };
                    let (event, span) = self.inner(key.line)?;
                    let value = self.node(event, span, depth + 1)?;
                    entries.push((key, value));
                }
                (anchor, Value::Mapping(entries))
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(SyntaxError {
                        line,
                        message: "an alias (*) inside the value it stands for".to_owned(),
                    });
                };
                self.count(size(&node), line)?;
                return Ok(node);
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => {
                return Err(SyntaxError { line, message: "a value is missing here".to_owned() });
            }
        };
        let node = Node { line, value };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// The parser's mark of a block is its `|` or its first content line, depending on what
    /// stands between; the first content line is found in the text itself.
    fn scalar(&self, text: String, style: ScalarStyle, span: Span) -> Scalar {
        let (line, indent) = match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let wanted = text.lines().find(|l| !l.trim().is_empty()).unwrap_or_default();
                let skipped = text.lines().take_while(|l| l.trim().is_empty()).count();
                let from = span.start.line().saturating_sub(1);
                let found = self.lines.iter().enumerate().skip(from).find(|(_, l)| {
                    !wanted.is_empty() && l.ends_with(wanted) && l.trim() == wanted.trim()
                        || style == ScalarStyle::Folded
                            && !l.trim().is_empty()
                            && wanted.starts_with(l.trim())
                });
                match found {
                    Some((at, l)) => (
                        (at + 1).saturating_sub(skipped),
                        match style {
                            // Its first line may be longer than that of the file.
                            ScalarStyle::Folded => l.chars().take_while(|c| *c == ' ').count(),
                            _ => l.chars().count().saturating_sub(wanted.chars().count()),
                        },
                    ),
                    None => (span.start.line(), 0),
                }
            }
            ScalarStyle::Plain => (span.start.line(), span.start.col()),
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                (span.start.line(), span.start.col() + 1)
            }
        };
        let from = self.lines.get(line.saturating_sub(1)..).unwrap_or_default();
        let length = match style {
            // A block goes on until a line stands further left.
            ScalarStyle::Literal | ScalarStyle::Folded => {
                let inside = |line: &&&str| line.chars().take(indent).all(|c| c == ' ');
                from.iter().take_while(inside).count()
            }
            _ => (span.end.line() + 1).saturating_sub(line),
        };
        let lines = from.iter().take(length).map(|line| (*line).to_owned()).collect();
        Scalar { text, style, line, indent, lines }
    }

    fn count(&mut self, nodes: usize, line: usize) -> Result<(), SyntaxError> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(SyntaxError {
                line,
                message: format!("the manifest has more than {MAX_NODES} values"),
            });
        }
        Ok(())
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(_) => 0,
        Value::Sequence(items) => items.iter().map(size).sum(),
        Value::Mapping(entries) => entries.iter().map(|(_, value)| size(value)).sum(),
    }
}

fn syntax_error(fault: &ScanError) -> SyntaxError {
    SyntaxError {
        line: fault.marker().line(),
        message: format!("not YAML: {} (column {})", fault.info(), fault.marker().col() + 1),
    }
}

//! The tree → text of the `regex` crate.

use super::parse::Node;

/// A line end that a `$` may stand before.
const TAIL: &str = r"((?:\r\n|[\n\r\x{85}\x{2028}\x{2029}])?\z)";
const LINE_END: &str = r"(?:\r\n|[\n\x0B\x0C\r\x{85}\x{2028}\x{2029}])";

/// A pattern in the crate's language.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) groups: Vec<usize>,
    pub(super) tails: Vec<usize>,
}

/// Writes a pattern; `whole`: it has to match a text from its beginning to its end.
pub(super) fn write(branches: &[Vec<Node>], whole: bool) -> Result<Written, String> {
    let mut writer = Writer {
        out: Written { text: String::new(), groups: vec![0], tails: Vec::new() },
        opened: 0,
        whole,
    };
    if whole {
        writer.out.text.push_str(r"\A(?:");
        writer.branches(branches, true)?;
        writer.out.text.push_str(r")\z");
    } else {
        writer.branches(branches, true)?;
    }
    Ok(writer.out)
}

struct Writer {
    out: Written,
    /// Groups of the crate's so far.
    opened: usize,
    whole: bool,
}

impl Writer {
    fn branches(&mut self, branches: &[Vec<Node>], last: bool) -> Result<(), String> {
        for (i, branch) in branches.iter().enumerate() {
            if i > 0 {
                self.out.text.push('|');
            }
            for (j, node) in branch.iter().enumerate() {
                self.node(node, last && j + 1 == branch.len())?;
            }
        }
        Ok(())
    }

    /// `last`: nothing is read behind it.
    fn node(&mut self, node: &Node, last: bool) -> Result<(), String> {
        match node {
            Node::One(text) => self.out.text.push_str(text),
            Node::Place(text) => self.out.text.push_str(text),
            Node::LineEnd => self.out.text.push_str(LINE_END),
            Node::End if self.whole => self.out.text.push_str(r"\z"),
            Node::End if last => {
                self.opened += 1;
                self.out.tails.push(self.opened);
                self.out.text.push_str(TAIL);
            }
            Node::End => {
                return Err(
                    r"a '$' that something follows is not supported; write \$ for the sign"
                        .to_owned(),
                );
            }
            Node::Group { captures, branches } => {
                if *captures {
                    self.opened += 1;
                    self.out.groups.push(self.opened);
                    self.out.text.push('(');
                } else {
                    self.out.text.push_str("(?:");
                }
                self.branches(branches, last)?;
                self.out.text.push(')');
            }
            Node::Repeat { of, times, unbounded, .. } => {
                if *unbounded && may_be_empty(of) && is_choice(of) {
                    return Err("repeating without end what may be empty and holds a group or a choice is not supported".to_owned());
                }
                let closed = matches!(**of, Node::Group { .. });
                if !closed {
                    self.out.text.push_str("(?:");
                }
                self.node(of, false)?;
                if !closed {
                    self.out.text.push(')');
                }
                self.out.text.push_str(times);
            }
        }
        Ok(())
    }
}

fn may_be_empty(node: &Node) -> bool {
    match node {
        Node::One(_) | Node::LineEnd => false,
        Node::Place(_) | Node::End => true,
        Node::Group { branches, .. } => branches.iter().any(|b| b.iter().all(may_be_empty)),
        Node::Repeat { of, from_zero, .. } => *from_zero || may_be_empty(of),
    }
}

/// Whether it holds a group whose content can be asked for, or branches.
fn is_choice(node: &Node) -> bool {
    match node {
        Node::Group { captures, branches } => {
            *captures || branches.len() > 1 || branches.iter().flatten().any(is_choice)
        }
        Node::Repeat { of, .. } => is_choice(of),
        _ => false,
    }
}

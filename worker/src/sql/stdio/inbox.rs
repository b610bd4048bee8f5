//! What is asked: one JSON value a line.

use std::collections::VecDeque;
use std::future::pending;

use serde::Deserialize;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader, stdin};
use tokio::sync::mpsc;

/// A request is no longer: a program that forgets to end its lines is told so.
const LONGEST: u64 = 16 << 20;
/// Requests that wait for an answer. A program that does not wait for answers waits here.
const WAITING: usize = 100;
/// Rows of a table that is only looked at, unless more are asked for.
const SHOWN: usize = 20;

/// What is asked.
#[derive(Debug)]
pub(super) enum Asked {
    Run(Run),
    Interrupt,
    Complete(Complete),
    /// It is no request, and why.
    Unreadable(String),
}

/// As it is written.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Request {
    Run(Run),
    Interrupt,
    Complete(Complete),
}

/// Statements to answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    pub(super) sql: String,
    pub(super) limit: Option<usize>,
    pub(super) seconds: Option<f64>,
    #[serde(default)]
    pub(super) live: bool,
    #[serde(default = "shown")]
    pub(super) shown: usize,
}

fn shown() -> usize {
    SHOWN
}

/// Texts around what is to be completed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Complete {
    pub(super) before: String,
    #[serde(default)]
    pub(super) after: String,
}

/// Requests in the order in which they came. Interrupts overtake those that wait.
pub(in crate::sql) struct Inbox {
    requests: mpsc::Receiver<Asked>,
    waiting: VecDeque<Asked>,
    has_ended: bool,
}

impl Inbox {
    /// Reads standard input from now on.
    pub(super) fn open() -> Self {
        let (sender, requests) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stdin());
            while let Some(asked) = read(&mut lines).await {
                if sender.send(asked).await.is_err() {
                    return;
                }
            }
        });
        Self { requests, waiting: VecDeque::new(), has_ended: false }
    }

    /// The next request; nothing at the end of standard input.
    pub(super) async fn next(&mut self) -> Option<Asked> {
        match self.waiting.pop_front() {
            // Whoever has gone waits for no answer.
            _ if self.has_ended => None,
            Some(asked) => Some(asked),
            None => self.requests.recv().await,
        }
    }

    /// Returns when what runs is to be ended: asked for, or since nobody asks any more. That is told
    /// once. Loses nothing when dropped before.
    pub(in crate::sql) async fn interrupted(&mut self) {
        while !self.has_ended && self.waiting.len() < WAITING {
            match self.requests.recv().await {
                Some(Asked::Interrupt) => return,
                Some(asked) => self.waiting.push_back(asked),
                None => {
                    self.has_ended = true;
                    return;
                }
            }
        }
        pending().await
    }
}

async fn read(lines: &mut (impl AsyncBufRead + Unpin)) -> Option<Asked> {
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut *lines).take(LONGEST).read_until(b'\n', &mut line).await {
            Ok(0) => return None,
            Ok(_) if line.len() as u64 == LONGEST && line.last() != Some(&b'\n') => {
                return pass(lines).await.then(|| {
                    Asked::Unreadable(format!("a request has at most {} MiB", LONGEST >> 20))
                });
            }
            Ok(_) if line.trim_ascii().is_empty() => {}
            Ok(_) => return Some(parse(&line)),
            Err(error) => {
                tracing::warn!(%error, "standard input cannot be read");
                return None;
            }
        }
    }
}

/// Passes over the rest of a line, which is no request of its own; false where it cannot be read.
async fn pass(lines: &mut (impl AsyncBufRead + Unpin)) -> bool {
    loop {
        let (length, is_end) = match lines.fill_buf().await {
            Ok([]) => return true,
            Ok(bytes) => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (bytes.len(), false),
            },
            Err(error) => {
                tracing::warn!(%error, "standard input cannot be read");
                return false;
            }
        };
        lines.consume(length);
        if is_end {
            return true;
        }
    }
}

fn parse(line: &[u8]) -> Asked {
    match serde_json::from_slice(line) {
        Ok(Request::Run(Run { seconds: Some(seconds), .. })) if seconds < 0.0 => {
            Asked::Unreadable(format!("no request: \"seconds\" is {seconds}; it is 0 or more"))
        }
        Ok(Request::Run(run)) => Asked::Run(run),
        Ok(Request::Interrupt) => Asked::Interrupt,
        Ok(Request::Complete(text)) => Asked::Complete(text),
        Err(error) => Asked::Unreadable(format!(
            "no request: {error}; a request is one line such as {{\"run\":{{\"sql\":\"SELECT 1;\"}}}}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_read_to_the_last_and_what_is_no_request_says_why() {
        let text = "{\"run\":{\"sql\":\"SELECT 1\",\"limit\":3}}\n\n\"interrupt\"\n{\"run\":{\"sq\":1}}\n{\"complete\":{\"before\":\"SEL\"}}";
        let mut lines = text.as_bytes();
        let mut next = async || read(&mut lines).await;
        match next().await {
            Some(Asked::Run(run)) => {
                assert_eq!((run.limit, run.live, run.shown), (Some(3), false, SHOWN))
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(next().await, Some(Asked::Interrupt)));
        match next().await {
            Some(Asked::Unreadable(why)) => assert!(why.contains("unknown field `sq`"), "{why}"),
            other => panic!("{other:?}"),
        }
        assert!(matches!(next().await, Some(Asked::Complete(_))));
        assert!(next().await.is_none());
    }

    #[tokio::test]
    async fn a_request_that_is_too_long_is_answered_once() {
        let long = "x".repeat(LONGEST as usize + 10);
        let text = format!("{long}\n\"interrupt\"\n{long}");
        let mut lines = text.as_bytes();
        assert!(
            matches!(read(&mut lines).await, Some(Asked::Unreadable(why)) if why.contains("16 MiB"))
        );
        assert!(matches!(read(&mut lines).await, Some(Asked::Interrupt)));
        assert!(matches!(read(&mut lines).await, Some(Asked::Unreadable(_))));
        assert!(read(&mut lines).await.is_none());
    }

    #[tokio::test]
    async fn an_interrupt_overtakes_what_waits_and_the_end_interrupts_once() {
        let (sender, requests) = mpsc::channel(4);
        let mut inbox = Inbox { requests, waiting: VecDeque::new(), has_ended: false };
        sender.send(Asked::Unreadable("first".to_owned())).await.expect("room");
        sender.send(Asked::Interrupt).await.expect("room");
        inbox.interrupted().await;
        assert!(matches!(inbox.next().await, Some(Asked::Unreadable(_))));
        drop(sender);
        inbox.interrupted().await;
        let again = tokio::time::timeout(std::time::Duration::from_millis(20), inbox.interrupted());
        assert!(again.await.is_err(), "it was told");
        assert!(inbox.next().await.is_none());
    }
}

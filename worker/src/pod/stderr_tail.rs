//! The last words of a worker: the end of what it said on standard error.

use std::io::Write;
use std::process::ExitStatus;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

/// What kubelet keeps of a termination log.
const KEPT: usize = 4096;

/// The end of what a worker has said.
#[derive(Clone, Debug, Default)]
pub(super) struct StderrTail(Arc<Mutex<Vec<u8>>>);

impl StderrTail {
    /// Hands on what the worker says, and keeps the end of it. The task ends with the pipe.
    pub(super) fn listen(&self, stderr: Option<ChildStderr>) -> JoinHandle<()> {
        self.0.lock().clear();
        let words = self.0.clone();
        tokio::spawn(async move {
            let Some(mut stderr) = stderr else { return };
            let mut buffer = vec![0; 4096];
            while let Ok(n @ 1..) = stderr.read(&mut buffer).await {
                // Nobody may be listening; the worker must not notice.
                std::io::stderr().write_all(&buffer[..n]).ok();
                keep(&mut words.lock(), &buffer[..n]);
            }
        })
    }

    /// The last words, for the termination log.
    pub(super) fn last(&self, status: ExitStatus) -> String {
        let said = String::from_utf8_lossy(&self.0.lock()).into_owned();
        last_words(&said, &status.to_string())
    }
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    kept.extend_from_slice(more);
    if kept.len() > 2 * KEPT {
        kept.drain(..kept.len() - KEPT);
    }
}

/// What was said outside of logs; where there was nothing, the end of the logs.
fn last_words(said: &str, status: &str) -> String {
    let plain: Vec<&str> = said.lines().filter(|line| !line.starts_with('{')).collect();
    let plain = plain.join("\n");
    let words = if plain.trim().is_empty() { said } else { &plain };
    let words = words.trim();
    if words.is_empty() {
        return format!("the worker ended without a word ({status})");
    }
    let mut from = words.len().saturating_sub(KEPT);
    while !words.is_char_boundary(from) {
        from += 1;
    }
    words[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_told_from_logs() {
        let said =
            "{\"level\":\"WARN\"}\njob.yaml:3: no such field\n  and more\n{\"level\":\"INFO\"}\n";
        assert_eq!(last_words(said, "exit status: 2"), "job.yaml:3: no such field\n  and more");
        assert_eq!(last_words("{\"only\":\"logs\"}\n", ""), "{\"only\":\"logs\"}");
        assert!(last_words("", "signal: 9").contains("signal: 9"));
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut kept = Vec::new();
        for _ in 0..100 {
            keep(&mut kept, &[b'a'; 1000]);
        }
        keep(&mut kept, b"the end");
        assert!(kept.len() <= 2 * KEPT && kept.ends_with(b"the end"));
    }
}

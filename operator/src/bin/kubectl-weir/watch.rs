//! Objects as `kubectl get --watch` tells of them, for longer than one watch lasts.
//!
//! The API server ends each watch after some minutes, and goes away at times. Each new watch begins
//! with what there is, so nothing that lasts is missed between two; what was seen before comes again.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use weir_operator::clock::Clock;

use crate::ask::{Cluster, is_not_found};
use crate::kubectl::Running;
use crate::out::tell;

/// Before a watch that has ended is begun again; twice as long after each that failed.
const BREATH: Duration = Duration::from_millis(300);
/// And at most.
const LONGEST: Duration = Duration::from_secs(5);
/// Between two looks at what is for ever.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// Objects that are read before they are looked at.
const QUEUE: usize = 16;

/// A watch that is kept up.
pub(crate) struct Watch {
    cluster: Cluster,
    call: Vec<String>,
    clock: Clock,
    now: Option<(Running, Receiver<serde_json::Result<Value>>)>,
    /// It has told of something, or lasted as long as it should.
    has_begun: bool,
    pause: Duration,
    /// Why it does not go on, as it was told.
    told: String,
}

impl Watch {
    /// Of what this `get` shows.
    pub(crate) fn new(cluster: &Cluster, get: &[&str]) -> Self {
        let call = ["get"].iter().chain(get).chain(&["--watch", "--output=json"]);
        Self {
            cluster: cluster.clone(),
            call: call.map(|&word| word.to_owned()).collect(),
            clock: Clock::system(),
            now: None,
            has_begun: false,
            pause: Duration::ZERO,
            told: String::new(),
        }
    }

    /// The next object; none when none came in time, where there is a time.
    ///
    /// # Errors
    /// What cannot be watched from the first, or is there no more.
    pub(crate) fn next(&mut self, within: Option<Duration>) -> Result<Option<Value>> {
        let until = within.map(|within| self.clock.elapsed() + within);
        loop {
            let left = until.map_or(FOR_EVER, |it| it.saturating_sub(self.clock.elapsed()));
            if self.now.is_none() {
                std::thread::sleep(self.pause.min(left));
                self.now = Some(self.begin()?);
            }
            let Some((running, seen)) = &mut self.now else { continue };
            let failed = match seen.recv_timeout(left) {
                Ok(Ok(object)) => {
                    self.has_begun = true;
                    self.told.clear();
                    self.pause = BREATH;
                    return Ok(Some(object));
                }
                Err(RecvTimeoutError::Timeout) if until.is_some() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => continue,
                Ok(Err(error)) => Some(anyhow::Error::new(error).context("what kubectl prints")),
                Err(RecvTimeoutError::Disconnected) => running.wait().err(),
            };
            self.now = None;
            self.again(failed)?;
            if until.is_some_and(|until| self.clock.elapsed() >= until) {
                return Ok(None);
            }
        }
    }

    fn begin(&self) -> Result<(Running, Receiver<serde_json::Result<Value>>)> {
        let call: Vec<&str> = self.call.iter().map(String::as_str).collect();
        let mut running = self.cluster.start(&call)?;
        let output = running.output()?;
        let (to, seen) = mpsc::sync_channel(QUEUE);
        std::thread::spawn(move || {
            for object in serde_json::Deserializer::from_reader(output).into_iter::<Value>() {
                // One that was cut off is told of again.
                let is_cut = object.as_ref().is_err_and(|error| error.is_eof() || error.is_io());
                if is_cut || to.send(object).is_err() {
                    return;
                }
            }
        });
        Ok((running, seen))
    }

    /// Whether it is worth another try.
    fn again(&mut self, failed: Option<anyhow::Error>) -> Result<()> {
        let Some(why) = failed else {
            // It may have had nothing to tell of.
            self.has_begun = true;
            self.pause = BREATH;
            return Ok(());
        };
        if !self.has_begun || is_not_found(&why) {
            return Err(why);
        }
        self.pause = (self.pause * 2).clamp(BREATH, LONGEST);
        let why = format!("{why:#}");
        if why != self.told {
            tell(&format!("the cluster is not seen, and is asked again: {why}"));
            self.told = why;
        }
        Ok(())
    }
}

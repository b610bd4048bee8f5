//! Finds files: once, or again and again.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;
use weir_engine::source::{Split, SplitEnumerator};

use super::bounds::{Bounds, Earliest};
use super::list::Place;
use super::position::{At, FileInfo, Position};

/// One split per file, so that a file's rows keep their order.
pub(crate) struct FileEnumerator {
    place: Place,
    interval: Option<Duration>,
    /// Where the files' earliest event times can be known.
    bounds: Option<Bounds>,
    state: State,
}

/// What a restore needs: names, since a file is never read twice under one name.
#[derive(Default, Serialize, Deserialize)]
struct State {
    v: u32,
    /// The listing of a bounded source is done.
    listed: bool,
    /// Files handed out by a source that keeps looking. Empty for a bounded one, whose listing
    /// is never repeated.
    seen: BTreeSet<String>,
}

impl FileEnumerator {
    pub(crate) fn new(
        place: Place,
        interval: Option<Duration>,
        bounds: Option<Bounds>,
        snapshot: Option<&Bytes>,
    ) -> Result<Self, EngineError> {
        let state = match snapshot {
            None => State { v: 1, ..State::default() },
            Some(bytes) => {
                let state: State = serde_json::from_slice(bytes).map_err(|error| {
                    EngineError::ours(format!(
                        "{}: the list of found files cannot be read: {error}",
                        place.location
                    ))
                })?;
                if state.v != 1 {
                    return Err(EngineError::ours(format!(
                        "{}: the list of found files has version {}, this version of Weir reads 1",
                        place.location, state.v
                    )));
                }
                state
            }
        };
        Ok(Self { place, interval, bounds, state })
    }
}

#[async_trait]
impl SplitEnumerator for FileEnumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if self.interval.is_none() && self.state.listed {
            return Ok(Vec::new());
        }
        let found = match self.place.list().await? {
            Some(found) => found,
            // A directory that is watched may come later; one to be read now may not.
            None if self.interval.is_some() => Vec::new(),
            None => {
                return Err(EngineError::user(format!(
                    "{}: there is no such file or directory; check 'path', which is relative to the manifest's directory",
                    self.place.location
                )));
            }
        };
        if self.interval.is_none() && found.is_empty() {
            return Err(EngineError::user(format!(
                "{}: no file matches; check 'path' and 'source.path.regex-pattern' (names that begin with '.' or '_' are ignored)",
                self.place.location
            )));
        }
        let mut fresh: Vec<FileInfo> = found;
        fresh.retain(|file| file.size > 0 && !self.state.seen.contains(&file.path));
        let earliest = match &self.bounds {
            Some(bounds) => bounds.find(&fresh).await,
            None => vec![Earliest::Unknown; fresh.len()],
        };
        let ordered = self.bounds.as_ref().is_some_and(Bounds::is_ordered);
        let splits = fresh.iter().zip(earliest).filter_map(|(file, earliest)| {
            let lower_bound = match earliest {
                Earliest::NoRows => return None,
                Earliest::Unknown => None,
                Earliest::From(time) => Some(time),
            };
            Some(Split {
                id: file.path.clone(),
                position: Position::new(file.clone(), At::Byte(0)).encode(),
                // What is below a declared bound is late, wherever and whenever it is read.
                watermark: lower_bound.filter(|_| ordered),
                lower_bound,
                size: file.size,
            })
        });
        let mut splits: Vec<Split> = splits.collect();
        if !ordered {
            // From the earliest on; files that may hold anything first, because nothing can be
            // concluded before they are read. Others keep the order of their paths.
            splits.sort_by_key(|split| split.lower_bound);
        }
        // Only now, so that a listing that failed half-way is repeated whole.
        self.state.listed = true;
        if self.interval.is_some() {
            self.state.seen.extend(fresh.into_iter().map(|file| file.path));
        }
        Ok(splits)
    }

    fn interval(&self) -> Option<Duration> {
        self.interval
    }

    fn snapshot(&self) -> Bytes {
        // Names and numbers always serialise.
        serde_json::to_vec(&self.state).unwrap_or_default().into()
    }
}

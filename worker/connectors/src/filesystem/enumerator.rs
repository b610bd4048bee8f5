//! Finds files: once, or again and again.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use weir_engine::EngineError;
use weir_engine::env::instant;
use weir_engine::source::{Split, SplitEnumerator};

use super::bounds::{Bounds, Earliest};
use super::list::Place;
use super::mark::Mark;
use super::position::{At, FileInfo, Position};
use super::watch::{Growth, Known, State};

/// How a directory is watched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Watch {
    /// Time between two looks.
    pub(crate) interval: Duration,
    /// What becomes of files that have grown.
    pub(crate) growth: Growth,
    /// A file that ends in the middle of something is taken as it is when it has not changed for
    /// so long.
    pub(crate) unfinished_timeout: Duration,
}

/// One split per file, so that a file's rows keep their order: a file that grows is read on by
/// one reader at a time, from where the last one gave it back.
pub(crate) struct FileEnumerator {
    place: Place,
    watch: Option<Watch>,
    /// Where the files' earliest event times can be known.
    bounds: Option<Bounds>,
    state: State,
    /// Unfinished files: since when each has had this size and modification time.
    quiet: BTreeMap<String, (u64, i64, Instant)>,
}

/// A file to be handed out.
struct Next {
    position: Position,
    watermark: Option<i64>,
}

impl FileEnumerator {
    pub(crate) fn new(
        place: Place,
        watch: Option<Watch>,
        bounds: Option<Bounds>,
        snapshot: Option<&Bytes>,
    ) -> Result<Self, EngineError> {
        let state = match snapshot {
            None => State::new(),
            Some(bytes) => {
                let state: State = serde_json::from_slice(bytes).map_err(|error| {
                    EngineError::internal(format!(
                        "{}: the list of found files cannot be read: {error}",
                        place.location
                    ))
                })?;
                let newest = State::new().v;
                if state.v == 0 || state.v > newest {
                    return Err(EngineError::internal(format!(
                        "{}: the list of found files has version {}, this version of Weir reads {newest}",
                        place.location, state.v
                    )));
                }
                State { v: newest, ..state }
            }
        };
        Ok(Self { place, watch, bounds, state, quiet: BTreeMap::new() })
    }

    /// What is to be read of the files that are there.
    fn look(&mut self, found: Vec<FileInfo>) -> Result<Vec<Next>, EngineError> {
        let mut next = Vec::new();
        for file in found {
            match (self.state.files.get(&file.path), self.watch) {
                (None, _) if file.size == 0 => {}
                (None, watch) => {
                    next.push(Next { position: fresh(file, watch), watermark: None });
                }
                (Some(Some(known)), Some(watch)) => {
                    let quiet = known.unfinished
                        && is_quiet(&mut self.quiet, &file, watch.unfinished_timeout);
                    if let Some(position) = known.look(&file, quiet, watch.growth)? {
                        next.push(Next { position, watermark: known.watermark() });
                    }
                }
                // A reader has it, and looks after it.
                (Some(_), _) => {}
            }
        }
        Ok(next)
    }

    async fn bounds(&self, next: &[Next]) -> Vec<Earliest> {
        let Some(bounds) = &self.bounds else { return vec![Earliest::Unknown; next.len()] };
        let unread = |next: &&Next| next.position.at.is_start();
        let files: Vec<_> = next.iter().filter(unread).map(|n| n.position.file.clone()).collect();
        let mut found = bounds.find(&files).await.into_iter();
        // Of the others their own watermark tells.
        let bound = |next: &Next| match unread(&next) {
            true => found.next().unwrap_or(Earliest::Unknown),
            false => Earliest::Unknown,
        };
        next.iter().map(bound).collect()
    }
}

/// The beginning of a file.
fn fresh(file: FileInfo, watch: Option<Watch>) -> Position {
    match watch {
        Some(watch) if !file.is_remote() => {
            let position = Position::growing(file, At::Byte(0), Mark::default());
            if watch.growth == Growth::Fail { position.whole() } else { position }
        }
        // Objects are written at once, and files that are listed once are read as they are.
        _ => Position::new(file, At::Byte(0)),
    }
}

fn is_quiet(
    quiet: &mut BTreeMap<String, (u64, i64, Instant)>,
    file: &FileInfo,
    timeout: Duration,
) -> bool {
    let now = instant();
    let (size, modified_ns, since) =
        quiet.entry(file.path.clone()).or_insert((file.size, file.modified_ns, now));
    if (*size, *modified_ns) != (file.size, file.modified_ns) {
        (*size, *modified_ns, *since) = (file.size, file.modified_ns, now);
    }
    now.duration_since(*since) >= timeout
}

#[async_trait]
impl SplitEnumerator for FileEnumerator {
    async fn discover(&mut self) -> Result<Vec<Split>, EngineError> {
        if self.watch.is_none() && self.state.listed {
            return Ok(Vec::new());
        }
        let found = match self.place.list().await? {
            Some(found) => found,
            // A directory that is watched may come later; one to be read now may not.
            None if self.watch.is_some() => Vec::new(),
            None => {
                return Err(EngineError::user(format!(
                    "{}: there is no such file or directory; check 'path', which is relative to the manifest's directory",
                    self.place.location
                )));
            }
        };
        if self.watch.is_none() && found.is_empty() {
            return Err(EngineError::user(format!(
                "{}: no file matches; check 'path' and 'source.path.regex-pattern' (names that begin with '.' or '_' are ignored)",
                self.place.location
            )));
        }
        if self.watch.is_some() {
            self.state.reconcile(&found);
        }
        let next = self.look(found)?;
        let earliest = self.bounds(&next).await;
        let ordered = self.bounds.as_ref().is_some_and(Bounds::is_ordered);
        let mut splits = Vec::with_capacity(next.len());
        for (Next { position, watermark }, earliest) in next.into_iter().zip(earliest) {
            let file = &position.file;
            let lower_bound = match earliest {
                Earliest::NoRows => {
                    if self.watch.is_some() {
                        let known = Known::done(file, At::Row { group: 0, row: 0 });
                        self.state.files.insert(file.path.clone(), Some(known));
                    }
                    continue;
                }
                Earliest::Unknown => None,
                Earliest::From(time) => Some(time),
            };
            if self.watch.is_some() {
                self.quiet.remove(&file.path);
                self.state.files.insert(file.path.clone(), None);
            }
            splits.push(Split {
                id: file.path.clone(),
                // What is below a declared bound is late, wherever and whenever it is read.
                watermark: watermark.max(lower_bound.filter(|_| ordered)),
                lower_bound,
                size: match position.at {
                    At::Byte(at) => file.size.saturating_sub(at),
                    At::Row { .. } => file.size,
                },
                position: position.encode(),
            });
        }
        if !ordered {
            // From the earliest on; files that may hold anything first, because nothing can be
            // concluded before they are read. Others keep the order of their paths.
            splits.sort_by_key(|split| split.lower_bound.max(split.watermark));
        }
        // Only now, so that a listing that failed half-way is repeated whole.
        self.state.listed = true;
        Ok(splits)
    }

    fn interval(&self) -> Option<Duration> {
        self.watch.map(|watch| watch.interval)
    }

    fn snapshot(&self) -> Bytes {
        // Names and numbers always serialise.
        serde_json::to_vec(&self.state).unwrap_or_default().into()
    }

    fn take_back(&mut self, split: Split) -> Result<(), EngineError> {
        self.state.take_back(&split)
    }

    fn held(&self) -> Option<i64> {
        self.state.held()
    }
}

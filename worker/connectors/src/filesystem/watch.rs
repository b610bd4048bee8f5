//! What is remembered of files in a watched directory, and what is to be done when one of them is
//! seen again.
//!
//! What always holds: what was read of a file is never read again, and what was not is read, or
//! an error names the file. A file may only grow, at its end: whoever reads it on compares what
//! stands before (see `mark`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use weir_engine::EngineError;
use weir_engine::source::Split;

use super::GROWTH;
use super::mark::Mark;
use super::position::{At, FileInfo, Position};

/// Files that are gone are remembered up to this number, so that one that comes back is known;
/// those that went first are forgotten.
const MOST_GONE: usize = 100_000;

/// `source.file-growth`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Growth {
    /// A file that has grown is read on.
    Continue,
    /// It is an error.
    Fail,
}

/// What a restore needs.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) v: u32,
    /// The listing of a bounded source is done. Nothing else is remembered of it, since it is
    /// never repeated.
    pub(crate) listed: bool,
    /// Names of files that an earlier version read: how far, it did not keep.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) seen: BTreeSet<String>,
    /// Absent values are files that readers have.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, Option<Known>>,
    /// Counts files that went.
    #[serde(default)]
    pub(crate) gone: u64,
}

/// A file that nobody reads at present, as it was when it was read last.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    #[serde(rename = "s")]
    size: u64,
    #[serde(rename = "m")]
    modified_ns: i64,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    at: At,
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    mark: Option<Mark>,
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    watermark: Option<i64>,
    /// It ends in the middle of a record, or has no footer yet.
    #[serde(rename = "u", default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unfinished: bool,
    /// When it went, in the order of those that did.
    #[serde(rename = "g", default, skip_serializing_if = "Option::is_none")]
    gone: Option<u64>,
}

impl Known {
    /// A file that was read from its beginning to its end, or has nothing to read.
    pub(crate) fn done(file: &FileInfo, at: At) -> Self {
        Self {
            size: file.size,
            modified_ns: file.modified_ns,
            etag: file.etag.clone(),
            at,
            mark: None,
            watermark: None,
            unfinished: false,
            gone: None,
        }
    }

    fn returned(split: &Split) -> Result<Self, EngineError> {
        let Position { file, at, mark, .. } = Position::decode(split)?;
        let (watermark, unfinished) = (split.watermark, split.size > 0);
        Ok(Self { mark, watermark, unfinished, ..Self::done(&file, at) })
    }

    /// Whether nothing shows that the file is another than it was.
    pub(crate) fn is_same(&self, file: &FileInfo) -> bool {
        let same_version = match (&self.etag, &file.etag) {
            (Some(before), Some(now)) => before == now,
            _ => self.modified_ns == file.modified_ns,
        };
        self.size == file.size && same_version
    }

    /// What is to be read of a file that was read before. `quiet`: it has been the same for so
    /// long that nothing more is expected of its unfinished end.
    ///
    /// # Errors
    /// When it is not the file that was read.
    pub(crate) fn look(
        &self,
        file: &FileInfo,
        quiet: bool,
        growth: Growth,
    ) -> Result<Option<Position>, EngineError> {
        let go_on = |at| match self.mark {
            Some(mark) => Position::growing(file.clone(), at, mark),
            None => Position::new(file.clone(), at),
        };
        if self.is_same(file) {
            return Ok((self.unfinished && quiet).then(|| go_on(self.at).whole()));
        }
        if file.is_remote() {
            return Err(file.rewritten("the object is another"));
        }
        if file.size < self.size {
            return Err(file.rewritten(&format!("from {} to {} bytes", self.size, file.size)));
        }
        let grown = file.size > self.size;
        match self.mark {
            // Nothing of it was read.
            None if self.unfinished && self.at.is_start() => Ok(Some(go_on(self.at))),
            None => Err(file.rewritten(&if grown {
                format!("from {} to {} bytes, where it cannot be read on", self.size, file.size)
            } else {
                "its modification time is another".to_owned()
            })),
            Some(_) if grown && growth == Growth::Fail => Err(EngineError::user(format!(
                "{}: the file grew after it was read (from {} to {} bytes); write files elsewhere and move them into the directory when they are complete, or set '{GROWTH}' = 'continue', which reads files on where they ended",
                file.path, self.size, file.size
            ))),
            Some(_) => {
                // Without growth it was touched, or written anew: only all of it can tell.
                let position = Position { compare: !grown, ..go_on(self.at) };
                Ok(Some(if growth == Growth::Fail { position.whole() } else { position }))
            }
        }
    }

    pub(crate) fn watermark(&self) -> Option<i64> {
        self.watermark
    }
}

impl State {
    pub(crate) fn new() -> Self {
        Self { v: 2, ..Self::default() }
    }

    /// A reader gave a file back.
    pub(crate) fn take_back(&mut self, split: &Split) -> Result<(), EngineError> {
        self.files.insert(split.id.clone(), Some(Known::returned(split)?));
        Ok(())
    }

    /// Compares what is remembered with a listing, in the order of paths: keeps what an earlier
    /// version has read, which kept only names, and notes which files are gone.
    pub(crate) fn reconcile(&mut self, found: &[FileInfo]) {
        let at = |path: &String| found.binary_search_by(|file| file.path.cmp(path)).ok();
        for path in std::mem::take(&mut self.seen) {
            // Gone: whatever bears the name later is another file.
            let unknown = FileInfo { path: path.clone(), size: 0, modified_ns: 0, etag: None };
            let file = at(&path).and_then(|index| found.get(index)).unwrap_or(&unknown);
            let known = Known::done(file, At::Byte(file.size));
            self.files.entry(path).or_insert(Some(known));
        }
        // A directory that shows nothing at all may be one that is not mounted.
        if found.is_empty() {
            return;
        }
        let mut all_gone = 0;
        for (path, known) in &mut self.files {
            let Some(known) = known else { continue };
            let is_gone = at(path).is_none();
            if is_gone && known.gone.is_none() {
                if known.unfinished {
                    tracing::warn!(
                        file = path,
                        "a file is gone before its last record was complete, which was not read"
                    );
                }
                known.gone = Some(self.gone);
                self.gone += 1;
            } else if !is_gone {
                known.gone = None;
            }
            all_gone += usize::from(is_gone);
        }
        if all_gone > MOST_GONE {
            self.forget(all_gone - MOST_GONE);
        }
    }

    fn forget(&mut self, count: usize) {
        let gone = |known: &Option<Known>| known.as_ref().and_then(|known| known.gone);
        let mut turns: Vec<u64> = self.files.values().filter_map(gone).collect();
        turns.sort_unstable();
        let Some(&first_kept) = turns.get(count) else { return };
        self.files.retain(|_, known| gone(known).is_none_or(|turn| turn >= first_kept));
    }

    /// The lowest event time that unfinished files may still hold.
    pub(crate) fn held(&self) -> Option<i64> {
        let waiting = self.files.values().flatten().filter(|k| k.unfinished && k.gone.is_none());
        waiting.map(|known| known.watermark.unwrap_or(i64::MIN)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(size: u64, modified_ns: i64) -> FileInfo {
        FileInfo { path: "/in/a".into(), size, modified_ns, etag: None }
    }

    fn known(at: u64, size: u64, unfinished: bool) -> Known {
        let mark = Some(Mark { crc: 7, ..Mark::default() });
        Known { mark, unfinished, ..Known::done(&file(size, 1), At::Byte(at)) }
    }

    fn error(known: &Known, now: &FileInfo, growth: Growth) -> String {
        known.look(now, false, growth).unwrap_err().message
    }

    #[test]
    fn a_file_that_grew_is_read_on_or_refused_as_asked() {
        let known = known(4, 4, false);
        assert_eq!(known.look(&file(4, 1), true, Growth::Continue), Ok(None));
        let on = known.look(&file(9, 2), false, Growth::Continue).unwrap().unwrap();
        assert_eq!((on.at, on.mark, on.whole, on.compare), (At::Byte(4), known.mark, false, false));
        assert_eq!(
            error(&known, &file(9, 2), Growth::Fail),
            "/in/a: the file grew after it was read (from 4 to 9 bytes); write files elsewhere and move them into the directory when they are complete, or set 'source.file-growth' = 'continue', which reads files on where they ended"
        );
    }

    #[test]
    fn a_file_that_is_shorter_or_another_is_refused_whatever_is_asked() {
        let fix = "; what was read of a file must not change: give another file another name, and it is read from its beginning";
        for growth in [Growth::Continue, Growth::Fail] {
            assert_eq!(
                error(&known(4, 4, false), &file(3, 2), growth),
                format!("/in/a: the file changed after it was read (from 4 to 3 bytes){fix}")
            );
            // Written anew with the same size, or touched: all that was read is compared.
            let again = known(4, 4, false).look(&file(4, 2), false, growth).unwrap().unwrap();
            assert!(again.compare && again.at == At::Byte(4));
            let rows = Known::done(&file(4, 1), At::Row { group: 1, row: 0 });
            assert!(error(&rows, &file(9, 2), growth).contains("from 4 to 9 bytes, where it"));
            assert!(error(&rows, &file(4, 2), growth).contains("its modification time is another"));
            let object = |etag: &str| FileInfo {
                path: "s3://b/a".into(),
                etag: Some(etag.into()),
                ..file(4, 1)
            };
            let read = Known::done(&object("x"), At::Byte(4));
            assert_eq!(
                read.look(&FileInfo { modified_ns: 9, ..object("x") }, true, growth),
                Ok(None)
            );
            assert!(error(&read, &object("y"), growth).contains("(the object is another)"));
        }
    }

    #[test]
    fn an_unfinished_end_waits_until_it_changes_or_has_been_quiet() {
        let known = known(4, 9, true);
        assert_eq!(known.look(&file(9, 1), false, Growth::Continue), Ok(None));
        let last = known.look(&file(9, 1), true, Growth::Continue).unwrap().unwrap();
        assert!(last.whole && last.at == At::Byte(4));
        let on = known.look(&file(10, 2), false, Growth::Continue).unwrap().unwrap();
        assert!(!on.whole && on.at == At::Byte(4));
        let no_footer =
            Known { unfinished: true, ..Known::done(&file(4, 1), At::Row { group: 0, row: 0 }) };
        assert!(no_footer.look(&file(9, 2), false, Growth::Continue).unwrap().is_some());
    }

    #[test]
    fn files_that_are_gone_are_remembered_up_to_a_number_and_known_when_they_come_back() {
        let path = |i: usize| format!("/in/{i:06}");
        let found = |i: usize| FileInfo { path: path(i), ..file(4, 1) };
        let mut state = State::new();
        let all: Vec<_> = (0..MOST_GONE + 3).map(found).collect();
        for file in &all {
            state.files.insert(file.path.clone(), Some(known(4, 4, false)));
        }
        state.reconcile(&[]);
        assert!(state.files.values().flatten().all(|known| known.gone.is_none()), "not mounted?");
        state.reconcile(&all[..1]);
        assert_eq!(state.files.len(), MOST_GONE + 1);
        assert!(state.files.contains_key(&path(0)) && !state.files.contains_key(&path(2)));
        state.reconcile(&all[..5]);
        assert_eq!(state.files[&path(4)], Some(known(4, 4, false)));
    }

    #[test]
    fn only_files_that_are_there_and_unfinished_hold_the_watermark() {
        let mut state = State::new();
        assert_eq!(state.held(), None);
        for (path, unfinished, watermark) in
            [("/in/a", true, Some(5)), ("/in/b", false, Some(1)), ("/in/c", true, Some(9))]
        {
            let known = Known { watermark, ..known(4, 9, unfinished) };
            state.files.insert(path.into(), Some(known));
        }
        assert_eq!(state.held(), Some(5));
        state.reconcile(&[FileInfo { path: "/in/c".into(), ..file(9, 1) }]);
        assert_eq!(state.held(), Some(9));
        state.files.insert("/in/c".into(), None);
        assert_eq!(state.held(), None, "its reader holds it");
    }
}

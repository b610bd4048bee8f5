//! How far a file was read, and which file exactly it was.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;
use weir_engine::source::Split;

use super::mark::Mark;

/// A file as it was found. Reading it later means reading these very bytes: a file that
/// changed is an error, never a mixture.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct FileInfo {
    /// The absolute path, or `s3://bucket/key`; also the split's id.
    pub(crate) path: String,
    pub(crate) size: u64,
    /// Nanoseconds since the epoch.
    pub(crate) modified_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
}

impl FileInfo {
    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    pub(crate) fn is_remote(&self) -> bool {
        self.path.starts_with("s3://")
    }

    /// The error for a file that is not what it was.
    pub(crate) fn changed(&self, how: &str) -> EngineError {
        EngineError::user(format!(
            "{}: the file changed after it was found ({how}); files must not change: write a new one beside it and move it into place",
            self.path
        ))
    }

    /// The error for a file that is not what was read of it.
    pub(crate) fn rewritten(&self, how: &str) -> EngineError {
        EngineError::user(format!(
            "{}: the file changed after it was read ({how}); what was read of a file must not change: give another file another name, and it is read from its beginning",
            self.path
        ))
    }
}

/// Where to go on in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum At {
    /// A record begins at this byte of the uncompressed file.
    Byte(u64),
    /// A row of a row group, both from 0.
    Row { group: usize, row: u64 },
}

impl At {
    pub(crate) fn is_start(self) -> bool {
        matches!(self, Self::Byte(0) | Self::Row { group: 0, row: 0 })
    }
}

/// A split's position.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) v: u32,
    pub(crate) file: FileInfo,
    pub(crate) at: At,
    /// What stands before `at` in a file that may grow; absent where a file must stay as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mark: Option<Mark>,
    /// Of a watched file: it is taken as it is, its last line included.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) whole: bool,
    /// Everything before `at` is to be compared with `mark`, however long it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) compare: bool,
}

impl Position {
    /// Positions in files that may grow have version 2.
    const NEWEST: u32 = 2;

    pub(crate) fn new(file: FileInfo, at: At) -> Self {
        Self { v: 1, file, at, mark: None, whole: false, compare: false }
    }

    /// In a file that may grow.
    pub(crate) fn growing(file: FileInfo, at: At, mark: Mark) -> Self {
        Self { v: Self::NEWEST, mark: Some(mark), ..Self::new(file, at) }
    }

    /// The same, with the file taken as it is.
    pub(crate) fn whole(self) -> Self {
        Self { v: Self::NEWEST, whole: true, ..self }
    }

    pub(crate) fn encode(&self) -> Bytes {
        // Numbers and text always serialise.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    pub(crate) fn decode(split: &Split) -> Result<Self, EngineError> {
        let position: Self = serde_json::from_slice(&split.position).map_err(|error| {
            EngineError::internal(format!(
                "{}: the split's position cannot be read: {error}",
                split.id
            ))
        })?;
        if position.v == 0 || position.v > Self::NEWEST {
            return Err(EngineError::internal(format!(
                "{}: the split's position has version {}, this version of Weir reads {}",
                split.id,
                position.v,
                Self::NEWEST
            )));
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(position: &str) -> Split {
        Split {
            id: "/d/a.json".into(),
            position: Bytes::copy_from_slice(position.as_bytes()),
            watermark: None,
            lower_bound: None,
            size: 0,
        }
    }

    #[test]
    fn a_position_of_version_1_is_read_for_ever() {
        let golden =
            r#"{"v":1,"file":{"path":"/d/a.json","size":9,"modified_ns":5},"at":{"byte":4}}"#;
        let file = FileInfo { path: "/d/a.json".into(), size: 9, modified_ns: 5, etag: None };
        let position = Position::new(file.clone(), At::Byte(4));
        assert_eq!(Position::decode(&split(golden)).unwrap(), position);
        assert_eq!(&position.encode()[..], golden.as_bytes());
        let golden = r#"{"v":1,"file":{"path":"/d/a.json","size":9,"modified_ns":5},"at":{"row":{"group":1,"row":2}}}"#;
        assert_eq!(Position::decode(&split(golden)).unwrap().at, At::Row { group: 1, row: 2 });
        let newer = golden.replace("\"v\":1", "\"v\":3");
        assert_eq!(
            Position::decode(&split(&newer)).unwrap_err().message,
            "/d/a.json: the split's position has version 3, this version of Weir reads 2"
        );
    }

    #[test]
    fn a_position_of_version_2_is_read_for_ever() {
        let golden = r#"{"v":2,"file":{"path":"/d/a.json","size":9,"modified_ns":5},"at":{"byte":4},"mark":{"crc":7,"from":[[1,3],[2,5]]},"whole":true}"#;
        let file = FileInfo { path: "/d/a.json".into(), size: 9, modified_ns: 5, etag: None };
        let mark = Mark { crc: 7, from: [(1, 3), (2, 5)] };
        let position = Position::growing(file, At::Byte(4), mark).whole();
        assert_eq!(Position::decode(&split(golden)).unwrap(), position);
        assert_eq!(&position.encode()[..], golden.as_bytes());
    }
}

//! How far a file was read, and which file exactly it was.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;
use weir_engine::source::Split;

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

    /// The error for a file that is not what it was.
    pub(crate) fn changed(&self, how: &str) -> EngineError {
        EngineError::user(format!(
            "{}: the file changed after it was found ({how}); files must not change: write a new one beside it and move it into place",
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

/// A split's position.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    v: u32,
    pub(crate) file: FileInfo,
    pub(crate) at: At,
}

impl Position {
    const VERSION: u32 = 1;

    pub(crate) fn new(file: FileInfo, at: At) -> Self {
        Self { v: Self::VERSION, file, at }
    }

    pub(crate) fn encode(&self) -> Bytes {
        // Numbers and text always serialise.
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    pub(crate) fn decode(split: &Split) -> Result<Self, EngineError> {
        let position: Self = serde_json::from_slice(&split.position).map_err(|error| {
            EngineError::ours(format!("{}: the split's position cannot be read: {error}", split.id))
        })?;
        if position.v != Self::VERSION {
            return Err(EngineError::ours(format!(
                "{}: the split's position has version {}, this version of Weir reads {}",
                split.id,
                position.v,
                Self::VERSION
            )));
        }
        Ok(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_of_version_1_is_read_for_ever() {
        let golden =
            r#"{"v":1,"file":{"path":"/d/a.json","size":9,"modified_ns":5},"at":{"byte":4}}"#;
        let split = |position: &str| Split {
            id: "/d/a.json".into(),
            position: Bytes::copy_from_slice(position.as_bytes()),
            watermark: None,
            lower_bound: None,
            size: 0,
        };
        let file = FileInfo { path: "/d/a.json".into(), size: 9, modified_ns: 5, etag: None };
        let position = Position::new(file.clone(), At::Byte(4));
        assert_eq!(Position::decode(&split(golden)).unwrap(), position);
        assert_eq!(&position.encode()[..], golden.as_bytes());
        let golden = r#"{"v":1,"file":{"path":"/d/a.json","size":9,"modified_ns":5},"at":{"row":{"group":1,"row":2}}}"#;
        assert_eq!(Position::decode(&split(golden)).unwrap().at, At::Row { group: 1, row: 2 });
        let newer = golden.replace("\"v\":1", "\"v\":2");
        assert_eq!(
            Position::decode(&split(&newer)).unwrap_err().message,
            "/d/a.json: the split's position has version 2, this version of Weir reads 1"
        );
    }
}

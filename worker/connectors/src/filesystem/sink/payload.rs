//! What the chain keeps of a sink: committables, and the state of files that are still open.
//!
//! Both are a JSON head and raw bytes behind it, and both are versioned.
//!
//! What always holds: a final name is made once, when its file is opened, with a random part,
//! and stays the file's through every restore. So an object under it can only be ours, and its
//! presence proves that the rows staged for it are visible.

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use weir_engine::EngineError;

use crate::filesystem::position::FileInfo;

/// A staged file that waits to be visible.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Commit {
    /// Link `staging` to `target`; both absolute paths.
    Link {
        staging: String,
        target: String,
        size: u64,
        /// Files that only a restore of the open file needed.
        remove: Vec<String>,
        /// A checkpoint names the staging file as open: it must outlive a discard.
        held: bool,
    },
    /// Complete a multipart upload.
    ///
    /// Also for small files: an upload can be aborted, after which nobody can complete it any
    /// more, while bytes to be put could be put by a zombie at any time.
    Complete {
        bucket: String,
        key: String,
        upload: String,
        parts: Vec<String>,
        size: u64,
        remove: Vec<String>,
        /// How many of the parts a checkpoint names as an open file's; `None`: it names none.
        held: Option<usize>,
    },
    /// Remove files whose place others take: these, as they were when that was decided, and none
    /// that was written since. They go once the files of `by` are there; where a roll-back has taken
    /// those away again, nobody can remove the old ones any more.
    Replace {
        files: Vec<FileInfo>,
        /// New files, as [`FileInfo::path`] writes names, and their sizes.
        by: Vec<(String, u64)>,
    },
}

/// Partitions that hold rows and are not said to be whole yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Waiting {
    /// Directories, and when their first row came.
    Partitions(Vec<(String, i64)>),
}

/// What a job found that overwrites, when it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub(crate) enum Inventory {
    /// The body: hashes of files that were there, of eight bytes each.
    There,
}

/// A file that was open at a barrier.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Open {
    /// The first `len` bytes of `staging` are synced, and with the footer they are whole.
    Local { staging: String, target: String, len: u64, footer: Piece, remove: Vec<String> },
    /// Lines: uploaded parts that end at a record, and a rest.
    Parts {
        bucket: String,
        key: String,
        upload: Option<String>,
        parts: Vec<String>,
        /// Bytes in the parts.
        size: u64,
        rest: Piece,
        remove: Vec<String>,
    },
    /// Parquet: objects that make up the file together, then the footer.
    Chunks {
        bucket: String,
        key: String,
        chunks: Vec<(String, u64)>,
        footer: Piece,
        remove: Vec<String>,
    },
}

/// Some bytes: behind the head, or in a file or object of their own when there are many.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Piece {
    /// None.
    #[default]
    Empty,
    /// All bytes behind the head.
    Inline,
    /// A path, or a key in the same bucket.
    Staged { name: String, len: u64 },
}

/// Bytes that travel in an item at most; more are staged.
pub(crate) const INLINE: usize = 64 << 10;

#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    v: u32,
    #[serde(flatten)]
    value: T,
}

const VERSION: u32 = 1;

/// Length of the head, the head as JSON, the body.
pub(crate) fn encode(head: &impl Serialize, body: &[u8]) -> Bytes {
    // Text and numbers always serialise.
    let head = serde_json::to_vec(&Versioned { v: VERSION, value: head }).unwrap_or_default();
    let mut out = BytesMut::with_capacity(4 + head.len() + body.len());
    out.put_u32_le(head.len() as u32);
    out.put_slice(&head);
    out.put_slice(body);
    out.freeze()
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &Bytes) -> Result<(T, Bytes), EngineError> {
    let damaged = |why: String| {
        EngineError::internal(format!("filesystem sink: stored output cannot be read: {why}"))
    };
    let length = bytes.first_chunk::<4>().map(|n| u32::from_le_bytes(*n) as usize);
    let end = length.and_then(|n| n.checked_add(4)).filter(|&end| end <= bytes.len());
    let end = end.ok_or_else(|| damaged("it is cut off".to_owned()))?;
    let head: Versioned<T> =
        serde_json::from_slice(&bytes[4..end]).map_err(|e| damaged(e.to_string()))?;
    if head.v != VERSION {
        return Err(damaged(format!(
            "it has version {}, this version of Weir reads {VERSION}",
            head.v
        )));
    }
    Ok((head.value, bytes.slice(end..)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_of_version_1_is_read_for_ever() {
        let link = Commit::Link {
            staging: "/d/.staging/a".into(),
            target: "/d/a".into(),
            size: 3,
            remove: vec![],
            held: false,
        };
        let golden = br#"{"v":1,"link":{"staging":"/d/.staging/a","target":"/d/a","size":3,"remove":[],"held":false}}"#;
        let mut bytes = (golden.len() as u32).to_le_bytes().to_vec();
        bytes.extend_from_slice(golden);
        assert_eq!(encode(&link, b""), bytes);
        assert_eq!(decode::<Commit>(&bytes.clone().into()).unwrap(), (link, Bytes::new()));
        let open = Open::Local {
            staging: "/s".into(),
            target: "/t".into(),
            len: 7,
            footer: Piece::Inline,
            remove: vec![],
        };
        let bytes = encode(&open, b"foot");
        assert_eq!(decode::<Open>(&bytes).unwrap(), (open, Bytes::from_static(b"foot")));
    }

    #[test]
    fn what_a_job_replaces_and_waits_for_is_read_for_ever() {
        let golden = |text: &str| {
            let mut bytes = (text.len() as u32).to_le_bytes().to_vec();
            bytes.extend_from_slice(text.as_bytes());
            Bytes::from(bytes)
        };
        let old = FileInfo { path: "/d/a".into(), size: 3, modified_ns: -1, etag: None };
        let replace = Commit::Replace { files: vec![old], by: vec![("/d/b".into(), 2)] };
        let text = r#"{"v":1,"replace":{"files":[{"path":"/d/a","size":3,"modified_ns":-1}],"by":[["/d/b",2]]}}"#;
        assert_eq!(encode(&replace, b""), golden(text));
        assert_eq!(decode::<Commit>(&golden(text)).unwrap().0, replace);
        let waiting = Waiting::Partitions(vec![("day=1".into(), 5)]);
        let text = r#"{"v":1,"partitions":[["day=1",5]]}"#;
        assert_eq!(encode(&waiting, b""), golden(text));
        assert_eq!(decode::<Waiting>(&golden(text)).unwrap().0, waiting);
        assert!(decode::<Open>(&golden(text)).is_err() && decode::<Commit>(&golden(text)).is_err());
        let text = r#"{"v":1,"kind":"there"}"#;
        let hashes = 7_u64.to_le_bytes();
        let stored = [&golden(text)[..], &hashes[..]].concat();
        assert_eq!(encode(&Inventory::There, &hashes), stored);
        let read = decode::<Inventory>(&stored.clone().into()).unwrap();
        assert_eq!(read, (Inventory::There, Bytes::copy_from_slice(&hashes)));
        assert!(decode::<Waiting>(&stored.clone().into()).is_err());
        assert!(decode::<Commit>(&stored.into()).is_err());
    }

    #[test]
    fn damaged_payloads_are_named() {
        for bytes in [&b""[..], b"\xff\xff\xff\xff", b"\x02\0\0\0{}", b"\x05\0\0\0{"] {
            let error = decode::<Commit>(&Bytes::copy_from_slice(bytes)).unwrap_err();
            assert!(
                error.message.starts_with("filesystem sink: stored output cannot be read: "),
                "{error}"
            );
        }
    }
}

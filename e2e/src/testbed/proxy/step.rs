//! Which step of the protocol a request is, by what it asks for.

use std::fmt;

use hyper::Method;

/// What a request means to the job that sends it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// A manifest is created: the commit point of a checkpoint, or a seal.
    ChainCreate,
    /// The chain is listed or read.
    ChainRead,
    /// State is uploaded.
    DataWrite,
    /// State is read back.
    DataRead,
    /// Manifests or state are collected, one by one or many at once.
    Collect,
    /// A sink starts an upload or sends a part of it.
    SinkStage,
    /// A sink's upload is completed: output becomes visible.
    SinkCommit,
    /// A sink looks whether its output is there.
    SinkRead,
    /// A sink's upload is aborted or its object deleted.
    SinkDiscard,
    /// Input is read.
    SourceRead,
    /// Anything else: savepoints, hints, probes.
    Other,
}

impl fmt::Display for Step {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.pad(match self {
            Self::ChainCreate => "manifest create",
            Self::ChainRead => "chain read",
            Self::DataWrite => "state upload",
            Self::DataRead => "state read",
            Self::Collect => "collection",
            Self::SinkStage => "sink stage",
            Self::SinkCommit => "sink commit",
            Self::SinkRead => "sink read",
            Self::SinkDiscard => "sink discard",
            Self::SourceRead => "source read",
            Self::Other => "other",
        })
    }
}

impl Step {
    /// The step of a request, by its method and target `/bucket/key?query`. Jobs keep state
    /// under `state/`, output under `out/` and input under `in/`.
    #[must_use]
    pub fn of(method: &Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let key = path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key);
        // A listing names its folder in the query.
        let listed = query.split('&').find_map(|part| part.strip_prefix("prefix=")).unwrap_or("");
        let listed = listed.replace("%2F", "/");
        let key = if key.is_empty() { listed.as_str() } else { key };
        let reads = matches!(*method, Method::GET | Method::HEAD);
        let deletes = *method == Method::DELETE;
        let folder = key.split('/').next().unwrap_or_default();
        match folder {
            "in" => Self::SourceRead,
            "out" if reads => Self::SinkRead,
            "out" if deletes => Self::SinkDiscard,
            "out" if *method == Method::POST && query.contains("uploadId=") => Self::SinkCommit,
            "out" => Self::SinkStage,
            "state" if key.contains("/chain") => match () {
                () if reads => Self::ChainRead,
                () if deletes => Self::Collect,
                () => Self::ChainCreate,
            },
            "state" if key.contains("/data") => match () {
                () if reads => Self::DataRead,
                () if deletes => Self::Collect,
                () => Self::DataWrite,
            },
            _ if *method == Method::POST && query.contains("delete") => Self::Collect,
            _ => Self::Other,
        }
    }

    /// Whether it changes what is stored.
    #[must_use]
    pub fn writes(self) -> bool {
        !matches!(self, Self::ChainRead | Self::DataRead | Self::SinkRead | Self::SourceRead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_known_by_their_targets() {
        let step = |method, target| Step::of(&method, target);
        assert_eq!(step(Method::PUT, "/b/state/default/j/chain/0001"), Step::ChainCreate);
        assert_eq!(
            step(Method::GET, "/b?list-type=2&prefix=state%2Fdefault%2Fj%2Fchain%2F"),
            Step::ChainRead
        );
        assert_eq!(step(Method::DELETE, "/b/state/default/j/chain/0001"), Step::Collect);
        assert_eq!(step(Method::PUT, "/b/state/default/j/data/1/op/x"), Step::DataWrite);
        assert_eq!(step(Method::DELETE, "/b/state/default/j/data/1/op/x"), Step::Collect);
        assert_eq!(step(Method::POST, "/b/out/part?uploads"), Step::SinkStage);
        assert_eq!(step(Method::PUT, "/b/out/part?partNumber=1&uploadId=x"), Step::SinkStage);
        assert_eq!(step(Method::POST, "/b/out/part?uploadId=x"), Step::SinkCommit);
        assert_eq!(step(Method::HEAD, "/b/out/part"), Step::SinkRead);
        assert_eq!(step(Method::GET, "/b/in/flights-1.parquet"), Step::SourceRead);
    }
}

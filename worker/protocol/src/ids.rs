//! Numbers and names with one meaning each (PROTOCOL section 1).

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number after this one.
            #[must_use]
            pub fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// One coordinator's time as a job's writer; grows by one at every take-over.
    Term(u64)
);
number!(
    /// A position in the job's chain of manifests: 1, 2, 3, … without gaps.
    Version(u64)
);
number!(
    /// One try at a checkpoint, numbered by the coordinator within its term. Never part of a
    /// name in the store.
    Attempt(u64)
);
number!(
    /// What users see: the version of a published checkpoint.
    Epoch(u64)
);
number!(
    /// A worker process, by its ordinal: `job-0` is worker 0.
    WorkerId(u32)
);
number!(
    /// A vertex of the job graph: one chain of operators.
    VertexId(u32)
);
number!(
    /// One of the parallel instances of a vertex, counted from 0.
    Subtask(u32)
);

impl From<Version> for Epoch {
    fn from(version: Version) -> Self {
        Epoch(version.0)
    }
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

text!(
    /// The random id made with the first manifest of a job's state. Two chains with different
    /// lineages have nothing to do with each other, whatever their names are.
    Lineage
);
text!(
    /// The stable name under which an operator's state is kept: a hash of its semantic subtree,
    /// or the user's hint.
    OperatorUid
);
text!(
    /// A job as `namespace/name`.
    JobName
);

//! What a manifest may say, and the exact words for what it may not.
#![allow(clippy::panic, reason = "a test's way to fail")]

#[path = "../common/mod.rs"]
mod common;
mod read;
mod refused;

use std::time::Duration;

use common::{check, with_spec};
use expect_test::expect;
use weir_crds::StreamJob;

/// A manifest whose metadata is the given text.
fn with_metadata(metadata: &str) -> String {
    format!(
        "apiVersion: weir.dev/v1alpha1\nkind: StreamJob\nmetadata: {metadata}\nspec:\n  sql: SELECT 1\n"
    )
}

fn read(text: &str) -> StreamJob {
    StreamJob::from_yaml(text, "job.yaml").unwrap_or_else(|faults| panic!("{faults:#?}"))
}

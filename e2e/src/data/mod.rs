//! Input: real flights in several orders and formats, and made-up bids for benchmarks.

mod bids;
mod dealt;
mod files;
mod flights;
mod layout;
mod nexmark;

pub use bids::{BID_KEYS, write_bids};
pub use files::{Format, write, write_part};
pub use flights::{Airport, Flight, flights};
pub use layout::{Layout, SplitFile};
pub use nexmark::{Events, write_events};

use std::path::PathBuf;

use anyhow::Result;

use crate::cache;

/// Flights in one layout and format, as files of a folder.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The folder that holds nothing but the files.
    pub folder: PathBuf,
    /// Names of the files and the rows of each, in the order of the file.
    pub splits: Vec<SplitFile>,
}

/// The first `rows` flights in a layout, written to the cache in a format.
///
/// # Errors
/// When the flights cannot be fetched or the files cannot be written.
pub fn dataset(layout: Layout, format: Format, rows: usize) -> Result<Dataset> {
    let splits = layout.arrange(&flights()?[..rows]);
    let name = format!("derived-v1/{rows}-{layout}-{format}");
    let folder = cache::folder(&name, |folder| {
        splits.iter().try_for_each(|split| {
            let path = folder.join(format!("{}.{format}", split.name));
            write(&path, format, &split.rows)
        })
    })?;
    Ok(Dataset { folder, splits })
}

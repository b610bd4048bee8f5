//! Windowed aggregation over slices: TUMBLE and HOP, local and global half.
//!
//! ```text
//!  rows ──► local: table per slice ──(flush: slice closed, barrier, memory)──► key-by
//!       ──► global: table per slice and key group ──(watermark)──► windows = merged slices
//! ```

pub mod spec;

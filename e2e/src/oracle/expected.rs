//! Windows over flights by the definition of event time, where late rows matter: no other
//! program counts lateness row by row.
//!
//! The watermark of a split before a row is the largest date before it in the split, less the
//! delay. A row counts for those of its windows whose last millisecond is after that watermark.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::data::{Airport, Flight, SplitFile};
use crate::rows::{Rows, timestamp};

/// Windows and the watermark's delay, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Windows {
    /// Length of a window.
    pub size_ms: i64,
    /// From the start of one window to the next; the size itself for tumbling windows.
    pub slide_ms: i64,
    /// `WATERMARK FOR date AS date - delay`.
    pub delay_ms: i64,
}

/// What is known of one airport in one window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// `COUNT(*)`.
    pub flights: i64,
    /// `COUNT(*) FILTER (WHERE delay > 15)`.
    pub delayed: i64,
    /// `SUM(delay)`.
    pub delay_sum: i64,
    /// `MIN(delay)`, `MAX(delay)`.
    pub delay_range: Option<(i64, i64)>,
    /// `COUNT(DISTINCT destination)`.
    pub destinations: BTreeSet<Airport>,
}

/// Groups by window start and origin, and the rows that no window took.
#[derive(Clone, Debug, Default)]
pub struct Aggregated {
    /// Window start in milliseconds and origin → group.
    pub groups: BTreeMap<(i64, Airport), Group>,
    /// Rows of which every window had closed.
    pub late: u64,
}

/// Counts every row of `splits` for the windows that are open for it.
#[must_use]
pub fn aggregate(splits: &[SplitFile], windows: Windows) -> Aggregated {
    let mut all = Aggregated::default();
    for split in splits {
        let mut watermark = i64::MIN;
        for flight in &split.rows {
            if !all.add(flight, windows, watermark) {
                all.late += 1;
            }
            watermark = watermark.max(flight.date_ms - windows.delay_ms);
        }
    }
    all
}

impl Aggregated {
    /// Whether any window took the row.
    fn add(&mut self, flight: &Flight, windows: Windows, watermark: i64) -> bool {
        let mut taken = false;
        let mut start = flight.date_ms - flight.date_ms.rem_euclid(windows.slide_ms);
        while start > flight.date_ms - windows.size_ms {
            if start + windows.size_ms - 1 > watermark {
                taken = true;
                self.groups.entry((start, flight.origin)).or_default().add(flight);
            }
            start -= windows.slide_ms;
        }
        taken
    }

    /// Rows `window_start, origin, flights, delayed`.
    #[must_use]
    pub fn counts(&self) -> Rows {
        let mut rows = Rows::default();
        for ((start, origin), group) in &self.groups {
            let Group { flights, delayed, .. } = group;
            rows.add(&[
                json!(timestamp(*start)),
                json!(origin.as_str()),
                json!(flights),
                json!(delayed),
            ]);
        }
        rows
    }

    /// Rows `window_start, origin, flights, delay_sum, mean_delay, least, most, destinations`;
    /// the mean is Flink's: of whole numbers, cut towards zero.
    #[must_use]
    pub fn measures(&self) -> Rows {
        let mut rows = Rows::default();
        for ((start, origin), group) in &self.groups {
            let Group { flights, delay_sum, delay_range, destinations, .. } = group;
            let (least, most) = delay_range.unwrap_or_default();
            rows.add(&[
                json!(timestamp(*start)),
                json!(origin.as_str()),
                json!(flights),
                json!(delay_sum),
                json!(delay_sum / (*flights).max(1)),
                json!(least),
                json!(most),
                json!(destinations.len()),
            ]);
        }
        rows
    }
}

impl Group {
    fn add(&mut self, flight: &Flight) {
        self.flights += 1;
        self.delayed += i64::from(flight.delay > 15);
        self.delay_sum += flight.delay;
        let (least, most) = self.delay_range.unwrap_or((flight.delay, flight.delay));
        self.delay_range = Some((least.min(flight.delay), most.max(flight.delay)));
        self.destinations.insert(flight.destination);
    }
}

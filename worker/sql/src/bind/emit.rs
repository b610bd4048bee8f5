//! `table.exec.emit`: results of windows before they end, and after.

use std::time::Duration;

use weir_connectors::options::parse_duration;
use weir_engine::operators::group::spec::Ends;

use super::{Binder, Reported};
use crate::error::{Span, SqlError, Warning};
use crate::rel::{WindowId, Windows};

/// The settings, by their names behind `table.exec.emit.`.
pub(super) const EMIT: [&str; 5] = [
    "table.exec.emit.early-fire.enabled",
    "table.exec.emit.early-fire.delay",
    "table.exec.emit.late-fire.enabled",
    "table.exec.emit.late-fire.delay",
    "table.exec.emit.allow-lateness",
];

/// What was set of them.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Emit {
    early: bool,
    early_delay: Option<Duration>,
    late: bool,
    late_delay: Option<Duration>,
    lateness: Option<Duration>,
}

impl Binder<'_> {
    /// Takes a setting of [`EMIT`].
    pub(super) fn set_emit(&mut self, key: &str, value: &str, span: Span) {
        let switch = |to: &mut bool| {
            *to = value.to_ascii_lowercase().parse().ok()?;
            Some(())
        };
        let length = |to: &mut Option<Duration>| parse_duration(value).map(|of| *to = Some(of));
        let emit = &mut self.emit;
        let taken = match key {
            "table.exec.emit.early-fire.enabled" => switch(&mut emit.early),
            "table.exec.emit.late-fire.enabled" => switch(&mut emit.late),
            "table.exec.emit.early-fire.delay" => length(&mut emit.early_delay),
            "table.exec.emit.late-fire.delay" => length(&mut emit.late_delay),
            _ => length(&mut emit.lateness),
        };
        if taken.is_none() {
            let what = if key.ends_with("enabled") {
                "'true' or 'false'"
            } else {
                "a length of time, such as '10 s'"
            };
            self.report(SqlError::new(span, format!("'{key}' = '{value}' is not {what}")));
        }
    }

    /// Takes a setting of [`EMIT`] back.
    pub(super) fn reset_emit(&mut self, key: &str) {
        let (emit, none) = (&mut self.emit, Emit::default());
        match key {
            "table.exec.emit.early-fire.enabled" => emit.early = none.early,
            "table.exec.emit.late-fire.enabled" => emit.late = none.late,
            "table.exec.emit.early-fire.delay" => emit.early_delay = none.early_delay,
            "table.exec.emit.late-fire.delay" => emit.late_delay = none.late_delay,
            _ => emit.lateness = none.lateness,
        }
    }

    /// When the results of a window leave; `None`: once, as it ends.
    pub(super) fn emit_of(&mut self, id: &WindowId, at: Span) -> Result<Option<Ends>, Reported> {
        let Emit { early, early_delay, late, late_delay, lateness } = self.emit;
        if self.batch || !(early || late) {
            return Ok(None);
        }
        if !id.in_group_by {
            return self.fail(at, "'table.exec.emit.early-fire' and 'late-fire' are for windows in GROUP BY; write GROUP BY TUMBLE(ts, size), or RESET them in front of this query");
        }
        if matches!(id.window, Windows::Session { .. }) {
            return self.fail(at, "'table.exec.emit.early-fire' and 'late-fire' are not supported for SESSION windows; RESET them in front of this query, or use TUMBLE or HOP");
        }
        if early && early_delay.is_none() {
            return self.fail(at, "early results need SET 'table.exec.emit.early-fire.delay': how long they may take, '0 s' for as soon as rows come");
        }
        let lateness = lateness.or(self.state_ttl).filter(|_| late);
        if late {
            let Some(lateness) = lateness else {
                return self.fail(at, "late results need SET 'table.exec.emit.allow-lateness': how long after a window's end rows are taken in");
            };
            if lateness < late_delay.unwrap_or_default() {
                return self.fail(at, "'table.exec.emit.allow-lateness' is shorter than 'table.exec.emit.late-fire.delay', so that late results would come when the window is gone; make it longer");
            }
        }
        let delays = [(early, early_delay), (late, late_delay)];
        if delays.iter().any(|(on, delay)| *on && delay.is_some_and(|delay| !delay.is_zero())) {
            self.warnings.push(Warning {
                span: at,
                message: "results that leave before a window ends, or again after it, leave as soon as rows change them: the delay of 'table.exec.emit' is the longest that they may take, and is not waited for".to_owned(),
            });
        }
        let lateness = lateness.unwrap_or_default().as_millis();
        let lateness = i64::try_from(lateness).unwrap_or(i64::MAX);
        Ok(Some(Ends { at: 0, early, late, lateness }))
    }
}

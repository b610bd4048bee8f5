//! When a partition is said to be whole: `sink.partition-commit.*`, and the success file that says so.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use weir_engine::{EngineError, OperatorError, Watermark};

use super::POLICY;
use crate::filesystem::location::unescape;
use crate::options::Options;

const TRIGGER: &str = "sink.partition-commit.trigger";
const DELAY: &str = "sink.partition-commit.delay";
const NAME: &str = "sink.partition-commit.success-file.name";
const ZONE: &str = "sink.partition-commit.watermark-time-zone";
const EXTRACTOR: &str = "partition.time-extractor.kind";
const PATTERN: &str = "partition.time-extractor.timestamp-pattern";
const FORMATTER: &str = "partition.time-extractor.timestamp-formatter";

/// Options that count where a policy is given.
pub(super) const OF_POLICY: [&str; 7] = [TRIGGER, DELAY, NAME, ZONE, EXTRACTOR, PATTERN, FORMATTER];

/// When a partition is whole, and how that is said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Rule {
    trigger: Trigger,
    delay_ms: i64,
    /// The success file's name.
    pub(crate) name: String,
    /// Only at the job's end.
    at_end: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Trigger {
    /// So long after its first row.
    ProcessTime,
    /// When the watermark is so far behind the time that its values stand for.
    PartitionTime(Extractor),
}

/// The time that a partition's values stand for.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Extractor {
    /// A text with `$column` for values; none: the first value.
    pattern: Option<String>,
    /// As chrono writes formats; none: Flink's own ones.
    format: Option<String>,
}

/// A partition that is not whole yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Partition {
    /// When its first row came.
    pub(crate) since_ms: i64,
    /// What its values stand for.
    time_ms: i64,
}

impl Rule {
    /// Reads the options; none where no policy is given.
    pub(super) fn read(options: &mut Options<'_>) -> Option<Self> {
        let policies = options.reveal(POLICY)?;
        let mut is_wanted = false;
        for policy in policies.split(',').map(str::trim) {
            match policy {
                "success-file" => is_wanted = true,
                "metastore" => options.refuse(POLICY, format!("'{POLICY}': 'metastore' is not supported: no metastore is told of partitions here; write 'success-file', and let what follows wait for that file")),
                "custom" => options.refuse(POLICY, format!("'{POLICY}': 'custom' is not supported: there are no classes of your own here; write 'success-file'")),
                _ => {
                    let given = options.quoted(POLICY);
                    options.refuse(POLICY, format!("'{POLICY}' = {given} is not known; write 'success-file'"));
                }
            }
        }
        if options.table().partitioned_by.is_empty() {
            options.refuse(POLICY, format!("'{POLICY}': the table has no partitions that could be whole; add PARTITIONED BY (…), or remove the option"));
        }
        let delay = options.duration(DELAY).unwrap_or_default();
        let name = options.reveal(NAME).unwrap_or("_SUCCESS").to_owned();
        if !name.starts_with(['_', '.']) || name.contains('/') {
            let given = options.quoted(NAME);
            options.refuse(NAME, format!("'{NAME}' is {given}: whoever reads the table would take the file for rows; begin the name with '_', and write no '/'"));
        }
        if options.reveal(ZONE).is_some_and(|zone| !zone.eq_ignore_ascii_case("UTC")) {
            let given = options.quoted(ZONE);
            options.refuse(ZONE, format!("'{ZONE}' = {given} is not supported: times of partitions are compared with watermarks as they are; take a TIMESTAMP column for WATERMARK, and remove the option"));
        }
        let kinds = [("process-time", false), ("partition-time", true)];
        let trigger = match options.choice(TRIGGER, false, &kinds) {
            true => Trigger::PartitionTime(Extractor::read(options)),
            false => Trigger::ProcessTime,
        };
        let at_end = options.table().output.at_end;
        let delay_ms = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        is_wanted.then_some(Self { trigger, delay_ms, name, at_end })
    }

    /// What a plan says of it.
    pub(super) fn shown(&self) -> String {
        let when = match &self.trigger {
            _ if self.at_end => "at the job's end".to_owned(),
            Trigger::ProcessTime => format!("{} ms after its first row", self.delay_ms),
            Trigger::PartitionTime(_) => {
                format!("when the watermark is {} ms behind its time", self.delay_ms)
            }
        };
        format!("{} in a partition {when}; rows are written by one task", self.name)
    }

    /// A partition whose first row has come.
    pub(crate) fn partition(
        &self,
        directory: &str,
        since_ms: i64,
    ) -> Result<Partition, OperatorError> {
        let time_ms = match &self.trigger {
            Trigger::PartitionTime(extractor) if !self.at_end => extractor.time(directory)?,
            _ => 0,
        };
        Ok(Partition { since_ms, time_ms })
    }

    /// Whether a partition is whole.
    pub(crate) fn is_due(&self, partition: Partition, now_ms: i64, watermark: Watermark) -> bool {
        match &self.trigger {
            _ if self.at_end => false,
            Trigger::ProcessTime => {
                self.delay_ms == 0 || now_ms > partition.since_ms.saturating_add(self.delay_ms)
            }
            // The last row that is past is a millisecond before the watermark.
            Trigger::PartitionTime(_) => {
                watermark.0.saturating_sub(1) > partition.time_ms.saturating_add(self.delay_ms)
            }
        }
    }
}

impl Extractor {
    fn read(options: &mut Options<'_>) -> Self {
        options.choice(EXTRACTOR, (), &[("default", ())]);
        let table = options.table();
        let pattern = options.reveal(PATTERN).map(str::to_owned);
        let is_known = |pattern: &str| {
            let mut names = table.partitioned_by.iter().filter_map(|&column| {
                table.schema.fields().get(column).map(|field| field.name().as_str())
            });
            names.any(|name| pattern.contains(&format!("${name}")))
        };
        if pattern.as_deref().is_some_and(|pattern| !is_known(pattern)) {
            let given = options.quoted(PATTERN);
            options.refuse(PATTERN, format!("'{PATTERN}' is {given}, and names no column of PARTITIONED BY; write such as '$day $hour:00:00'"));
        }
        let given = options.reveal(FORMATTER);
        let format = given.and_then(of_java);
        if given.is_some() && format.is_none() {
            let given = options.quoted(FORMATTER);
            options.refuse(FORMATTER, format!("'{FORMATTER}' is {given}; it takes yyyy, MM, dd, HH, mm, ss and signs between them"));
        }
        Self { pattern, format }
    }

    fn time(&self, directory: &str) -> Result<i64, OperatorError> {
        let pairs = directory.split('/').filter_map(|level| level.split_once('='));
        let values: Vec<(String, String)> =
            pairs.map(|(name, value)| (unescape(name), unescape(value))).collect();
        let text = match &self.pattern {
            Some(pattern) => values.iter().fold(pattern.clone(), |text, (name, value)| {
                text.replace(&format!("${name}"), value)
            }),
            None => values.first().map(|(_, value)| value.clone()).unwrap_or_default(),
        };
        let read = match &self.format {
            Some(format) => NaiveDateTime::parse_from_str(&text, format).ok().or_else(|| {
                let day = NaiveDate::parse_from_str(&text, format).ok()?;
                Some(day.and_time(NaiveTime::MIN))
            }),
            None => {
                NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok().or_else(|| {
                    let day = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok()?;
                    Some(day.and_time(NaiveTime::MIN))
                })
            }
        };
        match read {
            Some(time) => Ok(time.and_utc().timestamp_millis()),
            None => Err(EngineError::user(format!(
                "partition '{directory}': '{text}' is no time, so that it is never known to be whole; correct '{PATTERN}' or '{FORMATTER}', filter such rows, or take '{TRIGGER}' = 'process-time'"
            ))),
        }
    }
}

/// A format of Java's as chrono writes it, of these letters alone.
fn of_java(format: &str) -> Option<String> {
    let known =
        [("yyyy", "%Y"), ("MM", "%m"), ("dd", "%d"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S")];
    let (mut rest, mut out) = (format, String::new());
    while let Some(next) = rest.chars().next() {
        if let Some((java, own)) = known.iter().find(|(java, _)| rest.starts_with(java)) {
            out.push_str(own);
            rest = &rest[java.len()..];
            // More of the same letter would be another field.
            if rest.starts_with(&java[..1]) {
                return None;
            }
        } else if next.is_ascii_alphabetic() || "'[]{}#%".contains(next) {
            return None;
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extractor(pattern: Option<&str>, format: Option<&str>) -> Extractor {
        Extractor {
            pattern: pattern.map(str::to_owned),
            format: format.map(|format| of_java(format).unwrap()),
        }
    }

    #[test]
    fn a_partition_stands_for_the_time_that_its_values_write() {
        let hour = extractor(Some("$day $hour:00:00"), None);
        assert_eq!(hour.time("day=1970-01-02/hour=03").unwrap(), 97_200_000);
        assert_eq!(extractor(None, None).time("day=1970-01-02/x=y").unwrap(), 86_400_000);
        assert_eq!(extractor(None, None).time("t=1970-01-01 00%3A00%3A01").unwrap(), 1000);
        let compact = extractor(Some("$d"), Some("yyyyMMdd"));
        assert_eq!(compact.time("d=19700103").unwrap(), 172_800_000);
        let error = hour.time("day=soon/hour=1").unwrap_err();
        assert!(
            error.message.starts_with("partition 'day=soon/hour=1': 'soon 1:00:00' is no time")
        );
        for wrong in ["yyyyy", "EEE", "yyyy'T'", "MMM"] {
            assert_eq!(of_java(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_partition_is_whole_when_its_time_is_past() {
        let rule = |trigger, delay_ms, at_end| Rule {
            trigger,
            delay_ms,
            at_end,
            name: "_SUCCESS".to_owned(),
        };
        let by_clock = rule(Trigger::ProcessTime, 10, false);
        let new = by_clock.partition("day=x", 100).unwrap();
        assert!(
            !by_clock.is_due(new, 110, Watermark::MAX) && by_clock.is_due(new, 111, Watermark::MIN)
        );
        let at_once = rule(Trigger::ProcessTime, 0, false);
        assert!(at_once.is_due(new, 0, Watermark::MIN));
        let by_time = rule(Trigger::PartitionTime(extractor(None, None)), 10, false);
        let day = by_time.partition("day=1970-01-01", 100).unwrap();
        assert!(!by_time.is_due(day, i64::MAX, Watermark::MIN));
        assert!(!by_time.is_due(day, 0, Watermark(11)) && by_time.is_due(day, 0, Watermark(12)));
        let at_end = rule(Trigger::ProcessTime, 0, true);
        assert!(!at_end.is_due(new, i64::MAX, Watermark::MAX));
    }
}

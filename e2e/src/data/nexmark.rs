//! Events of an auction house as Nexmark has them: of fifty events one is a new person, three are
//! new auctions and forty-six are bids, most of them on few auctions that are young.
//!
//! The shape and the proportions are those of "NEXMark – A Benchmark for Queries over Data
//! Streams" (Tucker, Tufte, Papadimos, Maier; draft of 2008) and of its later suites; the events
//! themselves are made here.

use std::path::Path;

use anyhow::{Context, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::dealt::write_dealt;

/// People and auctions begin at this number.
const FIRST: u64 = 1_000;
/// Of fifty events, which are people and which auctions; the rest are bids.
const PEOPLE: u64 = 1;
const AUCTIONS: u64 = 3;
const ROUND: u64 = 50;
/// 2026-01-01, in milliseconds since 1970.
const START_MS: i64 = 1_767_225_600_000;

const NAMES: [&str; 8] = ["Ada", "Blaise", "Carl", "Dana", "Emmy", "Felix", "Grace", "Henri"];
const FAMILIES: [&str; 6] = ["Abel", "Bolyai", "Cantor", "Dirichlet", "Euler", "Fermat"];
const PLACES: [(&str, &str); 8] = [
    ("Phoenix", "AZ"),
    ("Los Angeles", "CA"),
    ("San Francisco", "CA"),
    ("Boise", "ID"),
    ("Portland", "OR"),
    ("Bend", "OR"),
    ("Seattle", "WA"),
    ("Cheyenne", "WY"),
];
const CHANNELS: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// Events one after the other; the same for the same step.
#[derive(Debug)]
pub struct Events {
    random: StdRng,
    next: u64,
    step_us: i64,
}

impl Events {
    /// Events that are so many microseconds of event time apart.
    #[must_use]
    pub fn new(step_us: i64) -> Self {
        Self { random: StdRng::seed_from_u64(7), next: 0, step_us }
    }

    fn people(&self) -> u64 {
        self.next / ROUND * PEOPLE + PEOPLE.min(self.next % ROUND)
    }

    fn auctions(&self) -> u64 {
        let within = (self.next % ROUND).saturating_sub(PEOPLE);
        self.next / ROUND * AUCTIONS + AUCTIONS.min(within)
    }

    /// One of the newest so many, a hot one half of the time. Numbers begin at [`FIRST`].
    fn recent(&mut self, there_are: u64, newest: u64, hot_every: u64) -> u64 {
        let last = there_are.max(1) - 1;
        let number = if self.random.random_bool(0.5) {
            last / hot_every * hot_every
        } else {
            last - self.random.random_range(0..newest.min(last + 1))
        };
        FIRST + number
    }

    /// From 100 to 100,000,000, as often between 100 and 1,000 as between 1,000 and 10,000.
    fn price(&mut self) -> u64 {
        (10_f64.powf(self.random.random_range(2.0..8.0))) as u64
    }

    fn extra(&mut self) -> String {
        format!("{:016x}{:016x}", self.random.random::<u64>(), self.random.random::<u64>())
    }

    fn person(&mut self, at: &str) -> String {
        let id = FIRST + self.people();
        let name = NAMES[self.random.random_range(0..NAMES.len())];
        let family = FAMILIES[self.random.random_range(0..FAMILIES.len())];
        let (city, state) = PLACES[self.random.random_range(0..PLACES.len())];
        let card = self.random.random_range(1_000_000_000_000_000_u64..10_000_000_000_000_000);
        let extra = self.extra();
        format!(
            r#"{{"event_type":0,"person":{{"id":{id},"name":"{name} {family}","emailAddress":"{name}.{id}@{family}.example","creditCard":"{card}","city":"{city}","state":"{state}","dateTime":"{at}","extra":"{extra}"}}}}"#
        )
    }

    fn auction(&mut self, at: &str, at_ms: i64) -> Result<String> {
        let id = FIRST + self.auctions();
        let people = self.people();
        let seller = self.recent(people, 1_000, 10);
        let category = 10 + self.random.random_range(0..5);
        let initial = self.price();
        let reserve = initial + self.price();
        let events = self.random.random_range(50..2_000);
        let expires = text(at_ms + (events * self.step_us / 1_000).max(1))?;
        let extra = self.extra();
        Ok(format!(
            r#"{{"event_type":1,"auction":{{"id":{id},"itemName":"item {id}","description":"as good as new {}","initialBid":{initial},"reserve":{reserve},"dateTime":"{at}","expires":"{expires}","seller":{seller},"category":{category},"extra":"{extra}"}}}}"#,
            id % 7
        ))
    }

    fn bid(&mut self, at: &str) -> String {
        let (auctions, people) = (self.auctions(), self.people());
        let auction = self.recent(auctions, 100, 100);
        let bidder = self.recent(people, 1_000, 10);
        let price = self.price();
        let (channel, place) = if self.random.random_bool(0.5) {
            let channel = CHANNELS[self.random.random_range(0..CHANNELS.len())];
            (channel.to_owned(), String::new())
        } else {
            let number = self.random.random_range(0..10_000);
            (format!("channel-{number}"), format!("&channel_id={number}"))
        };
        let item: u32 = self.random.random();
        let extra = self.extra();
        format!(
            r#"{{"event_type":2,"bid":{{"auction":{auction},"bidder":{bidder},"price":{price},"channel":"{channel}","url":"https://auctions.example/{:x}/{:x}/item.htm?query=1{place}","dateTime":"{at}","extra":"{extra}"}}}}"#,
            item % 97,
            item
        )
    }

    /// The next one as a line of JSON.
    ///
    /// # Errors
    /// When the time is beyond what dates can be.
    pub fn line(&mut self) -> Result<String> {
        let at_ms = START_MS + i64::try_from(self.next)? * self.step_us / 1_000;
        let at = text(at_ms)?;
        let line = match self.next % ROUND {
            turn if turn < PEOPLE => self.person(&at),
            turn if turn < PEOPLE + AUCTIONS => self.auction(&at, at_ms)?,
            _ => self.bid(&at),
        };
        self.next += 1;
        Ok(line)
    }
}

fn text(ms: i64) -> Result<String> {
    let time = chrono::DateTime::from_timestamp_millis(ms).context("a date out of range")?;
    Ok(time.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// Writes events, 10,000 a second of event time, into so many files of a folder, dealt out in
/// turn, so that all files cover the same time. Returns the bytes.
///
/// # Errors
/// Those of the file system.
pub fn write_events(folder: &Path, rows: u64, files: usize) -> Result<u64> {
    let mut events = Events::new(100);
    write_dealt(folder, "events", files, (0..rows).map(|_| events.line()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suites_events_are_the_first_of_these() {
        let mut events = Events::new(150_000);
        let lines = (0..600).map(|_| events.line().unwrap() + "\n").collect::<String>();
        expect_test::expect_file!["../../../worker/tests/flink/in/nexmark.json"].assert_eq(&lines);
    }
}

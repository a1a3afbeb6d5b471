//! Gathers every bad field of a request.

use std::{collections::HashSet, fmt::Display, ops::RangeInclusive, str::FromStr, time::Duration};

use time::OffsetDateTime;

use crate::{
    domain::{FieldViolation, Refusal},
    grpc::page_token,
    limits::DEFAULT_PAGE_SIZE,
};

/// The bad fields of one request so far. A getter answers `None` for a field
/// that is bad, and notes why.
#[derive(Debug, Default)]
pub(super) struct Fields {
    violations: Vec<FieldViolation>,
}

impl Fields {
    /// What `build` makes of the good fields, unless one was bad.
    pub fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, Refusal> {
        match (self.violations.is_empty(), build()) {
            (true, Some(value)) => Ok(value),
            _ => Err(Refusal::InvalidField(self.violations)),
        }
    }

    /// Notes a bad field.
    pub fn bad(&mut self, field: impl Into<String>, description: impl Display) {
        let (field, description) = (field.into(), description.to_string());
        self.violations.push(FieldViolation { field, description });
    }

    /// Any text that parses: an id, a currency.
    pub fn parsed<T: FromStr<Err: Display>>(&mut self, field: &str, text: &str) -> Option<T> {
        text.parse().map_err(|error| self.bad(field, error)).ok()
    }

    /// An id for the server to choose where none is given.
    pub fn parsed_or<T: FromStr<Err: Display>>(
        &mut self,
        field: &str,
        text: &str,
        otherwise: impl FnOnce() -> T,
    ) -> Option<T> {
        if text.is_empty() { Some(otherwise()) } else { self.parsed(field, text) }
    }

    /// An id that need not be given: `Some(None)` where it is not.
    #[expect(clippy::option_option, reason = "a bad one, none, or one")]
    pub fn optional<T: FromStr<Err: Display>>(
        &mut self,
        field: &str,
        text: &str,
    ) -> Option<Option<T>> {
        if text.is_empty() { Some(None) } else { self.parsed(field, text).map(Some) }
    }

    /// Free text of so many characters.
    pub fn text(
        &mut self,
        field: &str,
        text: String,
        chars: RangeInclusive<usize>,
    ) -> Option<String> {
        let is_good = chars.contains(&text.chars().count()) && !text.chars().any(char::is_control);
        if !is_good {
            let (least, most) = (chars.start(), chars.end());
            self.bad(field, format!("must be {least} to {most} characters, none of control"));
        }
        is_good.then_some(text)
    }

    /// A whole number.
    pub fn number(&mut self, field: &str, value: i32, range: RangeInclusive<u32>) -> Option<u32> {
        let good = u32::try_from(value).ok().filter(|value| range.contains(value));
        if good.is_none() {
            self.bad(field, format!("must be {} to {}", range.start(), range.end()));
        }
        good
    }

    /// One of a few values, each with its name and what it means.
    pub fn one_of<P: Copy + Into<i32>, D: Copy>(
        &mut self,
        field: &str,
        value: i32,
        choices: &[(&str, P, D)],
    ) -> Option<D> {
        let chosen = choices.iter().find(|(_, known, _)| (*known).into() == value);
        if chosen.is_none() {
            let names: Vec<_> = choices.iter().map(|(name, ..)| *name).collect();
            self.bad(field, format!("must be one of {}", names.join(", ")));
        }
        chosen.map(|&(.., meant)| meant)
    }

    /// How many a page has at most.
    pub fn page_size(&mut self, size: i32, most: u32) -> Option<u32> {
        match size {
            0 => Some(DEFAULT_PAGE_SIZE),
            size => self.number("page_size", size, 1..=most),
        }
    }

    /// Where the page before ended, of a list in the order of numbers; `None` for the first
    /// page, too.
    pub fn page_before(&mut self, token: &str) -> Option<i64> {
        let before = page_token::decode_number(token);
        if before.is_none() && !token.is_empty() {
            self.bad("page_token", "is not the token of a page before");
        }
        before
    }

    /// A span of time, in whole milliseconds; `None` where it is not given,
    /// too.
    pub fn span(
        &mut self,
        field: &str,
        span: Option<prost_types::Duration>,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let span = span?;
        let good = Duration::try_from(span)
            .ok()
            .filter(|span| range.contains(span) && span.subsec_nanos() % 1_000_000 == 0);
        if good.is_none() {
            let (least, most) = (range.start(), range.end());
            self.bad(field, format!("must be {least:?} to {most:?}, in whole milliseconds"));
        }
        good
    }

    /// A point in time.
    pub fn time(
        &mut self,
        field: &str,
        time: Option<prost_types::Timestamp>,
    ) -> Option<OffsetDateTime> {
        let good = time.filter(|time| (0..1_000_000_000).contains(&time.nanos)).and_then(|time| {
            let second = OffsetDateTime::from_unix_timestamp(time.seconds).ok()?;
            second.replace_nanosecond(u32::try_from(time.nanos).ok()?).ok()
        });
        let good = good.filter(|time| (1..=9999).contains(&time.year()));
        if good.is_none() {
            self.bad(field, "must be a time from year 1 to 9999");
        }
        good
    }

    /// A list of so many items.
    pub fn count<T>(&mut self, field: &str, items: &[T], range: RangeInclusive<usize>) {
        if !range.contains(&items.len()) {
            self.bad(field, format!("must have {} to {} items", range.start(), range.end()));
        }
    }

    /// A list of ids, each once.
    pub fn ids<T: FromStr<Err: Display>>(&mut self, field: &str, ids: &[String]) -> Option<Vec<T>> {
        let mut seen = HashSet::new();
        let mut all = Some(Vec::with_capacity(ids.len()));
        for (i, id) in ids.iter().enumerate() {
            let field = format!("{field}[{i}]");
            let parsed = self.parsed(&field, id);
            if !seen.insert(id) {
                self.bad(field, "is named twice");
            }
            all = all.zip(parsed).map(|(mut all, id)| {
                all.push(id);
                all
            });
        }
        all
    }
}

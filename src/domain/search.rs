//! What people look for, and where in the answer they are.

use time::OffsetDateTime;

use super::EventId;

/// A search, but for its page. Equal ones have equal answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    query: String,
    city: String,
    /// Events that start then or later.
    pub start_time: Option<OffsetDateTime>,
    /// Events that start before.
    pub end_time: Option<OffsetDateTime>,
}

impl Search {
    pub fn new(
        query: &str,
        city: &str,
        start_time: Option<OffsetDateTime>,
        end_time: Option<OffsetDateTime>,
    ) -> Self {
        let [query, city] = [query, city].map(|text| {
            let text = text.to_lowercase();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        });
        Self { query, city, start_time, end_time }
    }

    /// What to look for, in small letters; all events where it is empty.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// Only there, in small letters; anywhere where it is empty.
    pub fn city(&self) -> &str {
        &self.city
    }

    /// All of it as one text, which no other search has: none of its parts has a control
    /// character.
    pub fn text(&self) -> String {
        let nanos = |time: Option<OffsetDateTime>| time.map(OffsetDateTime::unix_timestamp_nanos);
        let (start, end) = (nanos(self.start_time), nanos(self.end_time));
        format!("{}\0{}\0{start:?}\0{end:?}", self.query, self.city)
    }
}

/// How an event was found: those by words stand before those by likeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// It has words that are, or begin with, those looked for.
    Words,
    /// It has words that are like those looked for, or contain them.
    Likeness,
}

/// An event's place in the answer of a search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundAt {
    pub by: FoundBy,
    /// Higher is better.
    pub score: i32,
    /// Among equals, the earlier is first, then the lower id.
    pub start_time: OffsetDateTime,
    pub event_id: EventId,
}

/// A page of the events that a search finds.
#[derive(Debug, Clone)]
pub struct SearchPaging {
    pub page_size: u32,
    /// The last event of the page before.
    pub after: Option<FoundAt>,
}

/// Letters of a word that may be wrong, missing or too many. Of three letters, with one
/// wrong, there is nearly every syllable of Vietnamese. A number is meant as it is;
/// Hangul is spelled with digits among its letters, two or three to a syllable.
pub fn wrong_letters(word: &str) -> i32 {
    let has_digits = word.contains(|c: char| c.is_ascii_digit());
    match word.chars().count() {
        _ if word.chars().all(|c| c.is_ascii_digit()) => 0,
        0..=3 => 0,
        4..=5 => 1,
        _ => {
            if has_digits {
                1
            } else {
                2
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_searches_are_one_and_others_are_not() {
        let search = |query, city| Search::new(query, city, None, None).text();
        assert_eq!(search("  Son  TUNG ", "HÀ Nội"), search("son tung", "hà nội"));
        assert_ne!(search("a b", ""), search("a", "b"));
        let epoch = Some(OffsetDateTime::UNIX_EPOCH);
        let [from, to] = [(epoch, None), (None, epoch)].map(|(a, b)| Search::new("", "", a, b));
        assert_ne!(from.text(), to.text());
    }

    #[test]
    fn longer_words_may_be_more_wrong() {
        let words = ["", "ab", "abc", "abcde", "abcdef", "2026", "2026123", "b0qt0n"];
        assert_eq!(words.map(wrong_letters), [0, 0, 0, 1, 2, 0, 0, 1]);
    }
}

//! Searches: by words, and behind them by likeness. `search_words` of the schema takes
//! case, marks and punctuation off, here and of the events alike.

use time::OffsetDateTime;
use tokio_postgres::{Row, types::ToSql};

use super::{
    Error, Ledger,
    columns::to_i64,
    event_row::{AFTER_EVENT, event_columns, event_from_row},
};
use crate::{
    domain::{Event, FoundAt, FoundBy, Search, SearchPaging, wrong_letters},
    limits::{MAX_SEARCH_WORD_CHARS, MAX_SEARCH_WORDS},
};

/// The page of those that `$found` selects, with their scores, as event ids and scores.
/// $1 to $3 are the search's city and times; $4 to $6 the score, start time and id of the
/// last event of the page before; $7 is how many.
macro_rules! page_of {
    ($score:literal, $found:literal) => {
        concat!(
            "\nSELECT ",
            event_columns!(),
            ", score FROM (
                SELECT event_id, score FROM (
                    SELECT event_id, start_time, (",
            $score,
            ")::int AS score
                    FROM events
                    WHERE state <> 'DRAFT' AND ($1::text IS NULL OR search_city = $1)
                        AND ($2::timestamptz IS NULL OR start_time >= $2)
                        AND ($3::timestamptz IS NULL OR start_time < $3) AND (",
            $found,
            ")) AS found
                WHERE $4::int IS NULL OR score < $4
                    OR (score = $4 AND (start_time, event_id) > ($5::timestamptz, $6::text))
                ORDER BY score DESC, start_time, event_id LIMIT $7
            ) AS page JOIN events USING (event_id)
            ORDER BY score DESC, start_time, event_id"
        )
    };
}

/// An event, and where in the answer it is.
type Found = (Event, FoundAt);

impl Ledger {
    /// A page of what a search finds, the best first.
    pub async fn search_events(
        &self,
        search: &Search,
        paging: &SearchPaging,
    ) -> Result<Vec<Found>, Error> {
        let words = self.words_of(search).await?;
        let Words { city, words } = &words;
        let (most, after) = (paging.page_size as usize, paging.after.as_ref());
        let page = Page { search, city: city.as_deref(), after, size: most };
        let words = match words.as_slice() {
            [] if search.query().is_empty() => return self.events_of_no_words(&page).await,
            // Nothing but punctuation.
            [] => return Ok(Vec::new()),
            words => words,
        };
        // What is found by likeness comes after all that is found by words, and is looked
        // for only where that does not fill the page.
        let mut found = match after {
            Some(FoundAt { by: FoundBy::Likeness, .. }) => {
                return self.events_by_likeness(&page, words).await;
            }
            _ => self.events_by_words(&page, words).await?,
        };
        if found.len() < most {
            let rest = Page { after: None, size: most - found.len(), ..page };
            found.extend(self.events_by_likeness(&rest, words).await?);
        }
        Ok(found)
    }

    /// A search's words as those of events are kept.
    async fn words_of(&self, search: &Search) -> Result<Words, Error> {
        const SQL: &str = "-- words_of
            SELECT search_words($1), search_words($2)";
        let rows = self.query(SQL, &[&search.query(), &search.city()]).await?;
        let (query, city): (&str, String) = (rows[0].get(0), rows[0].get(1));
        // A word that long is found by its beginning.
        let cut = |word: &str| word.chars().take(MAX_SEARCH_WORD_CHARS).collect();
        let words = query.split_whitespace().take(MAX_SEARCH_WORDS).map(cut);
        let city = (!search.city().is_empty()).then_some(city);
        Ok(Words { city, words: words.collect() })
    }

    async fn events_of_no_words(&self, page: &Page<'_>) -> Result<Vec<Found>, Error> {
        const SQL: &str = concat!("-- search_events: all", page_of!("0", "true"));
        self.page(SQL, page, FoundBy::Words, &[]).await
    }

    async fn events_by_words(
        &self,
        page: &Page<'_>,
        words: &[String],
    ) -> Result<Vec<Found>, Error> {
        // Whole words before beginnings; then a name before a venue before a city.
        const SQL: &str = concat!(
            "-- search_events: by words",
            page_of!(
                "1000 * ts_rank(search_vector, $8::text::tsquery)
                + CASE WHEN search_vector @@ $9::text::tsquery THEN 1000 ELSE 0 END",
                "search_vector @@ $8::text::tsquery"
            )
        );
        let (beginnings, whole) = (all_of(words, ":*"), all_of(words, ""));
        self.page(SQL, page, FoundBy::Words, &[&beginnings, &whole]).await
    }

    async fn events_by_likeness(
        &self,
        page: &Page<'_>,
        words: &[String],
    ) -> Result<Vec<Found>, Error> {
        // The longest word finds by trigrams; then every word is looked for by letters.
        const SQL: &str = concat!(
            "-- search_events: by likeness",
            page_of!(
                "SELECT 1000 * avg(word_similarity(word, search_text))
                FROM unnest($10::text[]) word",
                "(search_text LIKE '%' || $9::text || '%' OR $9 <% search_text)
                AND NOT search_vector @@ $8::text::tsquery
                AND NOT EXISTS (
                    SELECT FROM unnest($10::text[], $11::int[]) AS asked (word, wrong)
                    WHERE NOT (' ' || search_text LIKE '% ' || word || '%'
                        OR (length(word) > 2 AND search_text LIKE '%' || word || '%')
                        OR (wrong > 0 AND EXISTS (
                            SELECT FROM string_to_table(search_text, ' ') AS there
                            WHERE levenshtein_less_equal(word, left(there, 255), wrong)
                                <= wrong))))"
            )
        );
        let longest = words.iter().max_by_key(|word| word.chars().count());
        let longest = longest.map_or("", String::as_str);
        // Shorter ones are in too many.
        if longest.chars().count() < 3 {
            return Ok(Vec::new());
        }
        let beginnings = all_of(words, ":*");
        let wrong: Vec<i32> = words.iter().map(|word| wrong_letters(word)).collect();
        self.page(SQL, page, FoundBy::Likeness, &[&beginnings, &longest, &words, &wrong]).await
    }

    async fn page(
        &self,
        sql: &str,
        page: &Page<'_>,
        by: FoundBy,
        more: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Found>, Error> {
        let after = page.after;
        let (score, time) = (after.map(|at| at.score), after.map(|at| at.start_time));
        let (id, size) = (after.map(|at| at.event_id.as_str()), to_i64(page.size as u64));
        let (from, to) = (page.search.start_time, page.search.end_time);
        let mut params: Vec<&(dyn ToSql + Sync)> =
            vec![&page.city, &from, &to, &score, &time, &id, &size];
        params.extend(more);
        let rows = self.query(sql, &params).await?;
        rows.iter().map(|row| found_from_row(row, by)).collect()
    }
}

/// Words as the schema keeps them.
struct Words {
    city: Option<String>,
    words: Vec<String>,
}

#[derive(Clone, Copy)]
struct Page<'a> {
    search: &'a Search,
    city: Option<&'a str>,
    after: Option<&'a FoundAt>,
    size: usize,
}

/// What Postgres calls a query for all of the words, each with an ending of its own syntax.
/// They have neither quotes nor backslashes.
fn all_of(words: &[String], ending: &str) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("'{word}'{ending}")).collect();
    words.join(" & ")
}

fn found_from_row(row: &Row, by: FoundBy) -> Result<Found, Error> {
    let (event, score) = (event_from_row(row)?, row.get(AFTER_EVENT));
    let (start_time, event_id): (OffsetDateTime, _) = (event.start_time, event.event_id.clone());
    Ok((event, FoundAt { by, score, start_time, event_id }))
}

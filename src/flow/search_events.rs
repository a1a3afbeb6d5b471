//! SearchEvents: what people look for, by a search read-through: Redis has the answer, or
//! Postgres gives it, once for all who ask.

use bytes::Bytes;

use super::{Error, Flows};
use crate::{
    cache::Place,
    domain::{Event, FoundAt, Search, SearchPaging},
};

/// How the door makes bytes of a page: its events, and the last of them where there may be
/// another page.
pub type EncodeFound = fn(Vec<Event>, Option<FoundAt>, &Search) -> Bytes;

impl Flows {
    /// A page of the events that a search finds, as bytes: with all that was changed and
    /// answered before.
    pub async fn search_events(
        &self,
        search: &Search,
        paging: &SearchPaging,
        encode: EncodeFound,
    ) -> Result<Bytes, Error> {
        let _span = crate::telemetry::flow("search_events");
        let SearchPaging { page_size, after } = paging;
        let place = Place::search(&format!("{}\0{page_size}\0{after:?}", search.text()));
        let load = async {
            // Not all of the pool: sales share it.
            let _room = self.searching.acquire().await.expect("never closed");
            // One more than asked for tells whether there is another page.
            let one_more = SearchPaging { page_size: page_size + 1, after: after.clone() };
            let mut found = self.ledger.search_events(search, &one_more).await?;
            let more = found.len() > *page_size as usize;
            found.truncate(*page_size as usize);
            let last = found.last().filter(|_| more).map(|(_, at)| at.clone());
            let events = found.into_iter().map(|(event, _)| event).collect();
            Ok(encode(events, last, search))
        };
        self.cache.get(&place, load).await.map_err(Error::shared)
    }
}

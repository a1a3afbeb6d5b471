//! ListEvents: a page of all events but the drafts. The first ones, which home pages show,
//! are kept by a write-through: who changes an event puts them there.

use bytes::Bytes;
use prost::Message;
use time::OffsetDateTime;

use super::{Error, Flows};
use crate::{
    cache::Place,
    domain::{EventId, Paging},
    limits::HOME_EVENTS,
};

/// Where a page ends, and another one may begin.
type Last = (OffsetDateTime, EventId);

/// The first events, as they are kept.
#[derive(Clone, PartialEq, Message)]
struct Home {
    #[prost(message, repeated, tag = "1")]
    events: Vec<Listed>,
    /// Whether there are others after them.
    #[prost(bool, tag = "2")]
    more: bool,
}

/// An event, and its place in the order of all.
#[derive(Clone, PartialEq, Message)]
struct Listed {
    /// As a page tells it.
    #[prost(bytes = "bytes", tag = "1")]
    told: Bytes,
    #[prost(int64, tag = "2")]
    start_seconds: i64,
    #[prost(uint32, tag = "3")]
    start_nanos: u32,
    #[prost(string, tag = "4")]
    event_id: String,
}

impl Flows {
    /// A page, each event as bytes, and the last of it where there may be another page.
    pub async fn list_events(&self, paging: Paging) -> Result<(Vec<Bytes>, Option<Last>), Error> {
        let _span = crate::telemetry::flow("list_events");
        let home = self.home().await?;
        if let Some(page) = page_of(&home, &paging) {
            return Ok(page);
        }
        let (listed, more) = self.listed(&paging).await?;
        let last = listed.last().filter(|_| more).map(last_of).transpose()?;
        Ok((listed.into_iter().map(|event| event.told).collect(), last))
    }

    /// Puts the first events of now in their place, where nobody has done so yet.
    pub(super) async fn write_home(&self) -> Result<(), Error> {
        self.home().await.map(|_| ())
    }

    /// The first events: read from Postgres where what is kept is not current.
    async fn home(&self) -> Result<Home, Error> {
        let load = async {
            let (events, more) =
                self.listed(&Paging { page_size: HOME_EVENTS, after: None }).await?;
            Ok(Home { events, more }.encode_to_vec().into())
        };
        let home = self.cache.get(&Place::home(), load).await.map_err(Error::shared)?;
        Home::decode(home).map_err(Error::internal)
    }

    /// A page from Postgres, and whether there may be another.
    async fn listed(&self, paging: &Paging) -> Result<(Vec<Listed>, bool), Error> {
        // One more than asked for tells whether there is another page.
        let one_more = Paging { page_size: paging.page_size + 1, after: paging.after.clone() };
        let mut events = self.ledger.list_events(&one_more).await?;
        let more = events.len() > paging.page_size as usize;
        events.truncate(paging.page_size as usize);
        let listed = events.into_iter().map(|event| Listed {
            start_seconds: event.start_time.unix_timestamp(),
            start_nanos: event.start_time.nanosecond(),
            event_id: event.event_id.to_string(),
            told: (self.encoders.listed)(event),
        });
        Ok((listed.collect(), more))
    }
}

/// The page, where the first events have all of it, and say whether another follows.
fn page_of(home: &Home, paging: &Paging) -> Option<(Vec<Bytes>, Option<Last>)> {
    let begin = match &paging.after {
        None => 0,
        // By its name: how Postgres orders ids is its database's matter.
        Some((time, event_id)) => {
            let is_last = |event: &Listed| {
                let start = (event.start_seconds, event.start_nanos);
                event.event_id == event_id.as_str()
                    && start == (time.unix_timestamp(), time.nanosecond())
            };
            home.events.iter().position(is_last)? + 1
        }
    };
    let rest = &home.events[begin..];
    let page = &rest[..rest.len().min(paging.page_size as usize)];
    let ends_here = page.len() == rest.len();
    if ends_here && home.more {
        // It may go on beyond; but a full page that ends with the last of them is whole.
        let is_full = page.len() == paging.page_size as usize;
        if !is_full {
            return None;
        }
    }
    let last = page.last().filter(|_| !ends_here || home.more).map(last_of).transpose().ok()?;
    Some((page.iter().map(|event| event.told.clone()).collect(), last))
}

fn last_of(event: &Listed) -> Result<Last, Error> {
    let start = OffsetDateTime::from_unix_timestamp(event.start_seconds)
        .and_then(|second| second.replace_nanosecond(event.start_nanos))
        .map_err(Error::internal)?;
    Ok((start, event.event_id.parse().map_err(Error::internal)?))
}

//! The event's log: what changed, in order, with what the journal and the
//! stream need to follow.

use std::{sync::Arc, time::Duration};

use serde::de::DeserializeOwned;

use super::{Error, Holds, keys, snapshot::area_state};
use crate::domain::{
    AreaIndex, AreaState, EventId, HoldId, HoldRecord, Position, SeatIndex, SeatStatus,
};
use crate::limits::{FEED_BLOCK, LOG_PAGE};
use crate::redis::{
    FromRedisValue, Links, MultiplexedConnection, Node, RedisResult, Value, cmd,
    streams::{StreamId, StreamRangeReply, StreamReadReply},
};

/// What of one change is seen on seats and areas.
#[derive(Debug, Clone, Default)]
pub struct Change {
    pub position: Position,
    /// Redis' clock, ms since 1970.
    pub at_ms: i64,
    /// Runs of seats that took a status, in order.
    pub seats: Vec<(SeatStatus, Vec<SeatIndex>)>,
    /// Areas as they are now.
    pub areas: Vec<(AreaIndex, AreaState)>,
    /// The event's state was built anew: forget all before.
    pub reset: bool,
}

/// One change, and the holds that it is of. An entry's `ended`, holds that Postgres'
/// outcomes ended, is read by audits alone (`audit.lua`).
#[derive(Debug)]
pub struct LogEntry {
    pub change: Change,
    /// Holds that were made or changed, as they are now.
    pub holds: Vec<(HoldId, HoldRecord)>,
    /// Holds that were expired in passing, by a caller who wanted their seats.
    pub expired: Vec<HoldId>,
    /// Holds that were undone before they were answered.
    pub undone: Vec<HoldId>,
}

impl Change {
    /// Changes of seats.
    pub fn seat_count(&self) -> usize {
        self.seats.iter().map(|(_, run)| run.len()).sum()
    }

    /// Whether it is seen on any seat or area.
    pub fn shows(&self) -> bool {
        !self.seats.is_empty() || !self.areas.is_empty()
    }

    fn decode(entry: &StreamId) -> Result<Self, Error> {
        let position =
            Position::parse(&entry.id).ok_or_else(|| Error::corrupt("a log id is no position"))?;
        let areas: Vec<(AreaIndex, i64, i64)> = field(entry, "areas")?;
        Ok(Self {
            position,
            at_ms: entry.get("at").unwrap_or_default(),
            seats: field(entry, "seats")?,
            areas: areas.into_iter().map(|(i, free, all)| (i, area_state((free, all)))).collect(),
            reset: entry.contains_key("reset"),
        })
    }
}

impl LogEntry {
    fn decode(entry: &StreamId) -> Result<Self, Error> {
        Ok(Self {
            change: Change::decode(entry)?,
            holds: field(entry, "holds")?,
            expired: field(entry, "expired")?,
            undone: field(entry, "undone")?,
        })
    }
}

fn field<T: DeserializeOwned>(entry: &StreamId, name: &str) -> Result<Vec<T>, Error> {
    match entry.map.get(name) {
        None => Ok(Vec::new()),
        Some(Value::BulkString(bytes)) => rmp_serde::from_slice(bytes).map_err(Error::corrupt),
        Some(_) => Err(Error::corrupt("a log field is no text")),
    }
}

impl Holds {
    /// The entries after a position, oldest first.
    pub async fn read_log(
        &self,
        event_id: &EventId,
        after: Position,
        count: usize,
    ) -> Result<Vec<LogEntry>, Error> {
        self.page(event_id, after, count).await?.iter().map(LogEntry::decode).collect()
    }

    /// What is seen of the entries after a position, oldest first.
    pub async fn read_changes(
        &self,
        event_id: &EventId,
        after: Position,
        count: usize,
    ) -> Result<Vec<Change>, Error> {
        self.page(event_id, after, count).await?.iter().map(Change::decode).collect()
    }

    async fn page(
        &self,
        event_id: &EventId,
        after: Position,
        count: usize,
    ) -> Result<Vec<StreamId>, Error> {
        let mut range = cmd("XRANGE");
        range.arg(keys::log(event_id)).arg(format!("({after}")).arg("+").arg("COUNT").arg(count);
        let reply: StreamRangeReply = self.links.query(event_id.as_str(), &range).await?;
        Ok(reply.ids)
    }

    /// What is seen of the last entries up to a position, oldest first; read in pages of
    /// [`LOG_PAGE`], since Redis serves nobody else while it reads one.
    pub async fn read_last_changes(
        &self,
        event_id: &EventId,
        until: Position,
        count: usize,
    ) -> Result<Vec<Change>, Error> {
        let (mut changes, mut from): (Vec<Change>, _) = (Vec::new(), until.to_string());
        while changes.len() < count {
            let at_most = LOG_PAGE.min(count - changes.len());
            let mut range = cmd("XREVRANGE");
            range.arg(keys::log(event_id)).arg(&from).arg("-").arg("COUNT").arg(at_most);
            let reply: StreamRangeReply = self.links.query(event_id.as_str(), &range).await?;
            let Some(first) = reply.ids.last() else { break };
            from = format!("({}", first.id);
            for entry in &reply.ids {
                changes.push(Change::decode(entry)?);
            }
            if reply.ids.len() < at_most {
                break;
            }
        }
        changes.reverse();
        Ok(changes)
    }

    /// Forgets the entries before a position.
    pub async fn trim_log(&self, event_id: &EventId, before: Position) -> Result<u64, Error> {
        let mut trim = cmd("XTRIM");
        trim.arg(keys::log(event_id)).arg("MINID").arg("~").arg(before.to_string());
        self.links.query(event_id.as_str(), &trim).await
    }

    /// A reader of its own that waits for what comes.
    pub async fn tail_log(&self, event_id: &EventId) -> Result<LogTail, Error> {
        let (node, connection) = self.links.dedicated(event_id.as_str(), FEED_BLOCK).await?;
        Ok(LogTail { links: self.links.clone(), event_id: event_id.clone(), node, connection })
    }
}

/// A connection that follows one log.
pub struct LogTail {
    links: Arc<Links>,
    event_id: EventId,
    node: Arc<Node>,
    connection: MultiplexedConnection,
}

impl LogTail {
    /// What is seen of the next entries after a position; empty where none came within
    /// [`FEED_BLOCK`]. It reads on from a position that is known, never from
    /// "what comes next": entries in between would be lost. An error ends it:
    /// among others, where the event is at another Redis now.
    pub async fn next(&mut self, after: Position, count: usize) -> Result<Vec<Change>, Error> {
        // A master that was cut off may live on for long, and answer.
        if !self.links.is_at(self.event_id.as_str(), &self.node) {
            return Err(Error::unreachable("the event is at another Redis now"));
        }
        let block = u64::try_from(Duration::as_millis(&FEED_BLOCK)).unwrap_or(u64::MAX);
        let reply: RedisResult<Value> = cmd("XREAD")
            .arg("COUNT")
            .arg(count)
            .arg("BLOCK")
            .arg(block)
            .arg("STREAMS")
            .arg(keys::log(&self.event_id))
            .arg(after.to_string())
            .query_async(&mut self.connection)
            .await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => {
                self.links.follow(&self.node, &error)?;
                return Err(error.into());
            }
        };
        if reply == Value::Nil {
            return Ok(Vec::new());
        }
        let reply = StreamReadReply::from_redis_value(reply).map_err(Error::corrupt)?;
        reply.keys.iter().flat_map(|key| &key.ids).map(Change::decode).collect()
    }
}

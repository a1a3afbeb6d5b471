//! Events: their own fields, and which of them the jobs look after.

use std::time::Duration;

use time::OffsetDateTime;

use scoped_futures::ScopedFutureExt;

use super::{
    Error, Ledger,
    charts::insert_chart_in_tx,
    columns::{parse, position, to_u32, unsigned},
    event_row::{
        AFTER_STORED, OwnValues, event_columns, event_from_row, own_columns, stored_event_from_row,
    },
    outbox::note_event_in_tx,
};
use crate::domain::{ChartDraft, Epoch, Event, EventChange, EventId, Paging, Position, Refusal};
use crate::limits::{CLOSED_EVENT_KEPT, MAX_ACTIVE_EVENTS};

/// An event, and which state of it Redis should have.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    pub event: Event,
    /// Counts the changes of the event and its chart.
    pub revision: u64,
    pub epoch: Epoch,
}

/// An event and the size of its chart.
#[derive(Debug, Clone)]
pub struct SizedEvent {
    pub stored: StoredEvent,
    pub seat_count: usize,
    /// Units of each area, by its index.
    pub capacities: Vec<u32>,
}

/// What became of a new event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// By this outbox row Redis hears of it.
    New { outbox_id: i64 },
    /// It was there, made with the same content.
    Before,
}

/// An event that the jobs look after.
#[derive(Debug, Clone)]
pub struct ActiveEvent {
    pub event_id: EventId,
    pub epoch: Epoch,
    /// How far the journal has followed its log.
    pub journaled: Position,
}

impl Ledger {
    /// Makes an event with its chart. `fingerprint` is of both, as the caller
    /// gave them.
    ///
    /// # Errors
    /// [`Refusal::EventIdReused`] where it was made with other content.
    pub async fn create_event(
        &self,
        event: &Event,
        chart: &ChartDraft,
        fingerprint: &str,
    ) -> Result<Created, Error> {
        const INSERT: &str = concat!(
            "-- create_event\nINSERT INTO events (",
            own_columns!(),
            ", fingerprint) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                $15, $16, $17, $18, $19, $20, $21, $22)
            ON CONFLICT (event_id) DO NOTHING RETURNING event_id"
        );
        const CURSOR: &str = "-- create_event: cursor
            INSERT INTO journal_cursors (event_id) VALUES ($1)";
        const BEFORE: &str = "-- create_event: before
            SELECT fingerprint FROM events WHERE event_id = $1";
        self.run_tx(|tx| {
            async move {
                let event_id = event.event_id.as_str();
                let values = OwnValues::new(event);
                let inserted = tx.query_opt(INSERT, &values.with(&fingerprint)).await?;
                if inserted.is_none() {
                    let before = tx.query_opt(BEFORE, &[&event_id]).await?;
                    return match before.map(|row| row.get::<_, String>(0)) {
                        Some(before) if before == fingerprint => Ok(Created::Before),
                        _ => Err(Refusal::EventIdReused(event.event_id.clone()).into()),
                    };
                }
                tx.query(CURSOR, &[&event_id]).await?;
                insert_chart_in_tx(tx, &event.event_id, chart).await?;
                let outbox_id = note_event_in_tx(tx, &event.event_id).await?;
                Ok(Created::New { outbox_id })
            }
            .scope_boxed()
        })
        .await
    }

    /// Changes an event's own fields; answers it as it is then, and the outbox
    /// row by which Redis hears of it.
    ///
    /// # Errors
    /// [`Refusal::EventNotFound`]; [`Refusal::InvalidField`] where its times
    /// would contradict each other.
    pub async fn update_event(
        &self,
        event_id: &EventId,
        change: &EventChange,
    ) -> Result<(Event, i64), Error> {
        const READ: &str = concat!(
            "-- update_event: read\nSELECT ",
            event_columns!(),
            " FROM events WHERE event_id = $1 FOR NO KEY UPDATE"
        );
        const WRITE: &str = concat!(
            "-- update_event\nUPDATE events SET (",
            own_columns!(),
            ") = ROW($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                $18, $19, $20, $21), revision = revision + 1, update_time = now()
            WHERE event_id = $22 RETURNING update_time"
        );
        self.run_tx(|tx| {
            async move {
                let row = tx.query_opt(READ, &[&event_id.as_str()]).await?;
                let row = row.ok_or_else(|| Refusal::EventNotFound(event_id.clone()))?;
                let mut event = event_from_row(&row)?;
                change.clone().apply(&mut event);
                if event.hold_ttl > event.max_hold_time {
                    let why = "must not be longer than the event's max_hold_time";
                    return Err(Refusal::field("event.hold_ttl", why).into());
                }
                let (values, id) = (OwnValues::new(&event), event_id.as_str());
                let written = tx.query(WRITE, &values.with(&id)).await?;
                event.update_time = written[0].get(0);
                Ok((event, note_event_in_tx(tx, event_id).await?))
            }
            .scope_boxed()
        })
        .await
    }

    /// An event, and which state of it Redis should have.
    pub async fn find_event(&self, event_id: &EventId) -> Result<Option<StoredEvent>, Error> {
        const SQL: &str = concat!(
            "-- find_event\nSELECT ",
            event_columns!(),
            ", revision, epoch FROM events WHERE event_id = $1"
        );
        let row = self.query_opt(SQL, &[&event_id.as_str()]).await?;
        row.map(|row| stored_event_from_row(&row)).transpose()
    }

    /// An event with the size of its chart: one consistent read.
    pub async fn find_sized_event(&self, event_id: &EventId) -> Result<Option<SizedEvent>, Error> {
        const SQL: &str = concat!(
            "-- find_sized_event\nSELECT ",
            event_columns!(),
            ", revision, epoch,
                (SELECT count(*) FROM seats s WHERE s.event_id = e.event_id),
                ARRAY(SELECT capacity FROM areas a WHERE a.event_id = e.event_id
                      ORDER BY area_index)
            FROM events e WHERE event_id = $1"
        );
        let Some(row) = self.query_opt(SQL, &[&event_id.as_str()]).await? else {
            return Ok(None);
        };
        Ok(Some(SizedEvent {
            stored: stored_event_from_row(&row)?,
            seat_count: usize::try_from(row.get::<_, i64>(AFTER_STORED)).map_err(Error::corrupt)?,
            capacities: row.get::<_, Vec<i32>>(AFTER_STORED + 1).into_iter().map(to_u32).collect(),
        }))
    }

    /// A page of all events but the drafts, by start time, then id.
    pub async fn list_events(&self, paging: &Paging) -> Result<Vec<Event>, Error> {
        const SQL: &str = concat!(
            "-- list_events\nSELECT ",
            event_columns!(),
            " FROM events
            WHERE state <> 'DRAFT' AND (start_time, event_id) > ($1, $2)
            ORDER BY start_time, event_id LIMIT $3"
        );
        // Before all events there is: the earliest time, and the empty id.
        let (after_time, after_id) = match &paging.after {
            Some((time, event_id)) => (*time, event_id.as_str()),
            None => (OffsetDateTime::UNIX_EPOCH - EARLIEST, ""),
        };
        let page_size = i64::from(paging.page_size);
        let rows = self.query(SQL, &[&after_time, &after_id, &page_size]).await?;
        rows.iter().map(event_from_row).collect()
    }

    /// Events on sale that were made or changed within so long, the latest first, and their
    /// revisions.
    pub async fn lately_on_sale(
        &self,
        window: Duration,
        most: i64,
    ) -> Result<Vec<(EventId, u64)>, Error> {
        const SQL: &str = "-- lately_on_sale
            SELECT event_id, revision FROM events
            WHERE state = 'ON_SALE' AND update_time > now() - $1 * interval '1 second'
            ORDER BY update_time DESC LIMIT $2";
        let rows = self.query(SQL, &[&window.as_secs_f64(), &most]).await?;
        rows.iter().map(|row| Ok((parse(row.get(0))?, unsigned(row.get(1))?))).collect()
    }

    /// The events before whose sale a queue stands, [`MAX_ACTIVE_EVENTS`] at most.
    pub async fn waiting_rooms(&self) -> Result<Vec<EventId>, Error> {
        const SQL: &str = "-- waiting_rooms
            SELECT event_id FROM events
            WHERE waiting_room <> 'OFF'
                AND (state <> 'CLOSED' OR update_time > now() - $1 * interval '1 second')
            ORDER BY update_time DESC LIMIT $2";
        let kept = CLOSED_EVENT_KEPT.as_secs_f64();
        let rows = self.query(SQL, &[&kept, &MAX_ACTIVE_EVENTS]).await?;
        rows.iter().map(|row| parse(row.get(0))).collect()
    }

    /// The events that the jobs look after: all that can still have holds, those
    /// that changed last first, [`MAX_ACTIVE_EVENTS`] at most.
    pub async fn active_events(&self) -> Result<Vec<ActiveEvent>, Error> {
        const SQL: &str = "-- active_events
            SELECT e.event_id, e.epoch, c.epoch, c.seq
            FROM events e JOIN journal_cursors c USING (event_id)
            WHERE e.state NOT IN ('DRAFT', 'CLOSED')
                OR e.update_time > now() - $1 * interval '1 second'
            ORDER BY e.update_time DESC LIMIT $2";
        let kept = CLOSED_EVENT_KEPT.as_secs_f64();
        let rows = self.query(SQL, &[&kept, &MAX_ACTIVE_EVENTS]).await?;
        rows.iter()
            .map(|row| {
                Ok(ActiveEvent {
                    event_id: parse(row.get(0))?,
                    epoch: Epoch(unsigned(row.get(1))?),
                    journaled: position(row, 2)?,
                })
            })
            .collect()
    }
}

/// Some 1,970 years: before the earliest start time that the contract takes.
const EARLIEST: Duration = Duration::from_secs(62_200_000_000);

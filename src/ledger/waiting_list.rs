//! Waiting lists: who is on them, and in which order.

use scoped_futures::ScopedFutureExt;
use tokio_postgres::Row;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_i32, to_u32, unsigned},
    session::{Params, Tx},
};
use crate::domain::{
    AreaId, EventId, HoldId, HolderId, Party, PriceCategoryId, Refusal, SectionId, WaitingEntry,
    WaitingEntryId, WaitingState,
};
use crate::limits::{
    MAX_OPEN_ENTRIES_PER_HOLDER, MAX_WAITING_PER_EVENT, WAITING_LIST_FORGOTTEN, WAITING_LIST_KEPT,
};

/// What became of somebody who joins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Joined {
    /// On the list, now or by the same call before.
    Entry(WaitingEntry),
    /// The list is full.
    Full,
}

/// The columns that [`entry_from_row`] reads, of an entry `w`.
macro_rules! entry_columns {
    () => {
        "w.entry_id, w.event_id, w.holder_id, w.party_size, w.section_id, w.price_category_id, \
         w.area_id, w.state, CASE WHEN w.expire_time IS NOT NULL THEN w.hold_id END, \
         w.expire_time, w.create_time"
    };
}
pub(super) use entry_columns;

/// How many wait before an entry `w`.
macro_rules! ahead {
    () => {
        "CASE WHEN w.state <> 'WAITING' THEN 0 ELSE \
            (SELECT count(*) FROM waiting_list_entries a \
             WHERE a.event_id = w.event_id AND a.state = 'WAITING' AND a.place < w.place) END"
    };
}

impl Ledger {
    /// Enters a party at the end of a list; the same again finds it there.
    ///
    /// # Errors
    /// [`Refusal::EntryIdReused`], [`Refusal::TooManyEntries`].
    pub async fn join_waiting_list(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
        party: &Party,
    ) -> Result<Joined, Error> {
        // What one holder enters is counted by one call at a time; others do not wait.
        const TURN: &str = "-- join_waiting_list: turn
            SELECT pg_advisory_xact_lock(hashtextextended('waiting list ' || $1 || ' ' || $2, 0))";
        const LIST: &str = "-- join_waiting_list: list
            INSERT INTO waiting_lists (event_id) VALUES ($1) ON CONFLICT DO NOTHING";
        const JOIN: &str = "-- join_waiting_list
            WITH before AS MATERIALIZED (
                SELECT (SELECT count(*) FROM waiting_list_entries
                        WHERE event_id = $1 AND state = 'WAITING') AS waiting,
                    (SELECT count(*) FROM waiting_list_entries WHERE event_id = $1
                        AND holder_id = $3 AND state IN ('WAITING', 'OFFERED')) AS own
            ), joined AS (
                INSERT INTO waiting_list_entries (event_id, entry_id, holder_id, party_size,
                    section_id, price_category_id, area_id)
                SELECT $1, $2, $3, $4, $5, $6, $7 FROM before WHERE waiting < $8 AND own < $9
                ON CONFLICT (event_id, entry_id) DO NOTHING
            )
            SELECT waiting, own FROM before";
        self.run_tx(|tx| {
            async move {
                let (event, holder) = (event_id.as_str(), party.holder_id.as_str());
                tx.query(TURN, &[&event, &holder]).await?;
                if let Some(entry) = same_entry_in_tx(tx, event_id, entry_id, party).await? {
                    return Ok(Joined::Entry(entry));
                }
                tx.query(LIST, &[&event]).await?;
                let params: Params<'_> = &[
                    &event,
                    &entry_id.0,
                    &holder,
                    &to_i32(party.size),
                    &party.section_id.as_ref().map(SectionId::as_str),
                    &party.price_category_id.as_ref().map(PriceCategoryId::as_str),
                    &party.area_id.as_ref().map(AreaId::as_str),
                    &MAX_WAITING_PER_EVENT,
                    &MAX_OPEN_ENTRIES_PER_HOLDER,
                ];
                let before = tx.query(JOIN, params).await?;
                if let Some(entry) = same_entry_in_tx(tx, event_id, entry_id, party).await? {
                    return Ok(Joined::Entry(entry));
                }
                if before[0].get::<_, i64>(1) >= MAX_OPEN_ENTRIES_PER_HOLDER {
                    return Err(Refusal::TooManyEntries.into());
                }
                Ok(Joined::Full)
            }
            .scope_boxed()
        })
        .await
    }

    /// A holder's entry as it is now.
    pub async fn find_waiting_entry(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
        holder_id: &HolderId,
    ) -> Result<Option<WaitingEntry>, Error> {
        const SQL: &str = concat!(
            "-- find_waiting_entry\nSELECT ",
            entry_columns!(),
            ", ",
            ahead!(),
            " FROM waiting_list_entries w WHERE event_id = $1 AND entry_id = $2 AND holder_id = $3"
        );
        let params: Params<'_> = &[&event_id.as_str(), &entry_id.0, &holder_id.as_str()];
        let row = self.query_opt(SQL, params).await?;
        row.map(|row| entry_from_row(&row, Some(11))).transpose()
    }

    /// Entries of one event as they are now, in no order.
    pub async fn read_waiting_entries(
        &self,
        event_id: &EventId,
        entry_ids: &[WaitingEntryId],
    ) -> Result<Vec<WaitingEntry>, Error> {
        const SQL: &str = concat!(
            "-- read_waiting_entries
            WITH line AS (
                SELECT entry_id, row_number() OVER (ORDER BY place) - 1 AS ahead
                FROM waiting_list_entries WHERE event_id = $1 AND state = 'WAITING'
            )
            SELECT ",
            entry_columns!(),
            ", coalesce(ahead, 0) FROM waiting_list_entries w LEFT JOIN line USING (entry_id)
            WHERE w.event_id = $1 AND w.entry_id = ANY($2)"
        );
        let ids: Vec<Uuid> = entry_ids.iter().map(|id| id.0).collect();
        let rows = self.query(SQL, &[&event_id.as_str(), &ids]).await?;
        rows.iter().map(|row| entry_from_row(row, Some(11))).collect()
    }

    /// Takes a holder's entry off the list, unless it has ended. Of one that has an
    /// offer it only notes that it leaves: how its hold ends decides.
    pub async fn leave_waiting_list(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
        holder_id: &HolderId,
    ) -> Result<(), Error> {
        const SQL: &str = "-- leave_waiting_list
            UPDATE waiting_list_entries SET
                state = CASE state WHEN 'WAITING' THEN 'LEFT' ELSE state END,
                end_time = CASE state WHEN 'WAITING' THEN now() END,
                leaving = true
            WHERE event_id = $1 AND entry_id = $2 AND holder_id = $3
                AND state IN ('WAITING', 'OFFERED')";
        let params: Params<'_> = &[&event_id.as_str(), &entry_id.0, &holder_id.as_str()];
        self.query(SQL, params).await?;
        Ok(())
    }

    /// How many wait, and how many have an offer, of all events.
    pub async fn count_waiting(&self) -> Result<(i64, i64), Error> {
        const SQL: &str = "-- count_waiting
            SELECT (SELECT count(*) FROM waiting_list_entries WHERE state = 'WAITING'),
                (SELECT count(*) FROM waiting_list_entries WHERE state = 'OFFERED')";
        let rows = self.query(SQL, &[]).await?;
        Ok((rows[0].get(0), rows[0].get(1)))
    }

    /// Forgets entries that ended longer than [`WAITING_LIST_KEPT`] ago.
    pub async fn forget_waiting_entries(&self) -> Result<(), Error> {
        const END: &str = "-- forget_waiting_entries: of closed events
            UPDATE waiting_list_entries w SET state = 'LAPSED', end_time = now()
            FROM events e WHERE e.event_id = w.event_id AND e.state = 'CLOSED'
                AND w.state = 'WAITING' AND NOT w.in_doubt";
        const SQL: &str = "-- forget_waiting_entries
            DELETE FROM waiting_list_entries WHERE (event_id, entry_id) IN (
                SELECT event_id, entry_id FROM waiting_list_entries
                WHERE end_time < now() - $1 * interval '1 second' AND NOT in_doubt
                ORDER BY end_time LIMIT $2 FOR UPDATE SKIP LOCKED)";
        self.query(END, &[]).await?;
        self.query(SQL, &[&WAITING_LIST_KEPT.as_secs_f64(), &WAITING_LIST_FORGOTTEN]).await?;
        Ok(())
    }
}

/// The entry that the same call made before, if one did.
async fn same_entry_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    entry_id: WaitingEntryId,
    party: &Party,
) -> Result<Option<WaitingEntry>, Error> {
    const SQL: &str = concat!(
        "-- same_entry\nSELECT ",
        entry_columns!(),
        ", ",
        ahead!(),
        " FROM waiting_list_entries w WHERE event_id = $1 AND entry_id = $2"
    );
    let Some(row) = tx.query_opt(SQL, &[&event_id.as_str(), &entry_id.0]).await? else {
        return Ok(None);
    };
    let entry = entry_from_row(&row, Some(11))?;
    match entry.party == *party {
        true => Ok(Some(entry)),
        false => Err(Refusal::EntryIdReused(entry_id).into()),
    }
}

/// An entry from [`entry_columns`], and how many wait before it, where that was asked.
pub(super) fn entry_from_row(row: &Row, ahead: Option<usize>) -> Result<WaitingEntry, Error> {
    let state = row.get(7);
    Ok(WaitingEntry {
        entry_id: WaitingEntryId(row.get(0)),
        event_id: parse(row.get(1))?,
        party: Party {
            holder_id: parse(row.get(2))?,
            size: to_u32(row.get(3)),
            section_id: row.get::<_, Option<&str>>(4).map(parse).transpose()?,
            price_category_id: row.get::<_, Option<&str>>(5).map(parse).transpose()?,
            area_id: row.get::<_, Option<&str>>(6).map(parse).transpose()?,
        },
        state: WaitingState::from_name(state)
            .ok_or_else(|| Error::Corrupt(format!("waiting list state {state}")))?,
        ahead: ahead.map_or(Ok(0), |at| unsigned(row.get(at)))?,
        hold_id: row.get::<_, Option<Uuid>>(8).map(HoldId),
        expire_time: row.get(9),
        create_time: row.get(10),
    })
}

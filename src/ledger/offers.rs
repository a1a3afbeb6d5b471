//! Offers to who is on a waiting list: begun, made, and how they end.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, to_i64, unsigned},
    session::Params,
    waiting_list::{entry_columns, entry_from_row},
};
use crate::domain::{Epoch, EventId, HoldId, HolderId, WaitingEntry, WaitingEntryId};
use crate::limits::{
    MAX_WAITING_LISTS, MAX_WAITING_PER_EVENT, OFFER_IN_DOUBT, OFFER_RETRY, WAITING_LIST_LEASE,
};

/// A list whose offers this server makes for [`WAITING_LIST_LEASE`].
#[derive(Debug, Clone)]
pub struct ClaimedList {
    pub event_id: EventId,
    /// How long an offer of it is good.
    pub offer_ttl: Duration,
    /// Of the event.
    pub revision: u64,
    /// Whether anybody can be offered anything.
    pub is_waited: bool,
    /// Whether there is anything to do at all.
    pub is_open: bool,
}

/// The hold of an entry that somebody must look at.
#[derive(Debug, Clone)]
pub struct LooseOffer {
    pub entry_id: WaitingEntryId,
    pub holder_id: HolderId,
    pub hold_id: HoldId,
    /// Nobody wants it any more.
    pub leaving: bool,
    /// It was begun, and nobody knows whether it was made.
    pub in_doubt: bool,
    /// So long ago that it never will be, if it is not there.
    pub is_old: bool,
}

/// An offer that was made.
#[derive(Debug, Clone)]
pub struct MadeOffer {
    pub entry_id: WaitingEntryId,
    pub expire_time: OffsetDateTime,
}

/// How many offers ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OfferEnds {
    pub fulfilled: u64,
    pub lapsed: u64,
    pub left: u64,
}

impl Ledger {
    /// Claims the lists that have something to do, or goes on with them; each is one
    /// server's at a time.
    pub async fn claim_waiting_lists(&self, worker: Uuid) -> Result<Vec<ClaimedList>, Error> {
        const SQL: &str = "-- claim_waiting_lists
            WITH open AS MATERIALIZED (
                SELECT c.event_id, least(e.offer_ttl_ms, e.max_hold_ms) AS ttl_ms, e.revision,
                    e.state = 'ON_SALE' AND waiting AS is_waited, is_offered
                FROM waiting_lists c JOIN events e USING (event_id)
                    CROSS JOIN LATERAL (SELECT
                        EXISTS (SELECT FROM waiting_list_entries w
                            WHERE w.event_id = c.event_id AND w.state = 'WAITING') AS waiting,
                        EXISTS (SELECT FROM waiting_list_entries w
                            WHERE w.event_id = c.event_id AND w.state = 'OFFERED')
                        OR EXISTS (SELECT FROM waiting_list_entries w
                            WHERE w.event_id = c.event_id AND w.in_doubt) AS is_offered) now
                WHERE (c.worker = $1 OR c.lease_until < now())
                    AND (e.state = 'ON_SALE' AND waiting OR is_offered OR c.lease_until > now())
                ORDER BY event_id LIMIT $3 FOR NO KEY UPDATE OF c SKIP LOCKED
            )
            UPDATE waiting_lists l SET worker = $1, lease_until = CASE
                WHEN is_waited OR is_offered THEN now() + $2 * interval '1 second'
                ELSE '-infinity' END
            FROM open WHERE l.event_id = open.event_id
            RETURNING l.event_id, ttl_ms, is_waited, is_waited OR is_offered, revision";
        let params: Params<'_> = &[&worker, &WAITING_LIST_LEASE.as_secs_f64(), &MAX_WAITING_LISTS];
        let rows = self.query(SQL, params).await?;
        rows.iter()
            .map(|row| {
                let ttl_ms = u64::try_from(row.get::<_, i64>(1)).map_err(Error::corrupt)?;
                Ok(ClaimedList {
                    event_id: parse(row.get(0))?,
                    offer_ttl: Duration::from_millis(ttl_ms),
                    revision: unsigned(row.get(4))?,
                    is_waited: row.get(2),
                    is_open: row.get(3),
                })
            })
            .collect()
    }

    /// Leaves this server's lists to others.
    pub async fn give_up_waiting_lists(&self, worker: Uuid) -> Result<(), Error> {
        const SQL: &str = "-- give_up_waiting_lists
            UPDATE waiting_lists SET lease_until = '-infinity'
            WHERE worker = $1 AND lease_until > now()";
        self.query(SQL, &[&worker]).await?;
        Ok(())
    }

    /// Ends the offers whose holds have ended, and follows holds that were extended.
    pub async fn settle_offers(&self, event_ids: &[EventId]) -> Result<OfferEnds, Error> {
        const SQL: &str = "-- settle_offers
            WITH moved AS (
                UPDATE waiting_list_entries w SET expire_time = h.expire_time
                FROM holds h
                WHERE w.event_id = ANY($1) AND w.state = 'OFFERED' AND h.event_id = w.event_id
                    AND h.hold_id = w.hold_id AND h.expire_time <> w.expire_time
                    AND NOT EXISTS (SELECT FROM hold_outcomes o
                        WHERE o.event_id = w.event_id AND o.hold_id = w.hold_id)
            ), ended AS (
                UPDATE waiting_list_entries w SET end_time = now(),
                    state = CASE WHEN o.outcome = 'confirmed' THEN 'FULFILLED'
                        WHEN w.leaving THEN 'LEFT' ELSE 'LAPSED' END
                FROM hold_outcomes o
                WHERE w.event_id = ANY($1) AND w.state = 'OFFERED' AND o.event_id = w.event_id
                    AND o.hold_id = w.hold_id
                RETURNING w.state
            )
            SELECT count(*) FILTER (WHERE state = 'FULFILLED'),
                count(*) FILTER (WHERE state = 'LAPSED'), count(*) FILTER (WHERE state = 'LEFT')
            FROM ended";
        let ids: Vec<&str> = event_ids.iter().map(EventId::as_str).collect();
        let rows = self.query(SQL, &[&ids]).await?;
        let count = |at| u64::try_from(rows[0].get::<_, i64>(at)).unwrap_or_default();
        Ok(OfferEnds { fulfilled: count(0), lapsed: count(1), left: count(2) })
    }

    /// Offers of an event that a server has left half-way; those whose holds Redis may
    /// have lost with an epoch before this one; and those that should have ended.
    pub async fn find_loose_offers(
        &self,
        event_id: &EventId,
        epoch: Epoch,
    ) -> Result<Vec<LooseOffer>, Error> {
        const SQL: &str = "-- find_loose_offers
            SELECT entry_id, holder_id, hold_id, leaving, in_doubt,
                offer_time < now() - $3 * interval '1 second'
            FROM waiting_list_entries WHERE event_id = $1 AND in_doubt
            UNION ALL
            SELECT entry_id, holder_id, hold_id, leaving, in_doubt, true
            FROM waiting_list_entries WHERE event_id = $1 AND state = 'OFFERED'
                AND NOT in_doubt AND (epoch < $2 OR leaving
                    OR expire_time < now() - $3 * interval '1 second')";
        let params: Params<'_> =
            &[&event_id.as_str(), &to_i64(epoch.0), &OFFER_IN_DOUBT.as_secs_f64()];
        let rows = self.query(SQL, params).await?;
        rows.iter()
            .map(|row| {
                Ok(LooseOffer {
                    entry_id: WaitingEntryId(row.get(0)),
                    holder_id: parse(row.get(1))?,
                    hold_id: HoldId(row.get(2)),
                    leaving: row.get(3),
                    in_doubt: row.get(4),
                    is_old: row.get(5),
                })
            })
            .collect()
    }

    /// Those who wait and may be offered something, in order of joining.
    pub async fn read_waiting_line(&self, event_id: &EventId) -> Result<Vec<WaitingEntry>, Error> {
        const SQL: &str = concat!(
            "-- read_waiting_line\nSELECT ",
            entry_columns!(),
            " FROM waiting_list_entries w
            WHERE event_id = $1 AND state = 'WAITING' AND next_time <= now()
            ORDER BY place LIMIT $2"
        );
        let rows = self.query(SQL, &[&event_id.as_str(), &MAX_WAITING_PER_EVENT]).await?;
        rows.iter().map(|row| entry_from_row(row, None)).collect()
    }

    /// Notes that holds are about to be made for entries; answers which of these still
    /// wait. None, where another server makes the offers of this list by now.
    pub async fn begin_offers(
        &self,
        worker: Uuid,
        event_id: &EventId,
        offers: &[(WaitingEntryId, HoldId)],
    ) -> Result<Vec<WaitingEntryId>, Error> {
        const SQL: &str = "-- begin_offers
            WITH mine AS (
                UPDATE waiting_lists SET lease_until = now() + $5 * interval '1 second'
                WHERE event_id = $1 AND worker = $2 RETURNING event_id
            )
            UPDATE waiting_list_entries w
            SET hold_id = o.hold_id, offer_time = now(), in_doubt = true
            FROM mine, unnest($3::uuid[], $4::uuid[]) AS o (entry_id, hold_id)
            WHERE w.event_id = mine.event_id AND w.entry_id = o.entry_id AND w.state = 'WAITING'
            RETURNING w.entry_id";
        let (entries, holds): (Vec<Uuid>, Vec<Uuid>) =
            offers.iter().map(|(entry_id, hold_id)| (entry_id.0, hold_id.0)).unzip();
        let params: Params<'_> =
            &[&event_id.as_str(), &worker, &entries, &holds, &WAITING_LIST_LEASE.as_secs_f64()];
        let rows = self.query(SQL, params).await?;
        Ok(rows.iter().map(|row| WaitingEntryId(row.get(0))).collect())
    }

    /// Notes holds that were made, of entries that still wait; answers which ones.
    pub async fn make_offers(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        made: &[MadeOffer],
    ) -> Result<Vec<WaitingEntryId>, Error> {
        const SQL: &str = "-- make_offers
            UPDATE waiting_list_entries w
            SET state = 'OFFERED', in_doubt = false, expire_time = m.expire_time, epoch = $2
            FROM unnest($3::uuid[], $4::timestamptz[]) AS m (entry_id, expire_time)
            WHERE w.event_id = $1 AND w.entry_id = m.entry_id AND w.state = 'WAITING'
            RETURNING w.entry_id";
        let (entries, times): (Vec<Uuid>, Vec<OffsetDateTime>) =
            made.iter().map(|made| (made.entry_id.0, made.expire_time)).unzip();
        let params: Params<'_> = &[&event_id.as_str(), &to_i64(epoch.0), &entries, &times];
        let rows = self.query(SQL, params).await?;
        Ok(rows.iter().map(|row| WaitingEntryId(row.get(0))).collect())
    }

    /// Notes that holds were not made, or are no more; those that are `later` are passed
    /// over for [`OFFER_RETRY`].
    pub async fn drop_offers(
        &self,
        event_id: &EventId,
        dropped: &[(WaitingEntryId, bool)],
    ) -> Result<(), Error> {
        const SQL: &str = "-- drop_offers
            UPDATE waiting_list_entries w SET in_doubt = false,
                next_time = CASE WHEN d.later THEN now() + $4 * interval '1 second'
                    ELSE w.next_time END
            FROM unnest($2::uuid[], $3::bool[]) AS d (entry_id, later)
            WHERE w.event_id = $1 AND w.entry_id = d.entry_id AND w.in_doubt";
        let (entries, later): (Vec<Uuid>, Vec<bool>) =
            dropped.iter().map(|(entry_id, later)| (entry_id.0, *later)).unzip();
        let params: Params<'_> =
            &[&event_id.as_str(), &entries, &later, &OFFER_RETRY.as_secs_f64()];
        self.query(SQL, params).await?;
        Ok(())
    }

    /// Notes that the hold of an offer was seen in this epoch, until when it is good.
    pub async fn see_offer(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
        epoch: Epoch,
    ) -> Result<(), Error> {
        const SQL: &str = "-- see_offer
            UPDATE waiting_list_entries SET epoch = $3
            WHERE event_id = $1 AND entry_id = $2 AND state = 'OFFERED'";
        self.query(SQL, &[&event_id.as_str(), &entry_id.0, &to_i64(epoch.0)]).await?;
        Ok(())
    }

    /// Ends an offer whose hold was lost with Redis before any journal had it.
    pub async fn lose_offer(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
    ) -> Result<bool, Error> {
        const SQL: &str = "-- lose_offer
            UPDATE waiting_list_entries SET end_time = now(),
                state = CASE WHEN leaving THEN 'LEFT' ELSE 'LAPSED' END
            WHERE event_id = $1 AND entry_id = $2 AND state = 'OFFERED' RETURNING entry_id";
        Ok(!self.query(SQL, &[&event_id.as_str(), &entry_id.0]).await?.is_empty())
    }

    /// The hold that an entry has, or may have: to be released where it leaves.
    pub async fn find_offered_hold(
        &self,
        event_id: &EventId,
        entry_id: WaitingEntryId,
    ) -> Result<Option<HoldId>, Error> {
        const SQL: &str = "-- find_offered_hold
            SELECT hold_id FROM waiting_list_entries WHERE event_id = $1 AND entry_id = $2
                AND (state = 'OFFERED' OR in_doubt)";
        let row = self.query_opt(SQL, &[&event_id.as_str(), &entry_id.0]).await?;
        Ok(row.and_then(|row| row.get::<_, Option<Uuid>>(0)).map(HoldId))
    }
}

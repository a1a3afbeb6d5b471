//! The sale: one statement, one transaction.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{to_i32, to_i64},
};
use crate::domain::{
    AreaHolding, AreaIndex, Epoch, EventId, HoldId, HoldRecord, Micros, Money, OrderId,
    PaymentReference, SeatIndex, TicketId,
};
use crate::limits::OUTBOX_LEASE;

/// All that one sale writes. Seats first, then areas, each ascending, so that
/// two sales take their locks in one order.
#[derive(Debug, Clone)]
pub struct Sale<'a> {
    pub event_id: &'a EventId,
    pub epoch: Epoch,
    pub hold_id: HoldId,
    /// The hold as it is when it is sold.
    pub hold: &'a HoldRecord,
    pub order_id: OrderId,
    pub payment_reference: &'a PaymentReference,
    pub total: Money,
    pub tickets: Vec<SaleTicket>,
}

/// One ticket of a sale.
#[derive(Debug, Clone, Copy)]
pub struct SaleTicket {
    pub ticket_id: TicketId,
    pub place: Result<SeatIndex, AreaIndex>,
    pub price: Micros,
}

/// What became of a sale.
#[derive(Debug, Clone, Copy)]
pub enum SaleVerdict {
    /// Committed.
    Sold { create_time: OffsetDateTime, outbox_id: i64 },
    /// Nothing was changed: the hold had ended before; its outcome tells how.
    Decided,
    /// Nothing was changed: the event is not in this epoch any more.
    Fenced,
}

/// The statement of [`Ledger::confirm`]; public for benchmarks that run the same
/// by another client.
pub const CONFIRM: &str = "-- confirm
    WITH fence AS MATERIALIZED (
        SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
    ), verdict AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome, order_id)
        SELECT $3, $1, 'confirmed', $4 FROM fence
        ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING order_id
    ), sale AS (
        INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
            total_micros, payment_reference, pay_time)
        SELECT order_id, $1, $3, $5, 'PAID', $6, $7, $8, now() FROM verdict
        RETURNING order_id, create_time
    ), issued AS (
        INSERT INTO tickets
            (ticket_id, order_id, event_id, seat_index, area_index, price_micros)
        SELECT ticket_id, order_id, $1, seat_index, area_index, price
        FROM sale, unnest($9::uuid[], $10::int[], $11::int[], $12::int8[])
            WITH ORDINALITY AS t (ticket_id, seat_index, area_index, price, n)
        ORDER BY n
    ), locked AS MATERIALIZED (
        SELECT area_index, t.quantity
        FROM sale, areas JOIN unnest($13::int[], $14::int[]) AS t (area_index, quantity)
            USING (area_index)
        WHERE event_id = $1 ORDER BY area_index FOR NO KEY UPDATE OF areas
    ), counted AS (
        UPDATE areas SET sold = sold + locked.quantity FROM locked
        WHERE areas.event_id = $1 AND areas.area_index = locked.area_index
    ), journaled AS (
        INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT $3, $1, $5, $16, to_timestamp($17::int8 / 1e3), to_timestamp($18::int8 / 1e3),
            array_remove($10::int[], NULL), $13, $14, $19::int[], $2, $20 FROM sale
        ON CONFLICT (event_id, hold_id) DO UPDATE SET expire_time = excluded.expire_time,
            seat_indexes = excluded.seat_indexes, area_indexes = excluded.area_indexes,
            area_quantities = excluded.area_quantities, epoch = excluded.epoch,
            seq = excluded.seq
        WHERE holds.fingerprint = excluded.fingerprint
            AND (holds.epoch, holds.seq) < (excluded.epoch, excluded.seq)
    ), noted AS (
        INSERT INTO outbox (kind, event_id, hold_id, lease_until)
        SELECT 'sold', $1, $3, now() + $15 * interval '1 second' FROM sale
        RETURNING outbox_id
    )
    SELECT (SELECT count(*) FROM fence), (SELECT create_time FROM sale),
        (SELECT outbox_id FROM noted)";

impl Ledger {
    /// Sells all or nothing. The outcome row is inserted before anything else:
    /// where another attempt has it under way, this one waits for its end. The
    /// hold is journaled, if it is not yet: Redis may be lost before the journal
    /// has heard of it, and its sale must be found by it.
    ///
    /// # Errors
    /// [`Error::Constraint`] where a seat or an area's last unit is sold
    /// already, or the payment paid for another hold; [`Error::Unknown`] where
    /// it may have been committed: the same sale again tells.
    pub async fn confirm(&self, sale: &Sale<'_>) -> Result<SaleVerdict, Error> {
        let tickets = &sale.tickets;
        let ticket_ids: Vec<Uuid> = tickets.iter().map(|ticket| ticket.ticket_id.0).collect();
        let seats: Vec<_> =
            tickets.iter().map(|t| t.place.ok().map(|seat| to_i32(seat.0))).collect();
        let areas: Vec<_> =
            tickets.iter().map(|t| t.place.err().map(|area| to_i32(area.0))).collect();
        let prices: Vec<_> = tickets.iter().map(|ticket| ticket.price).collect();
        let hold = sale.hold;
        let of_areas = |of: fn(&AreaHolding) -> u32| -> Vec<i32> {
            hold.areas.iter().map(|part| to_i32(of(part))).collect()
        };
        let rows = self
            .query(
                CONFIRM,
                &[
                    &sale.event_id.as_str(),
                    &to_i64(sale.epoch.0),
                    &sale.hold_id.0,
                    &sale.order_id.0,
                    &hold.holder_id.as_str(),
                    &sale.total.currency.to_string(),
                    &sale.total.micros,
                    &sale.payment_reference.as_str(),
                    &ticket_ids,
                    &seats,
                    &areas,
                    &prices,
                    &of_areas(|part| part.area.0),
                    &of_areas(|part| part.quantity),
                    &OUTBOX_LEASE.as_secs_f64(),
                    &hold.fingerprint,
                    &hold.created_ms,
                    &hold.expires_ms,
                    &of_areas(|part| part.at_first),
                    &to_i64(hold.seq),
                ],
            )
            .await?;
        let row = &rows[0];
        let sold = row.get::<_, Option<_>>(1).zip(row.get::<_, Option<_>>(2));
        Ok(match (row.get::<_, i64>(0), sold) {
            (_, Some((create_time, outbox_id))) => SaleVerdict::Sold { create_time, outbox_id },
            (0, None) => SaleVerdict::Fenced,
            (_, None) => SaleVerdict::Decided,
        })
    }
}

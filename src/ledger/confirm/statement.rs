//! What sells, in SQL: any sales, or in less work those that most of them are.

use crate::ledger::columns::move_hold_on;

/// The statement of any sales, with what the fence does where an event is locked.
///
/// Its plan is kept by each session, from when the tables were small, perhaps: so what
/// it looks for in them it looks for row by row, where an index is the way at any size.
macro_rules! confirm {
    ($where_locked:literal) => {
        concat!(
            "-- confirm
    WITH asked AS MATERIALIZED (
        SELECT * FROM unnest($1::text[], $2::int8[], $3::uuid[], $4::uuid[], $5::text[],
            $6::text[], $7::int8[], $8::text[], $9::text[], $10::int8[], $11::int8[],
            $12::int8[], $13::text[], $14::text[], $15::text[], $16::text[])
            WITH ORDINALITY AS a (event_id, epoch, hold_id, order_id, holder_id, currency,
                total, payment_reference, fingerprint, created_ms, expires_ms, seq, seats,
                areas, quantities, at_first, n)
    ), fence AS MATERIALIZED (
        SELECT event_id, epoch FROM events WHERE event_id = ANY($1)
        ORDER BY event_id FOR SHARE",
            $where_locked,
            "
    ), waiting AS MATERIALIZED (
        SELECT o.* FROM (SELECT order_id FROM asked ORDER BY order_id) a
            CROSS JOIN LATERAL (
                SELECT order_id, hold_id AS made_of, state = 'PENDING'
                    OR (state = 'CANCELLED' AND cancelled_by IS NULL) AS is_payable
                FROM orders WHERE order_id = a.order_id FOR UPDATE) o
    ), verdict AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome, order_id)
        SELECT hold_id, event_id, 'confirmed', order_id
        FROM asked JOIN fence USING (event_id, epoch) LEFT JOIN waiting USING (order_id)
        WHERE is_payable IS NOT FALSE AND order_id = coalesce((
            SELECT o.order_id FROM orders o WHERE o.event_id = asked.event_id
                AND o.hold_id = asked.hold_id), order_id)
        ORDER BY n
        ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING order_id
    ), made AS (
        INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
            total_micros, payment_reference, pay_time)
        SELECT order_id, event_id, hold_id, holder_id, 'PAID', currency, total,
            payment_reference, now()
        FROM asked JOIN verdict USING (order_id)
        WHERE order_id NOT IN (SELECT order_id FROM waiting) ORDER BY n
        RETURNING order_id, create_time
    ), paid AS (
        UPDATE orders SET state = 'PAID', hold_id = asked.hold_id, pay_time = now(),
            payment_reference = asked.payment_reference, cancel_time = NULL
        FROM asked JOIN verdict USING (order_id) JOIN waiting USING (order_id)
        WHERE orders.order_id = asked.order_id
        RETURNING orders.order_id, create_time, made_of
    ), former AS (
        INSERT INTO former_holds (event_id, hold_id, order_id)
        SELECT event_id, made_of, order_id FROM asked JOIN paid USING (order_id)
        WHERE made_of <> hold_id
    ), sale AS (
        SELECT order_id, create_time FROM made
        UNION ALL SELECT order_id, create_time FROM paid
    ), told AS (
        INSERT INTO order_events (kind, event_id, order_id)
        SELECT 'ORDER_PAID', event_id, order_id FROM asked JOIN sale USING (order_id)
        ORDER BY n
    ), issued AS (
        INSERT INTO tickets
            (ticket_id, order_id, event_id, seat_index, area_index, price_micros)
        SELECT ticket_id, order_id, event_id, seat_index, area_index, price
        FROM sale JOIN unnest($17::uuid[], $18::uuid[], $19::text[], $20::int[], $21::int[],
            $22::int8[]) WITH ORDINALITY
            AS t (order_id, ticket_id, event_id, seat_index, area_index, price, n)
            USING (order_id)
        ORDER BY n
    ), wanted AS (
        SELECT event_id, area_index, count(*)::int AS quantity
        FROM sale JOIN unnest($17::uuid[], $19::text[], $21::int[])
            AS t (order_id, event_id, area_index) USING (order_id)
        WHERE area_index IS NOT NULL GROUP BY event_id, area_index
    ), locked AS MATERIALIZED (
        SELECT event_id, area_index, quantity
        FROM wanted JOIN areas USING (event_id, area_index)
        ORDER BY event_id, area_index FOR NO KEY UPDATE OF areas
    ), counted AS (
        UPDATE areas SET sold = sold + locked.quantity FROM locked
        WHERE areas.event_id = locked.event_id AND areas.area_index = locked.area_index
    ), journaled AS (
        INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT hold_id, event_id, holder_id, fingerprint, to_timestamp(created_ms / 1e3),
            to_timestamp(expires_ms / 1e3), seats::int[], areas::int[], quantities::int[],
            at_first::int[], epoch, seq
        FROM asked JOIN sale USING (order_id)
        WHERE NOT EXISTS (
            SELECT FROM holds h WHERE h.event_id = asked.event_id
                AND h.hold_id = asked.hold_id AND (h.epoch, h.seq) >= (asked.epoch, asked.seq))
        ORDER BY n
        ",
            move_hold_on!(),
            "
    ), noted AS (
        INSERT INTO outbox (kind, event_id, hold_id, lease_until)
        SELECT 'sold', event_id, hold_id, now() + $23 * interval '1 second'
        FROM asked JOIN sale USING (order_id)
        RETURNING event_id, hold_id, outbox_id
    )
    SELECT fence.epoch IS NOT NULL, create_time, now(), outbox_id
    FROM asked LEFT JOIN fence USING (event_id, epoch) LEFT JOIN sale USING (order_id)
        LEFT JOIN noted USING (event_id, hold_id)
    ORDER BY n"
        )
    };
}

/// The statement of sales that make their orders, of seats alone: without what is looked
/// up and joined for orders that wait, and for areas, it takes up to a quarter less time.
macro_rules! confirm_new {
    ($where_locked:literal) => {
        concat!(
            "-- confirm_new
    WITH fence AS MATERIALIZED (
        SELECT event_id, epoch FROM events WHERE event_id = ANY($1)
        ORDER BY event_id FOR SHARE",
            $where_locked,
            "
    ), asked AS MATERIALIZED (
        SELECT a.*, fence.epoch IS NOT NULL AS stands
        FROM unnest($1::text[], $2::int8[], $3::uuid[], $4::uuid[], $5::text[],
            $6::text[], $7::int8[], $8::text[], $9::text[], $10::int8[], $11::int8[],
            $12::int8[], $13::text[])
            WITH ORDINALITY AS a (event_id, epoch, hold_id, order_id, holder_id, currency,
                total, payment_reference, fingerprint, created_ms, expires_ms, seq, seats, n)
            LEFT JOIN fence USING (event_id, epoch)
    ), verdict AS (
        INSERT INTO hold_outcomes (hold_id, event_id, outcome, order_id)
        SELECT hold_id, event_id, 'confirmed', order_id FROM asked
        WHERE stands AND (SELECT o.order_id FROM orders o WHERE o.event_id = asked.event_id
            AND o.hold_id = asked.hold_id) IS NULL
        ORDER BY n
        ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING order_id
    ), made AS (
        INSERT INTO orders (order_id, event_id, hold_id, holder_id, state, currency,
            total_micros, payment_reference, pay_time)
        SELECT order_id, event_id, hold_id, holder_id, 'PAID', currency, total,
            payment_reference, now()
        FROM asked JOIN verdict USING (order_id) ORDER BY n
        RETURNING order_id, event_id, hold_id, create_time
    ), told AS (
        INSERT INTO order_events (kind, event_id, order_id)
        SELECT 'ORDER_PAID', event_id, order_id FROM made
    ), issued AS (
        INSERT INTO tickets (ticket_id, order_id, event_id, seat_index, price_micros)
        SELECT ticket_id, order_id, event_id, seat_index, price
        FROM made JOIN unnest($14::uuid[], $15::uuid[], $16::int[], $17::int8[]) WITH ORDINALITY
            AS t (order_id, ticket_id, seat_index, price, n) USING (order_id)
        ORDER BY n
    ), journaled AS (
        INSERT INTO holds (hold_id, event_id, holder_id, fingerprint, create_time,
            expire_time, seat_indexes, area_indexes, area_quantities, area_at_first,
            epoch, seq)
        SELECT hold_id, event_id, holder_id, fingerprint, to_timestamp(created_ms / 1e3),
            to_timestamp(expires_ms / 1e3), seats::int[], '{}', '{}', '{}', epoch, seq
        FROM asked JOIN made USING (order_id, event_id, hold_id)
        WHERE NOT EXISTS (
            SELECT FROM holds h WHERE h.event_id = asked.event_id
                AND h.hold_id = asked.hold_id AND (h.epoch, h.seq) >= (asked.epoch, asked.seq))
        ORDER BY n
        ",
            move_hold_on!(),
            "
    ), noted AS (
        INSERT INTO outbox (kind, event_id, hold_id, lease_until)
        SELECT 'sold', event_id, hold_id, now() + $18 * interval '1 second' FROM made
        RETURNING event_id, hold_id, outbox_id
    )
    SELECT stands, create_time, now(), outbox_id
    FROM asked LEFT JOIN made USING (order_id, event_id, hold_id)
        LEFT JOIN noted USING (event_id, hold_id)
    ORDER BY n"
        )
    };
}

/// For a sale that is made alone. It waits for an event that is built anew.
pub(super) const CONFIRM: &str = confirm!("");

/// For all that are asked for. What has to wait is left out: the others shall not wait
/// with it.
pub(super) const CONFIRM_TOGETHER: &str = confirm!(" SKIP LOCKED");

/// As `CONFIRM`; public for benchmarks that run the same by another client.
pub const CONFIRM_NEW: &str = confirm_new!("");

pub(super) const CONFIRM_NEW_TOGETHER: &str = confirm_new!(" SKIP LOCKED");

//! The record of what operators did to holds.

use tokio_postgres::Row;

use super::{
    Error, Ledger,
    columns::{parse, to_i64},
    session::Params,
};
use crate::domain::{
    Deed, Epoch, EventId, HoldId, HolderId, Operator, OperatorAction, OrderId, PastOperatorAction,
};
use crate::limits::OUTBOX_LEASE;
use crate::telemetry;

/// What became of a hold that an operator releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForcedRelease {
    /// Released, and on record. By this outbox row Redis hears of it.
    Released { outbox_id: i64 },
    /// Nothing was changed: it had ended before, its outcome tells how.
    Ended,
    /// Nothing was changed: this order of it waits for its payment.
    Ordered(OrderId),
    /// Nothing was changed: the event is not in this epoch any more.
    Fenced,
}

impl Ledger {
    /// Releases a hold and puts that on record, both or none. Whose it was is what the
    /// journal says, if it has the hold: the caller may have looked before it changed hands.
    pub async fn force_release(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        action: &OperatorAction,
    ) -> Result<ForcedRelease, Error> {
        const SQL: &str = "-- force_release
            WITH fence AS MATERIALIZED (
                SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
            ), ordered AS MATERIALIZED (
                SELECT order_id FROM orders
                WHERE event_id = $1 AND hold_id = $3 AND state = 'PENDING'
            ), inserted AS (
                INSERT INTO hold_outcomes (hold_id, event_id, outcome)
                SELECT $3, $1, 'released' FROM fence WHERE NOT EXISTS (SELECT FROM ordered)
                ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING hold_id
            ), recorded AS (
                INSERT INTO operator_actions
                    (event_id, kind, hold_id, holder_id, actor, reason, caller, done_time)
                SELECT $1, 'RELEASE', hold_id, coalesce((SELECT h.holder_id FROM holds h
                    WHERE h.event_id = $1 AND h.hold_id = $3), $4), $5, $6, $7, now()
                FROM inserted
            ), noted AS (
                INSERT INTO outbox (kind, event_id, hold_id, lease_until)
                SELECT 'ended', $1, hold_id, now() + $8 * interval '1 second' FROM inserted
                RETURNING outbox_id
            )
            SELECT (SELECT count(*) FROM fence), (SELECT outbox_id FROM noted),
                (SELECT order_id FROM ordered)";
        let OperatorAction { hold_id, holder_id, by, .. } = action;
        let lease = OUTBOX_LEASE.as_secs_f64();
        let (epoch, holder_id) = (to_i64(epoch.0), holder_id.as_str());
        let params: Params<'_> = &[
            &event_id.as_str(),
            &epoch,
            &hold_id.0,
            &holder_id,
            &by.actor,
            &by.reason,
            &by.caller,
            &lease,
        ];
        let rows = self.query(SQL, params).await?;
        let row = &rows[0];
        Ok(match (row.get::<_, i64>(0), row.get(1), row.get::<_, Option<_>>(2)) {
            (0, ..) => ForcedRelease::Fenced,
            (_, Some(outbox_id), _) => {
                telemetry::holds_ended("released", 1);
                ForcedRelease::Released { outbox_id }
            }
            (_, None, Some(order_id)) => ForcedRelease::Ordered(OrderId(order_id)),
            (_, None, None) => ForcedRelease::Ended,
        })
    }

    /// Puts an action on record that is about to be done; answers its number.
    pub async fn note_operator_action(
        &self,
        event_id: &EventId,
        action: &OperatorAction,
    ) -> Result<i64, Error> {
        const SQL: &str = "-- note_operator_action
            INSERT INTO operator_actions (event_id, kind, hold_id, holder_id, new_holder_id,
                expire_time, actor, reason, caller)
            VALUES ($1, $2, $3, $4, $5, to_timestamp($6::int8 / 1e3), $7, $8, $9)
            RETURNING operator_action_id";
        let OperatorAction { deed, hold_id, holder_id, by } = action;
        let (to, expires_ms) = match deed {
            Deed::Release => (None, None),
            Deed::Extend { expires_ms } => (None, Some(*expires_ms)),
            Deed::Reassign { to } => (Some(to.as_str()), None),
        };
        let params: Params<'_> = &[
            &event_id.as_str(),
            &deed.name(),
            &hold_id.0,
            &holder_id.as_str(),
            &to,
            &expires_ms,
            &by.actor,
            &by.reason,
            &by.caller,
        ];
        Ok(self.query(SQL, params).await?[0].get(0))
    }

    /// Notes that an action was done.
    pub async fn operator_action_done(&self, number: i64) -> Result<(), Error> {
        const SQL: &str = "-- operator_action_done
            UPDATE operator_actions SET done_time = now()
            WHERE operator_action_id = $1 AND done_time IS NULL";
        self.query(SQL, &[&number]).await.map(|_| ())
    }

    /// Notes that a hold is this holder's, for the latest action that was to give it to him
    /// and was not seen to its end; not where a later one gave it to anybody.
    pub async fn reassigned_before(
        &self,
        event_id: &EventId,
        hold_id: HoldId,
        to: &HolderId,
    ) -> Result<(), Error> {
        const SQL: &str = "-- reassigned_before
            UPDATE operator_actions SET done_time = now()
            WHERE done_time IS NULL AND operator_action_id = (
                SELECT max(operator_action_id) FROM operator_actions
                WHERE event_id = $1 AND hold_id = $2 AND kind = 'REASSIGN'
                    AND (done_time IS NOT NULL OR new_holder_id = $3)
            )";
        let params: Params<'_> = &[&event_id.as_str(), &hold_id.0, &to.as_str()];
        self.query(SQL, params).await.map(|_| ())
    }

    /// A page of an event's actions, the latest first: those with lower numbers than
    /// `before`.
    pub async fn list_operator_actions(
        &self,
        event_id: &EventId,
        before: Option<i64>,
        page_size: u32,
    ) -> Result<Vec<PastOperatorAction>, Error> {
        const SQL: &str = "-- list_operator_actions
            SELECT operator_action_id, kind, hold_id, holder_id, new_holder_id,
                round(extract(epoch FROM expire_time) * 1000)::int8, actor, reason, caller,
                create_time, done_time
            FROM operator_actions WHERE event_id = $1 AND operator_action_id < $2
            ORDER BY operator_action_id DESC LIMIT $3";
        let params: Params<'_> =
            &[&event_id.as_str(), &before.unwrap_or(i64::MAX), &i64::from(page_size)];
        self.query(SQL, params).await?.iter().map(action_from_row).collect()
    }
}

fn action_from_row(row: &Row) -> Result<PastOperatorAction, Error> {
    let deed = match (row.get(1), row.get::<_, Option<&str>>(4), row.get(5)) {
        ("RELEASE", None, None) => Deed::Release,
        ("EXTEND", None, Some(expires_ms)) => Deed::Extend { expires_ms },
        ("REASSIGN", Some(to), None) => Deed::Reassign { to: parse(to)? },
        (kind, ..) => return Err(Error::Corrupt(format!("operator action {kind}"))),
    };
    Ok(PastOperatorAction {
        number: row.get(0),
        action: OperatorAction {
            deed,
            hold_id: HoldId(row.get(2)),
            holder_id: parse(row.get(3))?,
            by: Operator { actor: row.get(6), reason: row.get(7), caller: row.get(8) },
        },
        create_time: row.get(9),
        done_time: row.get(10),
    })
}

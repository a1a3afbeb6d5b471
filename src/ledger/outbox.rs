//! What is still to be told to Redis after a commit.

use uuid::Uuid;

use super::{
    Error, Ledger,
    columns::{parse, unsigned},
    outcomes::{ended_columns, ended_from_row},
    session::Tx,
};
use crate::domain::{Ended, Epoch, EventId};
use crate::limits::{OUTBOX_BATCH, OUTBOX_KEPT, OUTBOX_LEASE};

/// A row that this server has claimed for [`OUTBOX_LEASE`].
#[derive(Debug, Clone)]
pub struct Task {
    pub outbox_id: i64,
    pub event_id: EventId,
    pub kind: TaskKind,
}

/// What Redis has not been told, as far as is known.
#[derive(Debug, Clone)]
pub enum TaskKind {
    /// The hold is sold, or ended otherwise.
    Ended(Ended),
    /// The event's revision moved on.
    Event,
    /// Places of a refund are on sale again, in this epoch.
    Returned { return_id: Uuid, epoch: Epoch },
}

impl Ledger {
    /// Claims rows that nobody works on, the oldest first; each claim answers
    /// a row to one server only.
    pub async fn claim_outbox(&self) -> Result<Vec<Task>, Error> {
        const SQL: &str = concat!(
            "-- claim_outbox
            WITH claimed AS (
                UPDATE outbox SET lease_until = now() + $1 * interval '1 second'
                WHERE outbox_id IN (
                    SELECT outbox_id FROM outbox WHERE done_at IS NULL AND lease_until < now()
                    ORDER BY outbox_id LIMIT $2 FOR UPDATE SKIP LOCKED)
                RETURNING outbox_id, event_id, hold_id, return_id, epoch
            )
            SELECT outbox_id, claimed.event_id, return_id, epoch, ",
            ended_columns!(),
            " FROM claimed LEFT JOIN hold_outcomes o USING (event_id, hold_id) ORDER BY outbox_id"
        );
        let rows = self.query(SQL, &[&OUTBOX_LEASE.as_secs_f64(), &OUTBOX_BATCH]).await?;
        rows.iter()
            .map(|row| {
                let returned = Option::zip(row.get(2), row.get::<_, Option<i64>>(3));
                let is_of_a_hold = row.get::<_, Option<Uuid>>(4).is_some();
                Ok(Task {
                    outbox_id: row.get(0),
                    event_id: parse(row.get(1))?,
                    kind: match returned {
                        Some((return_id, epoch)) => {
                            TaskKind::Returned { return_id, epoch: Epoch(unsigned(epoch)?) }
                        }
                        None if is_of_a_hold => TaskKind::Ended(ended_from_row(row, 4)?),
                        None => TaskKind::Event,
                    },
                })
            })
            .collect()
    }

    /// Marks rows as done.
    pub async fn finish_outbox(&self, outbox_ids: &[i64]) -> Result<(), Error> {
        const SQL: &str = "-- finish_outbox
            UPDATE outbox SET done_at = now() WHERE outbox_id = ANY($1) AND done_at IS NULL";
        self.query(SQL, &[&outbox_ids]).await?;
        Ok(())
    }

    /// Forgets rows that were done longer than [`OUTBOX_KEPT`] ago; answers
    /// how many.
    pub async fn forget_outbox(&self) -> Result<usize, Error> {
        const SQL: &str = "-- forget_outbox
            DELETE FROM outbox WHERE done_at < now() - $1 * interval '1 second'
            RETURNING outbox_id";
        Ok(self.query(SQL, &[&OUTBOX_KEPT.as_secs_f64()]).await?.len())
    }
}

/// Notes that Redis must hear of an event's new revision.
pub(super) async fn note_event_in_tx(tx: &Tx<'_>, event_id: &EventId) -> Result<i64, Error> {
    const SQL: &str = "-- note_event
        INSERT INTO outbox (kind, event_id, lease_until)
        VALUES ('event', $1, now() + $2 * interval '1 second') RETURNING outbox_id";
    let rows = tx.query(SQL, &[&event_id.as_str(), &OUTBOX_LEASE.as_secs_f64()]).await?;
    Ok(rows[0].get(0))
}

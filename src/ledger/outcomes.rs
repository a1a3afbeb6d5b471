//! How holds end: one primary-key row decides.

use tokio_postgres::Row;
use uuid::Uuid;

use super::{Error, Ledger, columns::to_i64};
use crate::domain::{Epoch, EventId, HoldId, OrderId, Outcome, Unsold};

impl Ledger {
    /// Ends holds so, each unless it has ended before; answers how
    /// each ended, in no order, or `None` where the event is not in `epoch`:
    /// what the caller saw in Redis may be out of date.
    pub async fn settle(
        &self,
        event_id: &EventId,
        epoch: Epoch,
        hold_ids: &[HoldId],
        unsold: Unsold,
    ) -> Result<Option<Vec<(HoldId, Outcome)>>, Error> {
        // An insert that meets another's row under way waits for its end; so
        // what was not inserted is decided, and the next statement sees how.
        const SQL: &str = "-- settle
            WITH fence AS MATERIALIZED (
                SELECT FROM events WHERE event_id = $1 AND epoch = $2 FOR SHARE
            ), inserted AS (
                INSERT INTO hold_outcomes (hold_id, event_id, outcome)
                SELECT id, $1, $4 FROM fence, unnest($3::uuid[]) AS id ORDER BY id
                ON CONFLICT (hold_id) DO NOTHING RETURNING hold_id
            )
            SELECT (SELECT count(*) FROM fence), ARRAY(SELECT hold_id FROM inserted)";
        let name = match unsold {
            Unsold::Released => "released",
            Unsold::Expired => "expired",
            Unsold::Lost => "lost",
        };
        let ids: Vec<Uuid> = hold_ids.iter().map(|id| id.0).collect();
        let rows = self.query(SQL, &[&event_id.as_str(), &to_i64(epoch.0), &ids, &name]).await?;
        if rows[0].get::<_, i64>(0) == 0 {
            return Ok(None);
        }
        let inserted: Vec<Uuid> = rows[0].get(1);
        let mut ended: Vec<_> = inserted.iter().map(|&id| (HoldId(id), unsold.into())).collect();
        if ended.len() < hold_ids.len() {
            let before: Vec<_> = ids.into_iter().filter(|id| !inserted.contains(id)).collect();
            ended.extend(self.find_outcomes(&before).await?);
        }
        Ok(Some(ended))
    }

    /// How a hold ended, if it has.
    pub async fn find_outcome(&self, hold_id: HoldId) -> Result<Option<Outcome>, Error> {
        Ok(self.find_outcomes(&[hold_id.0]).await?.pop().map(|(_, outcome)| outcome))
    }

    async fn find_outcomes(&self, hold_ids: &[Uuid]) -> Result<Vec<(HoldId, Outcome)>, Error> {
        const SQL: &str = "-- find_outcomes
            SELECT hold_id, outcome, order_id FROM hold_outcomes WHERE hold_id = ANY($1)";
        let rows = self.query(SQL, &[&hold_ids]).await?;
        rows.iter().map(|row| Ok((HoldId(row.get(0)), outcome_from_row(row, 1)?))).collect()
    }
}

/// An outcome from its two columns, `outcome` at `at` and `order_id` after it.
pub(super) fn outcome_from_row(row: &Row, at: usize) -> Result<Outcome, Error> {
    match (row.get(at), row.get::<_, Option<Uuid>>(at + 1)) {
        ("confirmed", Some(order_id)) => Ok(Outcome::Confirmed(OrderId(order_id))),
        ("released", None) => Ok(Outcome::Released),
        ("expired", None) => Ok(Outcome::Expired),
        ("lost", None) => Ok(Outcome::Lost),
        (other, _) => Err(Error::Corrupt(format!("outcome {other}"))),
    }
}

//! The control path: probes and upkeep, on pooled connections.

use deadpool_redis::{
    Config, Connection, Pool, Runtime, Timeouts,
    redis::{InfoDict, cmd},
};

use super::{Error, Holds, Incarnation, keys};
use crate::domain::{Epoch, EventId, HoldRecord, Position};
use crate::limits::{ENDED_HOLD_KEPT, REDIS_CONNECT_TIMEOUT, REDIS_POOL_SIZE};

pub(super) fn pool(url: &str) -> Result<Pool, Error> {
    let timeouts = Timeouts {
        wait: Some(REDIS_CONNECT_TIMEOUT),
        create: Some(REDIS_CONNECT_TIMEOUT),
        recycle: Some(REDIS_CONNECT_TIMEOUT),
    };
    Config::from_url(url)
        .builder()
        .map_err(Error::unreachable)?
        .max_size(REDIS_POOL_SIZE)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(Error::unreachable)
}

impl Holds {
    /// A pooled connection. Boxed: the pool's future is large, and every flow
    /// would carry it.
    pub(super) async fn control(&self) -> Result<Connection, Error> {
        Ok(Box::pin(self.pool.get()).await?)
    }

    /// Whether Redis serves, and can be trusted with holds.
    ///
    /// # Errors
    /// A text for the operator.
    pub async fn probe(&self) -> Result<(), String> {
        let info = async {
            let mut connection = self.control().await?;
            let mut info = cmd("INFO");
            info.arg("server").arg("memory").arg("persistence").arg("replication");
            Ok::<InfoDict, Error>(info.query_async(&mut connection).await?)
        };
        let info = info.await.map_err(|error| error.to_string())?;
        let field = |name| info.get::<String>(name).unwrap_or_default();
        if field("role") != "master" {
            return Err("this Redis is a replica".into());
        }
        if field("loading") == "1" {
            return Err("Redis is loading its data".into());
        }
        match field("maxmemory_policy").as_str() {
            "noeviction" => Ok(()),
            policy => Err(format!("maxmemory-policy is {policy}; it must be noeviction")),
        }
    }

    /// The event's position now; `None` where Redis does not have it, or has
    /// it from another life.
    pub async fn position(&self, event_id: &EventId) -> Result<Option<Position>, Error> {
        let mut fields = cmd("HMGET");
        fields.arg(keys::meta(event_id)).arg("incarnation").arg("epoch").arg("seq");
        let ((built_in, epoch, seq), incarnation): ((Option<String>, _, _), _) =
            self.links.read(event_id.as_str(), &fields).await?;
        let is_of_this_life =
            built_in == Some(incarnation.0) || cfg!(feature = "mutant-no-incarnation-check");
        let position = Option::zip(epoch, seq).filter(|_| is_of_this_life);
        Ok(position.map(|(epoch, seq)| Position { epoch: Epoch(epoch), seq }))
    }

    /// Redis' clock, by which the event's holds run out: ms since 1970.
    pub async fn clock_ms(&self, event_id: &EventId) -> Result<i64, Error> {
        let ((seconds, micros), _): ((i64, i64), _) =
            self.links.read(event_id.as_str(), &cmd("TIME")).await?;
        Ok(seconds * 1_000 + micros / 1_000)
    }

    /// The life of Redis that the event's calls go to from now on.
    pub async fn incarnation(&self, event_id: &EventId) -> Result<Incarnation, Error> {
        self.links.incarnation(event_id.as_str()).await
    }

    /// Forgets holds that ended longer than [`ENDED_HOLD_KEPT`] ago; answers
    /// how many.
    pub async fn forget_ended_holds(&self, event_id: &EventId) -> Result<usize, Error> {
        let mut connection = self.control().await?;
        let (seconds, _micros): (i64, i64) = cmd("TIME").query_async(&mut connection).await?;
        let kept_ms = i64::try_from(ENDED_HOLD_KEPT.as_millis()).unwrap_or(i64::MAX);
        let oldest_ms = seconds * 1_000 - kept_ms;
        let (mut cursor, mut forgotten) = (0_u64, 0);
        loop {
            let (next, page): (u64, Vec<(String, Vec<u8>)>) = cmd("HSCAN")
                .arg(keys::holds(event_id))
                .arg(cursor)
                .arg("COUNT")
                .arg(500)
                .query_async(&mut connection)
                .await?;
            let mut forget = cmd("HDEL");
            forget.arg(keys::holds(event_id));
            let mut old = 0;
            for (hold_id, packed) in &page {
                let record: HoldRecord = rmp_serde::from_slice(packed).map_err(Error::corrupt)?;
                if record.ended_ms != 0 && record.ended_ms < oldest_ms {
                    forget.arg(hold_id);
                    old += 1;
                }
            }
            if old > 0 {
                forget.exec_async(&mut connection).await?;
            }
            forgotten += old;
            cursor = next;
            if cursor == 0 {
                return Ok(forgotten);
            }
        }
    }
}

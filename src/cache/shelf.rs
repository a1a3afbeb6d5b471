//! What lies in Redis, by its scripts.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::try_join_all;
use tokio::{task::spawn_blocking, time::timeout};
use uuid::Uuid;

use super::{
    breaker::Breaker,
    pack::{pack, unpack},
    place::{self, Place},
};
use crate::{
    domain::EventId,
    limits::{
        CACHE_LEASE, CACHE_PATIENCE, GENERATION_KEPT, GENERATION_UNUSED_KEPT, MAX_CACHED_BYTES,
        PACKED_BYTES,
    },
    redis::{Error, Incarnation, Links, Script, Sent, Value},
};

/// Of what time an answer is; each change ends one, and none ever comes back.
pub type Generation = String;

/// What is at a place.
pub enum Look {
    /// The caller's own copy is current.
    Same,
    Found(Found),
    /// The caller fills the place.
    Granted(Generation),
    /// Nothing, and it is not for the caller to fill it, or not yet.
    Taken(Generation),
}

/// An answer that is kept.
pub struct Found {
    pub generation: Generation,
    pub body: Bytes,
    /// For how long still.
    pub left: Duration,
}

/// The caches' part of Redis.
pub struct Shelf {
    links: Arc<Links>,
    breaker: Breaker,
    /// This server, to others who would fill the same place.
    me: String,
}

macro_rules! script {
    ($file:literal) => {{
        static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!($file)));
        &*SCRIPT
    }};
}

impl Shelf {
    pub fn new(links: Arc<Links>) -> Self {
        Self { links, breaker: Breaker::default(), me: Uuid::new_v4().to_string() }
    }

    /// What is at a place; `None` where Redis does not say.
    pub async fn look(&self, place: &Place, have: &str) -> Option<Look> {
        self.look_as(place, have, "").await
    }

    /// The same, and the right to fill it where nobody has that.
    pub async fn claim(&self, place: &Place) -> Option<Look> {
        self.look_as(place, "", &self.me).await
    }

    async fn look_as(&self, place: &Place, have: &str, me: &str) -> Option<Look> {
        let (fresh, unused) = (Uuid::new_v4().simple().to_string(), ms(GENERATION_UNUSED_KEPT));
        let prepare = |incarnation: &Incarnation| {
            let mut look = script!("lua/look.lua").prepare_invoke();
            look.key(&place.keys()[..]).arg(&incarnation.0).arg(&fresh).arg(unused);
            look.arg(&place.what).arg(have).arg(me).arg(ms(CACHE_LEASE));
            look
        };
        let look = self.links.invoke(&place.scope, Sent::Again, prepare);
        let (answer, _) = self.in_time(look).await?;
        read(answer).await
    }

    /// Keeps an answer, unless its generation has ended.
    pub async fn put(&self, place: &Place, generation: &str, body: &Bytes, kept: Duration) {
        let packed = match body.len() < PACKED_BYTES {
            true => pack(body),
            false => {
                let body = body.clone();
                let Ok(packed) = spawn_blocking(move || pack(&body)).await else { return };
                packed
            }
        };
        if packed.len() > MAX_CACHED_BYTES {
            return;
        }
        let prepare = |_: &Incarnation| {
            let mut put = script!("lua/put.lua").prepare_invoke();
            put.key(&place.keys()[..]).arg(generation).arg(&place.what).arg(&packed[..]);
            put.arg(ms(kept)).arg(ms(GENERATION_KEPT));
            put
        };
        let put = self.links.invoke::<i64>(&place.scope, Sent::Again, prepare);
        self.in_time(put).await;
    }

    /// Ends the generations that an event's change is in.
    ///
    /// # Errors
    /// Where Redis may not have done so.
    pub async fn invalidate(&self, event_id: &EventId) -> Result<(), Error> {
        let ends = place::of_change(event_id).map(|(scope, keys)| async move {
            let prepare = |_: &Incarnation| {
                let mut end = script!("lua/invalidate.lua").prepare_invoke();
                end.key(&keys[..]);
                end
            };
            self.links.invoke::<Value>(&scope, Sent::Again, prepare).await
        });
        try_join_all(ends).await?;
        Ok(())
    }

    /// An answer that comes soon, from a Redis that is well.
    async fn in_time<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Option<T> {
        if !self.breaker.lets_through() {
            return None;
        }
        let answer = timeout(CACHE_PATIENCE, call).await;
        self.breaker.note(matches!(answer, Ok(Ok(_))));
        match answer {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a cache is passed by");
            }
            Err(_) => tracing::warn!("a cache is passed by: Redis takes too long"),
        }
        None
    }
}

/// An answer of `look.lua`; `None` for what is none.
async fn read(answer: Vec<Value>) -> Option<Look> {
    let mut parts = answer.into_iter();
    let mut text = || match parts.next()? {
        Value::BulkString(bytes) => Some(bytes),
        _ => None,
    };
    let (kind, generation) = (text()?, String::from_utf8(text()?).ok()?);
    match kind.as_slice() {
        b"SAME" => Some(Look::Same),
        b"GRANTED" => Some(Look::Granted(generation)),
        b"TAKEN" => Some(Look::Taken(generation)),
        b"FOUND" => {
            let packed = text()?;
            let left = match parts.next()? {
                Value::Int(left) => Duration::from_millis(u64::try_from(left).unwrap_or_default()),
                _ => return None,
            };
            let body = match packed.len() < PACKED_BYTES {
                true => unpack(packed),
                false => spawn_blocking(move || unpack(packed)).await.ok()?,
            }?;
            Some(Look::Found(Found { generation, body, left }))
        }
        _ => None,
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

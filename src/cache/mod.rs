//! What many ask for and few change, kept in Redis in front of Postgres. A Redis that
//! is away makes an answer slower, never wrong.
//!
//! An answer counts as long as the *generation* does in which it was read: a change, once
//! it is committed and before it is answered, ends the generation, and the next look
//! begins another. Whoever fills a place takes the generation's name before it reads
//! Postgres; so what was read before a change is never kept as if it were from after it.
//! `place.rs` names the keys; decision 22 says what holds when.

mod breaker;
mod pack;
mod place;
mod shelf;

pub use crate::redis::Error;
pub use place::Place;

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use moka::future::Cache as Memory;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use crate::{
    batch::{Batcher, Bounds},
    domain::EventId,
    limits::{
        CACHE_LEASE, CACHE_LOOK, CACHE_LOOKS_TOGETHER, CACHE_MEMORY_BYTES, CACHE_PATIENCE,
        CACHE_TURN_KEPT, CACHE_TURNS,
    },
    redis::Links,
    telemetry::{self, CacheName, Cached},
};
use shelf::{Found, Generation, Look, Shelf};

/// The caches, for answers whose reading fails by `E`.
pub struct Cache<E> {
    links: Arc<Links>,
    shelf: Arc<Shelf>,
    copies: Copies,
    /// Whoever looks at one place at the same time does it by one call.
    looks: Arc<Batcher<String, Place, Looked>>,
    turns: Memory<String, Turn<E>>,
}

/// What this server has of the shelf: it counts while Redis says that its generation does.
type Copies = Memory<String, Copy>;

/// What is known of a place.
#[derive(Clone)]
enum Looked {
    Current(Bytes),
    Missing(Generation),
    /// Redis does not say.
    Away,
}

/// An answer that this server has.
#[derive(Clone)]
struct Copy {
    generation: Generation,
    until: Instant,
    body: Bytes,
}

/// Whoever has it locked fills a place for all of this server; and what the last one
/// came to.
type Turn<E> = Arc<Mutex<Option<Last<E>>>>;

struct Last<E> {
    begun: Instant,
    /// Of what it read, where Redis told.
    generation: Option<Generation>,
    answer: Result<Bytes, Arc<E>>,
}

impl<E> Last<E> {
    /// Whether it is as good as if somebody had read anew who asked then, and found that
    /// generation current: it was begun later, or nothing has changed since.
    fn serves(&self, asked: Instant, generation: Option<&Generation>) -> bool {
        let is_current = generation.is_some() && self.generation.as_ref() == generation;
        self.begun >= asked || (is_current && self.answer.is_ok())
    }
}

impl<E: Send + Sync + 'static> Cache<E> {
    /// `links` should be nobody else's: a large answer holds up what is behind it.
    pub fn new(links: Arc<Links>) -> Self {
        telemetry::caches();
        let bytes = |name: &String, copy: &Copy| {
            u32::try_from(name.len() + copy.body.len()).unwrap_or(u32::MAX)
        };
        let shelf = Arc::new(Shelf::new(links.clone()));
        let copies: Copies =
            Memory::builder().weigher(bytes).max_capacity(CACHE_MEMORY_BYTES).build();
        let bounds = Bounds {
            calls: 1,
            asks: CACHE_LOOKS_TOGETHER,
            waiting: CACHE_LOOKS_TOGETHER,
            patience: CACHE_PATIENCE,
        };
        let of_all = (shelf.clone(), copies.clone());
        let looks = Batcher::new(bounds, move |name: String, places: Vec<Place>| {
            let (shelf, copies) = of_all.clone();
            async move {
                let looked = look(&shelf, &copies, name, &places[0]).await;
                vec![looked; places.len()]
            }
        });
        Self {
            links,
            shelf,
            copies,
            looks,
            turns: Memory::builder()
                .max_capacity(CACHE_TURNS)
                .time_to_idle(CACHE_TURN_KEPT)
                .build(),
        }
    }

    /// The answer that is kept at a place, or that `load` reads from Postgres: by one
    /// caller of all servers, while the others wait for it.
    ///
    /// # Errors
    /// Those of `load`, shared by all who waited for it.
    pub async fn get(
        &self,
        place: &Place,
        load: impl Future<Output = Result<Bytes, E>> + Send,
    ) -> Result<Bytes, Arc<E>> {
        let (asked, name) = (Instant::now(), place.name());
        // 1. Redis says which generation is current, and what it has of it: at once to all
        //    who ask by then.
        let generation = match self.looks.ask(name.clone(), place.clone()).await {
            Ok(Looked::Current(body)) => {
                telemetry::cached(place.cache, Cached::Hit);
                return Ok(body);
            }
            Ok(Looked::Missing(generation)) => {
                telemetry::cached(place.cache, Cached::Miss);
                Some(generation)
            }
            Ok(Looked::Away) | Err(_) => None,
        };
        // 2. One caller at a time of this server; what it comes to serves the others.
        let turn = self.turns.get_with(name.clone(), async { Turn::default() }).await;
        let mut last = turn.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.serves(asked, generation.as_ref())) {
            telemetry::cached(place.cache, Cached::Wait);
            return last.answer.clone();
        }
        let begun = Instant::now();
        let (generation, answer) = self.fill(place, name, load).await;
        *last = Some(Last { begun, generation, answer: answer.clone() });
        answer
    }

    /// Reads the answer, unless another server does so: then what that one puts there.
    async fn fill(
        &self,
        place: &Place,
        name: String,
        load: impl Future<Output = Result<Bytes, E>> + Send,
    ) -> (Option<Generation>, Result<Bytes, Arc<E>>) {
        let patient_until = Instant::now() + CACHE_LEASE;
        let generation = loop {
            match self.shelf.claim(place).await {
                Some(Look::Found(found)) => {
                    telemetry::cached(place.cache, Cached::Wait);
                    let generation = Some(found.generation.clone());
                    return (generation, Ok(keep(&self.copies, name, found).await));
                }
                Some(Look::Taken(_)) if Instant::now() < patient_until => sleep(CACHE_LOOK).await,
                Some(Look::Granted(generation) | Look::Taken(generation)) => {
                    break Some(generation);
                }
                Some(Look::Same) | None => break None,
            }
        };
        let how = if generation.is_some() { Cached::Fill } else { Cached::Bypass };
        telemetry::cached(place.cache, how);
        let answer = load.await.map_err(Arc::new);
        if let (Some(generation), Ok(body)) = (&generation, &answer) {
            // Up to a tenth less.
            let kept = place.kept().mul_f64(1.0 - fastrand::f64() / 10.0);
            self.shelf.put(place, generation, body, kept).await;
            let (generation, body) = (generation.clone(), body.clone());
            keep(&self.copies, name, Found { generation, body, left: kept }).await;
        }
        (generation, answer)
    }

    /// Makes void, for all servers, whatever was read before an event's change, which is
    /// committed.
    ///
    /// # Errors
    /// Where that is not known to be done.
    pub async fn invalidate(&self, event_id: &EventId) -> Result<(), Error> {
        self.shelf.invalidate(event_id).await?;
        for cache in CacheName::ALL {
            telemetry::cached(cache, Cached::Invalidation);
        }
        Ok(())
    }

    /// Keeps the way to Redis up to date; what it finds is known by others.
    pub async fn probe(&self) {
        let _ = self.links.probe().await;
    }
}

/// Looks at a place; what this server has a copy of does not come over the network.
async fn look(shelf: &Shelf, copies: &Copies, name: String, place: &Place) -> Looked {
    let copy = copies.get(&name).await.filter(|copy| copy.until > Instant::now());
    let have = copy.as_ref().map_or("", |copy| &copy.generation);
    match (shelf.look(place, have).await, copy) {
        (Some(Look::Same), Some(copy)) => Looked::Current(copy.body),
        (Some(Look::Found(found)), _) => Looked::Current(keep(copies, name, found).await),
        (Some(Look::Taken(generation) | Look::Granted(generation)), _) => {
            Looked::Missing(generation)
        }
        (Some(Look::Same) | None, _) => Looked::Away,
    }
}

async fn keep(copies: &Copies, name: String, found: Found) -> Bytes {
    let Found { generation, body, left } = found;
    let copy = Copy { generation, until: Instant::now() + left, body: body.clone() };
    copies.insert(name, copy).await;
    body
}

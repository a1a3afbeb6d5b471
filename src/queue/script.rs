//! The scripts of `lua/`, and what they answer.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_tuple::{Deserialize_tuple, Serialize_tuple};

use super::{Queue, keys, to_ms};
use crate::{
    domain::{Event, EventId, EventState, HolderId, WaitingRoom},
    limits::{
        ADMISSION_LEEWAY, MAX_LET_IN_PER_CALL, MAX_PLACES_WAITING, PLACE_KEPT, QUEUE_KEPT,
        QUEUE_SETTLE,
    },
    redis::{Error, Incarnation, Script, Sent},
};

/// A script of `lua/` with the prelude before it, compiled in.
macro_rules! verb {
    ($name:literal) => {
        LazyLock::new(|| with_prelude(include_str!(concat!("lua/", $name, ".lua"))))
    };
}

static JOIN: LazyLock<Script> = verb!("join");
static FIND: LazyLock<Script> = verb!("find");
static LEAVE: LazyLock<Script> = verb!("leave");
static USE: LazyLock<Script> = verb!("use");
static LET_IN: LazyLock<Script> = verb!("let_in");

/// The first line, the shebang with its flags, stays the first.
fn with_prelude(text: &str) -> Script {
    let (shebang, body) = text.split_once('\n').unwrap_or((text, ""));
    Script::new(&format!("{shebang}\n{}\n{body}", include_str!("lua/prelude.lua")))
}

/// What the scripts must know of an event: a MessagePack array, as `prelude.lua` names it.
#[derive(Debug, Clone, Serialize_tuple)]
pub struct Rules {
    revision: u64,
    mode: &'static str,
    /// A minute; 0 while the event is not on sale.
    pub rate: u32,
    ttl_ms: u64,
}

impl Rules {
    pub fn new(event: &Event, revision: u64) -> Self {
        let is_on_sale = event.state == EventState::OnSale;
        Self {
            revision,
            mode: event.waiting_room.as_str(),
            rate: if is_on_sale { event.admissions_per_minute } else { 0 },
            ttl_ms: to_ms(event.admission_ttl),
        }
    }

    pub fn is_off(&self) -> bool {
        self.mode == WaitingRoom::Off.as_str()
    }
}

/// What a script answers whose caller knows the event well enough.
#[derive(Debug, Deserialize)]
pub enum Reply<T> {
    /// The event has changed since the caller read it.
    Behind,
    /// It has no waiting room.
    Off,
    #[serde(untagged)]
    Done(T),
}

/// Where a holder is. Times are ms by Redis' clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Standing {
    /// Nowhere.
    Gone,
    /// Let in: the place's number, and until when.
    In(u64, u64),
    /// In the line: the place's number, and how many are before it.
    Waiting(u64, u64),
}

/// The room as a script saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize_tuple)]
pub struct Scene {
    pub now_ms: u64,
    /// Since when this life of Redis has it.
    pub begun_ms: u64,
    pub waiting: u64,
    /// How many were let in within a minute, about.
    pub lately: u64,
}

/// What became of a Join.
#[derive(Debug, Deserialize)]
pub enum Joined {
    /// So many wait already as may.
    Full,
    Standing(Standing, Scene),
}

#[derive(Debug, Deserialize)]
pub enum Found {
    Found(Vec<Standing>, Scene),
}

/// What became of a call that lets in.
#[derive(Debug)]
pub struct LetIn {
    pub scene: Scene,
    pub admitted: u64,
    pub reaped: u64,
    /// More could be let in at once.
    pub more: bool,
    pub generations: Vec<u64>,
    /// Of each generation: the bits of who waits, and of who was let in.
    pub bits: Vec<[Vec<u8>; 2]>,
}

/// The same as it comes: the scene, admitted, reaped, more, the generations.
#[derive(Debug, Deserialize)]
enum Room {
    Room(Scene, u64, u64, bool, Vec<u64>),
}

#[derive(Serialize)]
struct Request<'a, T> {
    rules: &'a Rules,
    #[serde(flatten)]
    more: T,
}

#[derive(Serialize)]
struct Join<'a> {
    holder: &'a HolderId,
    most: u64,
}

#[derive(Serialize)]
struct Find<'a> {
    places: &'a [(HolderId, u64)],
    kept_ms: u64,
}

#[derive(Serialize)]
struct Limits {
    kept_ms: u64,
    settle_ms: u64,
    leeway_ms: u64,
    most: usize,
    pictures: bool,
    seconds: u64,
}

#[derive(Serialize)]
struct Place<'a> {
    rules: (),
    holder: &'a HolderId,
    number: u64,
}

impl Queue {
    /// Takes a place, or answers the holder's own.
    pub async fn join(
        &self,
        event_id: &EventId,
        rules: &Rules,
        holder: &HolderId,
    ) -> Result<Reply<Joined>, Error> {
        let more = Join { holder, most: MAX_PLACES_WAITING };
        self.run(&JOIN, event_id, &Request { rules, more }).await
    }

    /// Where places are, each by its holder and number, which counts as a word from them.
    pub async fn find(
        &self,
        event_id: &EventId,
        rules: &Rules,
        places: &[(HolderId, u64)],
    ) -> Result<Reply<(Vec<Standing>, Scene)>, Error> {
        let more = Find { places, kept_ms: to_ms(PLACE_KEPT) };
        let reply = self.run(&FIND, event_id, &Request { rules, more }).await?;
        Ok(match reply {
            Reply::Behind => Reply::Behind,
            Reply::Off => Reply::Off,
            Reply::Done(Found::Found(found, scene)) => Reply::Done((found, scene)),
        })
    }

    /// Gives a place in the line up; nothing where there is none.
    pub async fn leave(
        &self,
        event_id: &EventId,
        holder: &HolderId,
        number: u64,
    ) -> Result<(), Error> {
        let _: String = self.run(&LEAVE, event_id, &Place { rules: (), holder, number }).await?;
        Ok(())
    }

    /// Notes that an admission has led to a hold.
    pub async fn note_use(&self, event_id: &EventId, holder: &HolderId) -> Result<(), Error> {
        let _: String = self.run(&USE, event_id, &Place { rules: (), holder, number: 0 }).await?;
        Ok(())
    }

    /// Lets in who is due, and tells who waits; with `pictures`, each of them.
    pub async fn let_in(
        &self,
        event_id: &EventId,
        rules: &Rules,
        pictures: bool,
    ) -> Result<Reply<LetIn>, Error> {
        let more = Limits {
            kept_ms: to_ms(PLACE_KEPT),
            settle_ms: to_ms(QUEUE_SETTLE),
            leeway_ms: to_ms(ADMISSION_LEEWAY),
            most: MAX_LET_IN_PER_CALL,
            pictures,
            seconds: QUEUE_KEPT.as_secs(),
        };
        let keys = [&keys::of_queue(event_id)[..], &keys::of_inventory(event_id)].concat();
        let request = Request { rules, more };
        let told: Vec<Vec<u8>> = self.call(&LET_IN, event_id, &keys, &request).await?;
        let mut told = told.into_iter();
        let reply = told.next().ok_or_else(|| Error::corrupt("an empty answer"))?;
        Ok(match rmp_serde::from_slice(&reply).map_err(Error::corrupt)? {
            Reply::Behind => Reply::Behind,
            Reply::Off => Reply::Off,
            Reply::Done(Room::Room(scene, admitted, reaped, more, generations)) => {
                let mut bits = Vec::new();
                while let (Some(waiting), Some(let_in)) = (told.next(), told.next()) {
                    bits.push([waiting, let_in]);
                }
                Reply::Done(LetIn { scene, admitted, reaped, more, generations, bits })
            }
        })
    }

    async fn run<T: DeserializeOwned>(
        &self,
        script: &Script,
        event_id: &EventId,
        request: &impl Serialize,
    ) -> Result<T, Error> {
        let answer: Vec<u8> =
            self.call(script, event_id, &keys::of_queue(event_id), request).await?;
        rmp_serde::from_slice(&answer).map_err(Error::corrupt)
    }

    async fn call<T: crate::redis::FromRedisValue>(
        &self,
        script: &Script,
        event_id: &EventId,
        keys: &[String],
        request: &impl Serialize,
    ) -> Result<T, Error> {
        let request = rmp_serde::to_vec_named(request).map_err(Error::corrupt)?;
        let prepare = |incarnation: &Incarnation| {
            let mut invocation = script.prepare_invoke();
            for key in keys {
                invocation.key(key);
            }
            invocation.arg(&request).arg(&incarnation.0);
            invocation
        };
        // Each may be made twice: nobody is let in before it is due.
        let (answer, _) = self.links.invoke(event_id.as_str(), Sent::Again, prepare).await?;
        Ok(answer)
    }
}

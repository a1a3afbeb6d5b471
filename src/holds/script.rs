//! How a script is called and its answer read.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Error, Holds, Incarnation, keys};
use crate::domain::{Epoch, EventId};
use crate::redis::{Links, Script, Sent};
use crate::telemetry;

/// The answer of a script that is fenced by the epoch.
#[derive(Debug, Deserialize)]
pub enum Reply<T> {
    /// Redis does not have the event, or has it from another life.
    NotLoaded,
    /// Redis has the event in another epoch than the caller.
    Epoch(Epoch),
    Done(T),
}

impl<T> Reply<Vec<T>> {
    /// The same for each of `count` who asked together.
    pub(super) fn each(self, count: usize) -> Vec<Reply<T>> {
        let for_all = |reply: fn() -> Reply<T>| (0..count).map(|_| reply()).collect();
        match self {
            Self::NotLoaded => for_all(|| Reply::NotLoaded),
            Self::Epoch(epoch) => (0..count).map(|_| Reply::Epoch(epoch)).collect(),
            Self::Done(answers) => answers.into_iter().map(Reply::Done).collect(),
        }
    }
}

impl<T> Reply<T> {
    /// The epoch in which Redis has the event, where it is not the caller's.
    pub fn epoch(&self) -> Option<Epoch> {
        match self {
            Self::Epoch(epoch) => Some(*epoch),
            Self::NotLoaded | Self::Done(_) => None,
        }
    }
}

/// A script of `lua/`, compiled in.
pub(super) struct Verb {
    name: &'static str,
    script: LazyLock<Script>,
}

impl Verb {
    pub(super) const fn new(name: &'static str, script: fn() -> Script) -> Self {
        Self { name, script: LazyLock::new(script) }
    }

    pub(super) fn hash(&self) -> String {
        self.script.get_hash().to_owned()
    }
}

/// The script `lua/<name>.lua` with the prelude before it.
macro_rules! verb {
    ($name:literal) => {
        crate::holds::script::Verb::new($name, || {
            crate::holds::script::with_prelude("", include_str!(concat!("lua/", $name, ".lua")))
        })
    };
}
pub(super) use verb;

/// As [`verb`], for a script that takes places: with what these share, too.
macro_rules! taking_verb {
    ($name:literal) => {
        crate::holds::script::Verb::new($name, || {
            crate::holds::script::with_prelude(
                include_str!("lua/taking_prelude.lua"),
                include_str!(concat!("lua/", $name, ".lua")),
            )
        })
    };
}
pub(super) use taking_verb;

/// A script's text with the prelude, and one more, in place. Its first line, the
/// shebang with its flags, stays the first.
pub(super) fn with_prelude(more: &str, text: &str) -> Script {
    let (shebang, body) = text.split_once('\n').unwrap_or((text, ""));
    let script = format!("{shebang}\n{}\n{more}\n{body}", include_str!("lua/prelude.lua"));
    #[cfg(feature = "mutants")]
    let script = crate::mutants::patched(&script);
    Script::new(&script)
}

impl Holds {
    /// Runs a verb's script on an event, with `args` as its request.
    pub(super) async fn run<T: DeserializeOwned>(
        &self,
        verb: &Verb,
        event_id: &EventId,
        args: &impl Serialize,
    ) -> Result<Reply<T>, Error> {
        run(&self.links, verb, event_id, args).await
    }

    /// As [`Holds::run`], but never once more.
    ///
    /// # Errors
    /// [`Error::Unknown`] where the connection broke.
    pub(super) async fn run_once<T: DeserializeOwned>(
        &self,
        verb: &Verb,
        event_id: &EventId,
        args: &impl Serialize,
    ) -> Result<Reply<T>, Error> {
        run_sent(&self.links, Sent::Once, verb, event_id, args).await
    }
}

/// As [`Holds::run`].
pub(super) async fn run<T: DeserializeOwned>(
    links: &Links,
    verb: &Verb,
    event_id: &EventId,
    args: &impl Serialize,
) -> Result<Reply<T>, Error> {
    run_sent(links, Sent::Again, verb, event_id, args).await
}

async fn run_sent<T: DeserializeOwned>(
    links: &Links,
    sent: Sent,
    verb: &Verb,
    event_id: &EventId,
    args: &impl Serialize,
) -> Result<Reply<T>, Error> {
    let request = rmp_serde::to_vec_named(args).map_err(Error::corrupt)?;
    let prepare = |incarnation: &Incarnation| {
        let mut invocation = verb.script.prepare_invoke();
        for key in keys::of_event(event_id) {
            invocation.key(key);
        }
        invocation.arg(&request).arg(&incarnation.0);
        invocation
    };
    let mut span = telemetry::script(verb.name, event_id.as_str());
    let answered = links.invoke(event_id.as_str(), sent, prepare).await;
    let (answer, broken): (Vec<u8>, _) = span.of(answered)?;
    drop(span);
    let reply = rmp_serde::from_slice(&answer).map_err(Error::corrupt)?;
    match (broken, &reply) {
        // An attempt before may have been carried out, in the life of Redis
        // that ended with it.
        (Some(broken), Reply::NotLoaded | Reply::Epoch(_)) => Err(broken.into()),
        _ => Ok(reply),
    }
}

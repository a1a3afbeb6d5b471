//! The scripts, and what they are asked.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use crate::{
    domain::EventId,
    limits::{MAX_VIEWERS, PRESENCE_KEPT, PRESENCE_PIECE},
    redis::{Error, Links, Script, Sent},
};

static JOIN: LazyLock<Script> = LazyLock::new(|| with_prelude(include_str!("lua/join.lua")));
static COUNT: LazyLock<Script> = LazyLock::new(|| with_prelude(include_str!("lua/count.lua")));

/// A script's text with the prelude after its shebang.
fn with_prelude(text: &str) -> Script {
    let (shebang, body) = text.split_once('\n').unwrap_or((text, ""));
    Script::new(&format!("{shebang}\n{}\n{body}", include_str!("lua/prelude.lua")))
}

/// By which viewers are there, in Redis.
pub(super) struct Sources {
    links: Arc<Links>,
    /// Until one runs out.
    pub ttl: Duration,
}

/// What a script answers.
pub(super) struct Reply {
    /// How many are there.
    pub viewers: u32,
    /// Whether some of them may have run out already.
    pub is_more: bool,
    /// Sources that were not taken, since there are too many viewers.
    pub refused: u32,
}

impl Sources {
    pub(super) fn new(links: Arc<Links>, ttl: Duration) -> Self {
        Self { links, ttl }
    }

    /// At most [`PRESENCE_PIECE`] sources, no two alike, live for `ttl` from now.
    pub(super) async fn join(
        &self,
        event_id: &EventId,
        sources: &[String],
    ) -> Result<Reply, Error> {
        let bounds = [millis(self.ttl), MAX_VIEWERS.into(), millis(PRESENCE_KEPT)];
        self.run(&JOIN, event_id, &bounds, sources).await
    }

    /// Takes away any number of sources, no two alike; answers how many viewers are
    /// left, exactly.
    pub(super) async fn count_without(
        &self,
        event_id: &EventId,
        sources: &[String],
    ) -> Result<u32, Error> {
        let mut pieces = sources.chunks(PRESENCE_PIECE);
        loop {
            let piece = pieces.next();
            let reply = self.run(&COUNT, event_id, &[], piece.unwrap_or_default()).await?;
            if !reply.is_more && pieces.len() == 0 {
                return Ok(reply.viewers);
            }
        }
    }

    async fn run(
        &self,
        script: &Script,
        event_id: &EventId,
        bounds: &[u64],
        sources: &[String],
    ) -> Result<Reply, Error> {
        let keys = ["presence", "viewers"].map(|kind| format!("hf:{{{event_id}}}:{kind}"));
        let prepare = |_: &_| {
            let mut invocation = script.prepare_invoke();
            for key in &keys {
                invocation.key(key);
            }
            invocation.arg(PRESENCE_PIECE).arg(bounds).arg(sources);
            invocation
        };
        let answer = self.links.invoke(event_id.as_str(), Sent::Again, prepare).await?;
        let ((viewers, is_more, refused), _): ((u32, bool, u32), _) = answer;
        Ok(Reply { viewers, is_more, refused })
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! Broken links.

use std::time::Duration;

use rand::{Rng, rngs::StdRng};
use tokio::time::sleep;

use super::{
    Harm,
    kind::{Link, LinkFault},
    may_fail_over,
};
use crate::{
    proxy::{Cut, Pattern, Proxy, Way, Who},
    stage::Stage,
};

const DELAY_MS: std::ops::Range<u64> = 20..300;
const DELAYED_MS: std::ops::Range<u64> = 500..2_500;
const STALLED_MS: std::ops::Range<u64> = 300..4_000;
const CUT_BYTES: std::ops::Range<usize> = 0..20_000;
/// How long a cut waits for its moment.
const CUT_PATIENCE: Duration = Duration::from_secs(5);

/// Disturbs one of the links of this kind.
pub async fn disturb(
    stage: &Stage,
    link: Link,
    fault: LinkFault,
    random: &mut StdRng,
) -> anyhow::Result<Option<Harm>> {
    let (name, proxies, pattern) = match link {
        Link::Redis => ("to Redis", &stage.redis.links, Pattern::Script),
        Link::Postgres => ("to Postgres", &stage.postgres.links, Pattern::Sale),
        Link::Client => ("to server", &stage.doors, Pattern::Any),
    };
    let index = match link {
        Link::Redis => stage.redis.busy_link(random).await,
        _ => random.random_range(0..proxies.len()),
    };
    let Some(detail) = make(&proxies[index], fault, pattern, random).await else { return Ok(None) };
    let harm = Harm::new(format!("link {name}, {index}"), detail);
    // Whoever watches the master may call it dead.
    Ok(Some(harm.losing_redis(link == Link::Redis && may_fail_over(stage))))
}

async fn make(
    proxy: &Proxy,
    fault: LinkFault,
    pattern: Pattern,
    random: &mut StdRng,
) -> Option<String> {
    let way = if random.random_bool(0.5) { Way::Up } else { Way::Down };
    match fault {
        LinkFault::Delayed => {
            let delay = Duration::from_millis(random.random_range(DELAY_MS));
            let delayed = Duration::from_millis(random.random_range(DELAYED_MS));
            proxy.delay(delay);
            sleep(delayed).await;
            proxy.delay(Duration::ZERO);
            Some(format!("late by {delay:?} for {delayed:?}"))
        }
        LinkFault::Stalled => {
            let stalled = Duration::from_millis(random.random_range(STALLED_MS));
            proxy.stall(Some((way, Who::All)));
            sleep(stalled).await;
            proxy.stall(None);
            Some(format!("{way:?} stalled for {stalled:?}"))
        }
        LinkFault::Reset => {
            proxy.reset();
            Some("all connections reset".into())
        }
        LinkFault::Cut => {
            let bytes = random.random_range(CUT_BYTES);
            let done = proxy.cut(Cut::AfterBytes { way, bytes }, CUT_PATIENCE).await;
            done.then(|| format!("cut after {bytes} bytes {way:?}"))
        }
        LinkFault::AnswerCut => {
            let is_answer = random.random_bool(0.7);
            let cut = if is_answer { Cut::Answer(pattern) } else { Cut::Request(pattern) };
            proxy.cut(cut, CUT_PATIENCE).await.then(|| format!("{cut:?}"))
        }
    }
}

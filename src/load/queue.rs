//! `load queue`: many wait for one sale, each with a stream of where he is; then it opens.
//!
//! All join while nobody is let in, so the servers have said in which order they came.
//! Once all were let in, each asks again: by then Redis has said when he was, and that
//! order must be the same.

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context as _, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::{task::JoinSet, time::sleep};
use tonic::Streaming;

use super::{
    Run,
    client::{fit, why},
    houses::Need,
    report::{Played, quantiles, rounded},
};
use crate::{
    config::{LoadCommon, QueueLoad},
    limits::{LOAD_ASIDE_IN_FLIGHT, RETRY_DELAY},
    proto::{
        Event, EventState, JoinRequest, QueuePosition, StreamPositionRequest,
        StreamPositionResponse, UpdateEventRequest, WaitingRoom,
    },
};

/// What it needs of its houses.
///
/// # Errors
/// Where there are more people than the connections can carry.
pub fn need(load: &QueueLoad, common: &LoadCommon) -> anyhow::Result<Need> {
    fit("--people", load.people, common)?;
    Ok(Need { events: 1, seats_per_hold: 1, holds: Some(1) })
}

/// Somebody who waits.
struct Person {
    run: Arc<Run>,
    n: usize,
    /// How many came before.
    ahead: i64,
    place_token: String,
    stream: Streaming<StreamPositionResponse>,
    messages: u64,
    /// Streams that ended under it.
    ended: u64,
    /// He was told to be further back than before.
    went_back: bool,
    told: Option<SystemTime>,
}

/// Lets all of them wait, then opens, and reads until all are in.
///
/// # Errors
/// Where somebody cannot join, or loses the place.
pub async fn play(run: &Arc<Run>, load: &QueueLoad) -> anyhow::Result<Played> {
    let ttl = set_up(run, load).await?;
    run.start(Some(load.people.into()), None, None);
    let joining = Instant::now();
    let people: Vec<Person> = stream::iter(0..load.people as usize)
        .map(|n| Person::come(run, n))
        .buffer_unordered(LOAD_ASIDE_IN_FLIGHT)
        .try_collect()
        .await?;
    let joined = joining.elapsed();
    let mut waiting = JoinSet::new();
    for person in people {
        waiting.spawn(person.wait());
    }
    let begun = Instant::now();
    change(run, "state", |event| event.set_state(EventState::OnSale)).await?;
    let mut people = Vec::with_capacity(load.people as usize);
    while let Some(person) = waiting.join_next().await {
        people.push(person??);
    }
    let mut played = Played::new("queue", begun.elapsed());
    people.sort_by_key(|person| person.ahead);
    let admitted = admitted_at(&people, ttl).await?;
    played.violations = violations(&people, &admitted);
    tell(&mut played, run, joined, &people, &admitted);
    Ok(played)
}

/// The event's waiting room, with nobody let in; answers how long admissions last.
async fn set_up(run: &Run, load: &QueueLoad) -> anyhow::Result<Duration> {
    change(run, "state", |event| event.set_state(EventState::Paused)).await?;
    let pace = i32::try_from(load.per_minute)?;
    change(run, "admissions_per_minute", |event| event.admissions_per_minute = pace).await?;
    let room = |event: &mut Event| event.set_waiting_room(WaitingRoom::Rate);
    let event = change(run, "waiting_room", room).await?;
    Ok(event.admission_ttl.unwrap_or_default().try_into()?)
}

async fn change(run: &Run, path: &str, set: impl FnOnce(&mut Event)) -> anyhow::Result<Event> {
    let mut event = Event { event_id: run.houses[0].event_id.clone(), ..Event::default() };
    set(&mut event);
    let update_mask = Some(prost_types::FieldMask { paths: vec![path.to_owned()] });
    let request = UpdateEventRequest { event: Some(event), update_mask };
    let changed = run.clients.catalog(0).update_event(request).await;
    let changed = changed.map_err(|status| why(&status)).context("cannot change the event")?;
    Ok(changed.into_inner().event.unwrap_or_default())
}

impl Person {
    async fn come(run: &Arc<Run>, n: usize) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let joined = run.clients.queues(n).join(join_request(run, n)).await;
        let text = joined.as_ref().err().map(why);
        let Ok(joined) = run.meter.note(n, begun.elapsed(), joined) else {
            return Err(text.unwrap_or_else(|| anyhow::anyhow!("no answer"))).context("Join");
        };
        let ahead = joined.position.unwrap_or_default().ahead;
        let stream = open(run, n, &joined.place_token).await.context("StreamPosition")?;
        Ok(Self {
            run: run.clone(),
            n,
            ahead,
            place_token: joined.place_token,
            stream,
            messages: 0,
            ended: 0,
            went_back: false,
            told: None,
        })
    }

    /// Reads until it is let in; opens the stream again where it breaks, as any client
    /// does.
    async fn wait(mut self) -> anyhow::Result<Self> {
        let mut ahead = i64::MAX;
        loop {
            if let Ok(Some(told)) = self.stream.message().await {
                let position = told.position.unwrap_or_default();
                self.messages += 1;
                self.went_back |= position.ahead > ahead;
                ahead = position.ahead;
                if position.admission.is_some() {
                    self.told = Some(SystemTime::now());
                    return Ok(self);
                }
                continue;
            }
            self.ended += 1;
            ensure!(!self.run.is_stopped(), "interrupted");
            sleep(RETRY_DELAY).await;
            if let Ok(stream) = open(&self.run, self.n, &self.place_token).await {
                self.stream = stream;
            }
        }
    }
}

fn join_request(run: &Run, n: usize) -> JoinRequest {
    let event_id = run.houses[0].event_id.clone();
    JoinRequest { event_id, holder_id: format!("{}-{n}", run.name) }
}

async fn open(
    run: &Run,
    n: usize,
    place_token: &str,
) -> anyhow::Result<Streaming<StreamPositionResponse>> {
    let event_id = run.houses[0].event_id.clone();
    let request = StreamPositionRequest { event_id, place_token: place_token.to_owned() };
    let stream = run.clients.queues(n).stream_position(request).await;
    Ok(stream.map_err(|status| why(&status))?.into_inner())
}

/// When each was let in, by Redis' clock.
async fn admitted_at(people: &[Person], ttl: Duration) -> anyhow::Result<Vec<SystemTime>> {
    let asked = stream::iter(people).map(async |person| {
        let request = join_request(&person.run, person.n);
        let joined = person.run.clients.queues(person.n).join(request).await;
        let joined = joined.map_err(|status| why(&status)).context("Join")?.into_inner();
        let position: QueuePosition = joined.position.unwrap_or_default();
        let ends = position.admission.and_then(|admission| admission.expire_time);
        let ends: SystemTime = ends.context("an admission is gone")?.try_into()?;
        anyhow::Ok(ends - ttl)
    });
    asked.buffered(LOAD_ASIDE_IN_FLIGHT).try_collect().await
}

/// What should not be, of people in the order in which they came.
fn violations(people: &[Person], admitted: &[SystemTime]) -> Vec<String> {
    let mut found = Vec::new();
    for (place, person) in (0..).zip(people) {
        if person.ahead != place {
            found.push(format!("{} were before somebody in place {place}", person.ahead));
        }
        if person.went_back {
            found.push(format!("place {place} was told to be further back than before"));
        }
    }
    for (place, pair) in (1..).zip(admitted.windows(2)) {
        if pair[1] < pair[0] {
            found.push(format!("place {place} was let in before the one before it"));
        }
    }
    found
}

fn tell(
    played: &mut Played,
    run: &Run,
    joined: Duration,
    people: &[Person],
    admitted: &[SystemTime],
) {
    let delays = people.iter().zip(admitted).filter_map(|(person, admitted)| {
        let delay = person.told?.duration_since(*admitted).unwrap_or_default();
        u64::try_from(delay.as_micros()).ok()
    });
    run.delays.note_times(0, delays);
    let paced = match (admitted.first(), admitted.last()) {
        (Some(first), Some(last)) => last.duration_since(*first).unwrap_or_default(),
        _ => Duration::ZERO,
    };
    #[expect(clippy::cast_precision_loss, reason = "a count of people")]
    let per_minute = people.len() as f64 * 60.0 / paced.as_secs_f64();
    played.tell("people", people.len());
    played.tell("joined_seconds", rounded(joined.as_secs_f64(), 1e2));
    played.tell("admitted_seconds", rounded(paced.as_secs_f64(), 1e2));
    played.tell("admitted_per_minute", rounded(per_minute, 1.0));
    played.tell("messages", people.iter().map(|person| person.messages).sum::<u64>());
    played.tell("streams_ended", people.iter().map(|person| person.ended).sum::<u64>());
    let quantiles = quantiles(&run.delays.tally().took);
    for ((_, took_us), name) in
        quantiles.into_iter().zip(["delay_p50_us", "delay_p99_us", "delay_p999_us", "delay_max_us"])
    {
        played.tell(name, took_us);
    }
}

//! Those who change what is watched: holds and releases on schedule.

use std::sync::{Arc, atomic::Ordering};

use tokio::{task::JoinSet, time::sleep};

use super::{
    super::{
        book::{Fate, Taken},
        client::{Clients, No, Reservations},
    },
    Stage, micros,
};
use crate::{
    config::{LoadCommon, StreamLoad},
    limits::RETRY_DELAY,
};

/// Holds and releases under way at a time; one for each event, where these are more.
const CHANGERS: usize = 64;
/// Connections of theirs: a reader that stops would hold up their answers, too.
const CHANGERS_CONNECTIONS: u32 = 2;

/// Holds and releases, on schedule.
pub async fn change_all(
    stage: &Arc<Stage>,
    load: &StreamLoad,
    common: &LoadCommon,
) -> anyhow::Result<()> {
    let connections = CHANGERS_CONNECTIONS.max(u32::try_from(common.servers.len())?);
    let clients = Clients::connect(&LoadCommon { connections, ..common.clone() }).await?;
    stage.run.start(None, Some(load.seconds), Some(load.changes.get()));
    let mut changers = JoinSet::new();
    for n in 0..CHANGERS.max(stage.shows.len()) {
        changers.spawn(change(stage.clone(), clients.of(n), n));
    }
    while let Some(changed) = changers.join_next().await {
        stage.run.write_down(changed?);
    }
    Ok(())
}

/// Holds one seat after the other, and releases each in its next turn.
async fn change(stage: Arc<Stage>, mut client: Reservations, n: usize) -> Vec<Taken> {
    let (run, shows) = (&stage.run, stage.shows.len());
    let show = &stage.shows[n % shows];
    let each = CHANGERS.div_ceil(shows);
    let mut seats = (n / shows..show.numbers.len()).step_by(each).cycle();
    let (mut held, mut ended): (Option<Taken>, Vec<Taken>) = (None, Vec::new());
    let number = |n: usize| u32::try_from(n).expect("there are fewer seats and events");
    while let Some(turn) = run.turns().next().await {
        let now = || micros(stage.begun.elapsed());
        let told = if let Some(mut taken) = held.take() {
            show.released_us[taken.seats.start as usize].store(now(), Ordering::Relaxed);
            let answer = client.release(taken.release_request(&run.name, &run.houses)).await;
            let answer = run.meter.note(n, turn.begins.elapsed(), answer);
            taken.released(&answer);
            if run.check || taken.fate == Fate::Unsettled {
                ended.push(taken);
            }
            answer.map(drop)
        } else {
            let Some(seat) = seats.next() else { break };
            let first = number(seat);
            let mut taken = Taken::new(number(n % shows), number(n), first..first + 1);
            show.held_us[seat].store(now(), Ordering::Relaxed);
            let answer = client.hold(taken.hold_request(&run.name, &run.houses, None)).await;
            let answer = run.meter.note(n, turn.begins.elapsed(), answer);
            let told = answer.as_ref().map(drop).map_err(No::clone);
            held = taken.held(&answer).then_some(taken);
            told
        };
        match told {
            Ok(()) => _ = show.made.fetch_add(1, Ordering::Relaxed),
            Err(No::Failed(_)) => sleep(RETRY_DELAY).await,
            Err(No::Refused(_)) => {}
        }
    }
    ended.extend(held);
    ended
}

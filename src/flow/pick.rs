//! Finding the best seats, and holding them: one step, as far as anybody can tell.
//!
//! Seats are taken from this server's board, so that its requests never meet; the script
//! of Hold looks again, since other servers take seats, too. Where one was faster, what
//! it took is noted, and others are picked: not the very best again, which all who were
//! refused at the same moment would want, but at random among as many as are under way.
//!
//! Seats that a call was refused are not picked again for it: Redis may keep them from
//! this caller, as it does what was freed while a waiting list has the first pick.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    ChannelKeys, Error, Flows, HoldRequest,
    board::{Board, PATIENCE, Pick},
    event::LoadedEvent,
    hold::Leave,
};
use crate::{
    domain::{
        AreaUnits, BestAvailable, ChannelKey, EventState, HoldId, Items, Position, Refusal,
        SeatIndex,
    },
    feed::Stale,
    holds::HoldReply,
    limits::MAX_PICKS,
    telemetry,
};

impl Flows {
    /// Picks seats, and asks for a hold of them, again where others were faster. Answers
    /// what the script says to the last one.
    pub(super) async fn hold_best(
        self: &Arc<Self>,
        event: Arc<LoadedEvent>,
        request: &HoldRequest,
        leave: Leave,
        asked: &BestAvailable,
        areas: Vec<AreaUnits>,
    ) -> Result<(Arc<LoadedEvent>, HoldReply), Error> {
        if let Err(refusal) = asked.check(&event.chart) {
            let stored = Box::pin(self.ledger.find_event(&event.event_id)).await?;
            return match stored {
                // Read anew, it is judged anew, too: admission and channels may be others.
                Some(stored) if stored.revision > event.revision => Ok((event, HoldReply::Behind)),
                _ => Err(refusal.into()),
            };
        }
        let is_overridden = request.keys.overridden.is_some();
        // What is taken by an override is put on record before: nothing else may be,
        // where the hold stands already.
        let mut again = match is_overridden {
            true => self.picked_before(&event, request.hold_id).await?,
            false => None,
        };
        let mut refused = Vec::new();
        for redone in 0..MAX_PICKS {
            let picked = match again.take() {
                None => self.pick(&event, asked, &request.keys, &refused, redone).await?,
                again => again,
            };
            let pick = match picked {
                Some(pick) => pick,
                None => match self.picked_before(&event, request.hold_id).await? {
                    Some(pick) => pick,
                    None => return self.none_such(event, request, asked, &areas).await,
                },
            };
            let seats = pick.seats().to_vec();
            if is_overridden && !pick.is_again() {
                let picked = Items { seats: seats.clone(), areas: Vec::new() };
                self.note_override(&event, request.hold_id, &picked, &request.keys).await?;
            }
            let items = Items { seats, areas: areas.clone() };
            let (held_in, reply) = self.ask_for(&event, request, leave, items).await?;
            match &reply {
                HoldReply::Unavailable(seats) => {
                    let seats = seats.iter().map(|&(seat, _)| seat);
                    refused.extend(seats.clone());
                    pick.gone(seats.collect());
                    telemetry::pick_redone();
                    continue;
                }
                // Another one where the request was made before.
                HoldReply::Held(record) | HoldReply::Stranding((record, _))
                    if record.seats == pick.seats() =>
                {
                    pick.held(Position { epoch: held_in.epoch, seq: record.seq });
                }
                _ => drop(pick),
            }
            return Ok((held_in, reply));
        }
        Err(Error::Overloaded("others were faster each time".into()))
    }

    /// Takes the best seats that are free, as far as this server knows, until Redis has
    /// been asked. The first try is always of the best; a later one is spread.
    ///
    /// `None` where there were none at some moment of this call, but for what it was
    /// `refused`; what is under way and what has run out is not counted as taken.
    pub(super) async fn pick(
        self: &Arc<Self>,
        event: &Arc<LoadedEvent>,
        asked: &BestAvailable,
        keys: &ChannelKeys,
        refused: &[SeatIndex],
        redone: usize,
    ) -> Result<Option<Pick>, Error> {
        telemetry::pick();
        let may =
            |channel: &ChannelKey| keys.overridden.is_some() || keys.channels.contains(channel);
        let board = self.board(event).await?;
        // 1. By what the server knows; who was refused has seen that it is not enough.
        if redone > 0 {
            self.look_anew(&board, event).await?;
        }
        if let Some(pick) = board.take(event, asked, may, refused, redone) {
            return Ok(Some(pick));
        }
        // 2. By all that Redis had when this was asked, once holds that have run out are
        //    ended. The job does that as well, within a second: so it may fail.
        let sweep = async |_| self.end_backlog(event).await.is_ok();
        Box::pin(board.sweeps.work(sweep)).await;
        self.look_anew(&board, event).await?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(pick) = board.take(event, asked, may, refused, redone) {
                return Ok(Some(pick));
            }
            // 3. Picks that are under way may come to nothing.
            if !board.others_settle(event, asked, may, refused).await {
                return Ok(None);
            }
            if Instant::now() > give_up {
                return Err(Error::Overloaded("all such seats are under way to others".into()));
            }
        }
    }

    /// The event's board; where there is none, the feed is started, and has its map.
    async fn board(self: &Arc<Self>, event: &Arc<LoadedEvent>) -> Result<Arc<Board>, Error> {
        if let Some(board) = self.boards.get(&event.event_id).await {
            return Ok(board);
        }
        let feed = self.feeds.of(&event.event_id)?;
        let (_, position) = Box::pin(self.position(&event.event_id)).await?;
        feed.map_at(position).await?;
        let make = async { Arc::new(Board::new(feed, event)) };
        Ok(Box::pin(self.boards.get_with(event.event_id.clone(), make)).await)
    }

    /// Brings the board up to what Redis has from now on or later; who asks meanwhile
    /// shares the next look.
    async fn look_anew(
        self: &Arc<Self>,
        board: &Board,
        event: &Arc<LoadedEvent>,
    ) -> Result<(), Error> {
        let look = async |began| {
            let Ok((_, position)) = self.position(&event.event_id).await else { return false };
            let is_there = board.feed.map_at(position).await.is_ok();
            if is_there {
                board.looked_at(began, event);
            }
            is_there
        };
        match Box::pin(board.looks.work(look)).await {
            true => Ok(()),
            false => Err(Stale.into()),
        }
    }

    /// What the hold of this id has, if there is one: who asks again is answered again.
    async fn picked_before(
        self: &Arc<Self>,
        event: &Arc<LoadedEvent>,
        hold_id: HoldId,
    ) -> Result<Option<Pick>, Error> {
        let event_id = &event.event_id;
        let look = self.on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, hold_id));
        let (_, found) = Box::pin(look).await?;
        Ok(found.into_iter().next().map(|record| Pick::again(record.seats)))
    }

    /// The no to who finds no such seats; or another, where the event as it is now says
    /// no before that.
    async fn none_such(
        &self,
        event: Arc<LoadedEvent>,
        request: &HoldRequest,
        asked: &BestAvailable,
        areas: &[AreaUnits],
    ) -> Result<(Arc<LoadedEvent>, HoldReply), Error> {
        // Looked for by an older chart, or by other keys than are needed now.
        if self.is_behind(&event).await? {
            return Ok((event, HoldReply::Behind));
        }
        let rules = &event.rules;
        let longest_ms = u64::try_from(rules.max_hold_time.as_millis()).unwrap_or(u64::MAX);
        let units = asked.quantity + areas.iter().map(|units| units.quantity).sum::<u32>();
        // In the order of the script.
        let reply = if rules.state != EventState::OnSale {
            HoldReply::NotOnSale(rules.state.as_str().to_owned())
        } else if request.ttl_ms.is_some_and(|ttl_ms| ttl_ms > longest_ms) {
            HoldReply::TtlTooLong(longest_ms)
        } else if units > rules.max_units_per_hold {
            HoldReply::LimitPerHold(rules.max_units_per_hold)
        } else {
            telemetry::pick_refused();
            return Err(Refusal::NoSuchSeatsTogether(asked.quantity).into());
        };
        Ok((event, reply))
    }
}

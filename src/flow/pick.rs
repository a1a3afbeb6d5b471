//! Finding the best seats, and holding them: one step, as far as anybody can tell.
//!
//! Seats are taken from this server's board, so that its requests never meet; the script
//! of Hold looks again, since other servers take seats, too. Where one was faster, what
//! it took is noted, and others are picked: not the very best again, which all who were
//! refused at the same moment would want, but at random among as many as are under way.

use std::sync::Arc;

use tokio::time::Instant;

use super::{
    ChannelKeys, Error, Flows, HoldRequest,
    board::{Board, PATIENCE, Pick},
    event::LoadedEvent,
};
use crate::{
    domain::{AreaUnits, BestAvailable, ChannelKey, HoldId, Items, Position, Refusal},
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
        asked: &BestAvailable,
        areas: Vec<AreaUnits>,
    ) -> Result<(Arc<LoadedEvent>, HoldReply), Error> {
        let event = self.event_that_has(event, asked).await?;
        for redone in 0..MAX_PICKS {
            let pick = match self.pick(&event, asked, &request.keys, redone).await {
                Err(Error::Refused(refusal)) => {
                    self.picked_before(&event, request.hold_id, refusal).await?
                }
                pick => pick?,
            };
            let seats = pick.seats().to_vec();
            if request.keys.overridden.is_some() {
                let picked = Items { seats: seats.clone(), areas: Vec::new() };
                self.note_override(&event, request.hold_id, &picked, &request.keys).await?;
            }
            let items = Items { seats, areas: areas.clone() };
            let (held_in, reply) = self.ask_for(&event, request, items).await?;
            match &reply {
                HoldReply::Unavailable(seats) => {
                    pick.gone(seats.iter().map(|&(seat, _)| seat).collect());
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
    /// # Errors
    /// [`Refusal::NoSuchSeatsTogether`] where there were none at some moment of this
    /// call; what is under way and what has run out is not counted as taken.
    pub(super) async fn pick(
        self: &Arc<Self>,
        event: &Arc<LoadedEvent>,
        asked: &BestAvailable,
        keys: &ChannelKeys,
        redone: usize,
    ) -> Result<Pick, Error> {
        telemetry::pick();
        let may =
            |channel: &ChannelKey| keys.overridden.is_some() || keys.channels.contains(channel);
        let board = self.board(event).await?;
        // 1. By what the server knows; who was refused has seen that it is not enough.
        if redone > 0 {
            self.look_anew(&board, event).await?;
        }
        if let Some(pick) = board.take(event, asked, may, redone) {
            return Ok(pick);
        }
        // 2. By all that Redis had when this was asked, once holds that have run out are
        //    ended. The job does that as well, within a second: so it may fail.
        let sweep = async |_| self.end_backlog(event).await.is_ok();
        Box::pin(board.sweeps.work(sweep)).await;
        self.look_anew(&board, event).await?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            if let Some(pick) = board.take(event, asked, may, redone) {
                return Ok(pick);
            }
            // 3. Picks that are under way may come to nothing.
            if !board.others_settle(event, asked, may).await {
                telemetry::pick_refused();
                return Err(Refusal::NoSuchSeatsTogether(asked.quantity).into());
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
        refusal: Refusal,
    ) -> Result<Pick, Error> {
        let event_id = &event.event_id;
        let look = self.on_event(event_id, |epoch| self.holds.get_hold(event_id, epoch, hold_id));
        let (_, found) = Box::pin(look).await?;
        let record = found.into_iter().next().ok_or(refusal)?;
        Ok(Pick::again(record.seats))
    }

    /// The event with a chart that has what is named, if there is one by now.
    async fn event_that_has(
        &self,
        event: Arc<LoadedEvent>,
        asked: &BestAvailable,
    ) -> Result<Arc<LoadedEvent>, Error> {
        let Err(refusal) = asked.check(&event.chart) else { return Ok(event) };
        let event_id = &event.event_id;
        let stored = Box::pin(self.ledger.find_event(event_id)).await?;
        if stored.is_none_or(|stored| stored.revision == event.revision) {
            return Err(refusal.into());
        }
        let event = self.event_anew(event_id).await?;
        asked.check(&event.chart)?;
        Ok(event)
    }
}

//! How a hold is made, changed, and expired in passing.

use super::{Life, Walk, areas::Units};
use crate::{
    checker::{
        facts::{asked, holder_id, units_in},
        order::Entry,
        verdict::Promise,
    },
    history::{Hold, Items},
};

impl<'a> Walk<'_, 'a> {
    /// A hold as it is after the change: made by it, or changed.
    pub(super) fn put(&mut self, entry: &Entry<'a>, hold: &'a Hold, units: &mut Units<'a>) {
        let known = self.life_of.get(hold.hold_id.as_str()).copied();
        match known.map(|index| (index, self.lives[index])) {
            Some((index, life))
                if life.ended.is_none() && life.hold.create_ms == hold.create_ms =>
            {
                self.change(entry, hold, &life, units);
                self.lives[index] = Life { hold, last: entry.at, ..life };
            }
            before if hold.create_ms == entry.log.at_ms => {
                if let Some((_, before)) = before {
                    self.use_again(entry, hold, &before);
                }
                self.make(entry, hold);
                units.take(hold);
            }
            // It was made by an entry that was lost before the rig read it.
            _ => {
                units.is_exact = false;
                self.make(entry, hold);
            }
        }
    }

    fn make(&mut self, entry: &Entry<'a>, hold: &'a Hold) {
        let calls = self.facts.calls_of(&hold.hold_id);
        let is_asked = calls.iter().any(|call| {
            asked(call).is_some_and(|items| is_part(&hold.items, items))
                && holder_id(call) == Some(&hold.holder_id)
        });
        if !is_asked && calls.iter().any(|call| asked(call).is_some()) {
            let what = format!("hold {} was made with what nobody asked for", hold.hold_id);
            self.breaks(Promise::Idempotent, what, [entry.proof()]);
        }
        self.life_of.insert(&hold.hold_id, self.lives.len());
        self.lives.push(Life {
            hold,
            made: *entry,
            last: entry.at,
            ended: None,
            is_answered: self.facts.is_answered(hold),
        });
    }

    /// Only a hold that lives can be changed, and it only gets smaller.
    fn change(
        &mut self,
        entry: &Entry<'a>,
        hold: &'a Hold,
        life: &Life<'a>,
        units: &mut Units<'a>,
    ) {
        let (id, before) = (&hold.hold_id, life.hold);
        let proof = || [life.made.proof(), entry.proof()];
        // What comes back from the journal may be older than what Redis had.
        if life.last.epoch == entry.at.epoch {
            if before.expire_ms <= entry.log.at_ms {
                let what = format!("hold {id} was changed after it had run out");
                self.breaks(Promise::OneOutcome, what, proof());
            }
            if !is_part(&hold.items, &before.items) || hold.holder_id != before.holder_id {
                let what = format!("hold {id} has more than it was made with, or another holder");
                self.breaks(Promise::Idempotent, what, proof());
            }
            units.free(before);
            units.take(hold);
        } else {
            units.is_exact = false;
        }
    }

    /// An id is used once for ever, unless its hold was undone, or forgotten.
    fn use_again(&mut self, entry: &Entry<'a>, hold: &Hold, before: &Life<'a>) {
        // Of a hold without seats the log does not tell when it ends.
        let is_seen = before.ended.is_some() || !before.hold.items.seat_ids.is_empty();
        let is_here = before.last.epoch == entry.at.epoch && is_seen;
        let lives_on = before.ended.is_none()
            && before.hold.expire_ms > entry.log.at_ms
            && self.facts.must_last(before.made.earliest_us, entry.log.at_us)
            && !self.facts.may_be_released(&hold.hold_id, entry.log.at_us)
            && !self.facts.may_be_shortened(before.hold, entry.log.at_us);
        if before.is_answered && (is_here || lives_on) {
            let what = format!("hold {} was answered, and made a second time", hold.hold_id);
            self.breaks(Promise::Idempotent, what, [before.made.proof(), entry.proof()]);
        }
    }

    /// A hold that stood in another's way: it had run out by the clock.
    pub(super) fn expire_in_passing(
        &mut self,
        entry: &Entry<'a>,
        hold_id: &'a str,
        units: &mut Units<'a>,
    ) {
        let Some(&index) = self.life_of.get(hold_id) else {
            units.is_exact = false;
            return;
        };
        let life = self.lives[index];
        // What the journal brought back may have an older expiry.
        let is_known = life.last.epoch == entry.at.epoch;
        if is_known && life.hold.expire_ms > entry.log.at_ms {
            let what = format!("hold {hold_id} was expired before it had run out");
            self.breaks(Promise::Exclusion, what, [life.made.proof(), entry.proof()]);
        }
        let is_last = self.facts.made_last_ms(hold_id) <= Some(life.hold.create_ms);
        if is_known && is_last && self.facts.outcome_of(hold_id) == Some("confirmed") {
            let what = format!("hold {hold_id} expired, and was sold");
            self.breaks(Promise::OneOutcome, what, [life.made.proof(), entry.proof()]);
        }
        if is_known {
            units.free(life.hold);
        } else {
            units.is_exact = false;
        }
        self.lives[index].ended = Some(*entry);
    }
}

/// Whether these items are some or all of those.
pub fn is_part(items: &Items, of: &Items) -> bool {
    items.seat_ids.iter().all(|seat| of.seat_ids.contains(seat))
        && items.areas.iter().all(|(area, units)| *units <= units_in(of, area))
}

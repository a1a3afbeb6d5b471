//! Free units of areas: each entry changes them by exactly what its holds took
//! and gave back.

use std::collections::HashMap;

use super::Walk;
use crate::{
    checker::{facts::units_in, order::Entry, picture::Picture, verdict::Promise},
    history::Hold,
};

/// What an entry's holds took and gave back.
pub struct Units<'a> {
    freed: HashMap<&'a str, i64>,
    /// Whether all of these holds are known as they were before.
    pub is_exact: bool,
}

impl Default for Units<'_> {
    fn default() -> Self {
        Self { freed: HashMap::new(), is_exact: true }
    }
}

impl<'a> Units<'a> {
    pub fn free(&mut self, hold: &'a Hold) {
        for (area, units) in &hold.items.areas {
            *self.freed.entry(area).or_default() += i64::from(*units);
        }
    }

    pub fn take(&mut self, hold: &'a Hold) {
        for (area, units) in &hold.items.areas {
            *self.freed.entry(area).or_default() -= i64::from(*units);
        }
    }

    fn freed_in(&self, area: &str) -> i64 {
        self.freed.get(area).copied().unwrap_or_default()
    }
}

impl<'a> Walk<'_, 'a> {
    /// Compares what the entry tells of areas with what its holds did.
    pub(super) fn count(&mut self, entry: &Entry<'a>, units: &Units<'a>) {
        let log = entry.log;
        // How holds end by their outcome is not told, only what is free then.
        let is_ending = log.holds.is_empty() && log.expired.is_empty();
        for (area, told) in &log.areas {
            let before = self.areas.insert(area, *told);
            if self.facts.capacity_of(area).is_none_or(|capacity| *told > capacity) {
                let what = format!("area {area} has {told} units free, more than there are");
                self.breaks(Promise::Quantity, what, [entry.proof()]);
            }
            let Some(before) = before.filter(|_| units.is_exact) else { continue };
            let (freed, sure) = (i64::from(*told) - i64::from(before), units.freed_in(area));
            let most = if is_ending { sure + self.others_in(entry, area) } else { sure };
            if freed < sure || freed > most {
                let what = format!(
                    "area {area} went from {before} free units to {told}; its holds make {sure}"
                );
                self.breaks(Promise::Quantity, what, [entry.proof()]);
            }
        }
        for (area, freed) in &units.freed {
            if units.is_exact && *freed != 0 && log.areas.iter().all(|(told, _)| told != area) {
                let what =
                    format!("holds changed area {area} by {freed} units, and it is not told");
                self.breaks(Promise::Quantity, what, [entry.proof()]);
            }
        }
    }

    /// Units of holds that may have ended unseen: those without seats, and in a
    /// state that was built anew whatever the journal knew.
    fn others_in(&self, entry: &Entry<'a>, area: &str) -> i64 {
        if entry.at.epoch > 1 {
            return i64::from(self.facts.capacity_of(area).unwrap_or_default());
        }
        let alive = self.lives.iter().filter(|life| life.ended.is_none());
        alive.map(|life| i64::from(units_in(&life.hold.items, area))).sum()
    }

    pub(super) fn see_area(&mut self, picture: &Picture<'a>, area: &'a str, told: u32) {
        let proof = || [format!("{} at {}", picture.proof, picture.at)];
        if self.facts.capacity_of(area).is_none_or(|capacity| told > capacity) {
            let what = format!("area {area} is shown with {told} free units, more than there are");
            self.breaks(Promise::Quantity, what, proof());
        }
        if let Some(known) = self.areas.insert(area, told)
            && known != told
        {
            let what = format!("area {area} has {known} free units by the log, {told} are shown");
            self.breaks(Promise::Stream, what, proof());
        }
    }
}

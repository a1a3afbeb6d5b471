//! Pictures of a whole house: what GetSeatMap answered, and streams' snapshots.

use std::collections::BTreeMap;

use super::order::Position;
use crate::history::{Answer, Call, Message, Status, Stream};

/// A house as somebody was told that it was at a position.
#[derive(Debug, Clone)]
pub struct Picture<'a> {
    pub at: Position,
    /// When it had certainly been taken.
    pub taken_us: u64,
    pub seats: Vec<(&'a str, Status)>,
    pub areas: Vec<(&'a str, u32)>,
    pub proof: String,
}

fn named<T: Copy>(told: &[(String, T)]) -> impl Iterator<Item = (&str, T)> {
    told.iter().map(|(id, value)| (id.as_str(), *value))
}

/// All pictures of an event, by position.
pub fn all<'a>(calls: &[&'a Call], readers: &BTreeMap<u32, Vec<&'a Stream>>) -> Vec<Picture<'a>> {
    let mut all: Vec<Picture<'a>> = calls.iter().filter_map(|call| of_map(call)).collect();
    for (reader, told) in readers {
        all.extend(of_reader(*reader, told));
    }
    all.sort_by_key(|picture| picture.at);
    all
}

fn of_map(call: &Call) -> Option<Picture<'_>> {
    let Answer::SeatMap { seats, areas, resume_token } = &call.answer else { return None };
    Some(Picture {
        at: Position::of_token(resume_token)?,
        taken_us: call.end_us,
        seats: named(seats).collect(),
        areas: named(areas).collect(),
        proof: format!("call {}, GetSeatMap at server {}", call.id, call.server),
    })
}

fn of_reader<'a>(reader: u32, told: &[&'a Stream]) -> Vec<Picture<'a>> {
    let (mut pictures, mut so_far) = (Vec::new(), Vec::new());
    for stream in told {
        let Message::Snapshot { seats, areas, last, resume_token } = &stream.message else {
            so_far.clear();
            continue;
        };
        so_far.extend(named(seats));
        if !last {
            continue;
        }
        let seats = std::mem::take(&mut so_far);
        if let Some(at) = Position::of_token(resume_token) {
            let proof = format!("reader {reader}, snapshot at {} us", stream.at_us);
            let areas = named(areas).collect();
            pictures.push(Picture { at, taken_us: stream.at_us, seats, areas, proof });
        }
    }
    pictures
}

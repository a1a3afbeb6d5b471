//! A chart that grows: seats and areas added to an event.

use std::collections::{HashMap, HashSet};

use scoped_futures::ScopedFutureExt;

use super::{
    Error, Ledger,
    charts::insert_areas_in_tx,
    columns::{parse, to_i32, to_u32},
    outbox::note_event_in_tx,
    seats::{SeatRow, insert_seats_in_tx},
    session::Tx,
};
use crate::domain::{Area, EventId, Refusal, Row, RowId, Seat, SeatId, SectionId};
use crate::limits::{MAX_AREAS, MAX_ROWS, MAX_SEATS, MAX_SEATS_PER_ROW, MAX_SECTIONS};

/// What became of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// All of it was there.
    Unchanged,
    /// By this outbox row Redis hears of it.
    Grown { outbox_id: i64 },
}

impl Growth {
    /// The outbox row by which Redis hears of it.
    pub fn outbox_id(self) -> Option<i64> {
        match self {
            Self::Unchanged => None,
            Self::Grown { outbox_id } => Some(outbox_id),
        }
    }
}

impl Ledger {
    /// Adds seats to a section, which is made where it is missing.
    ///
    /// # Errors
    /// [`Refusal::EventNotFound`], [`Refusal::SeatIdReused`],
    /// [`Refusal::InvalidField`] where the chart would be larger than a chart may
    /// be.
    pub async fn add_seats(
        &self,
        event_id: &EventId,
        section_id: &SectionId,
        section_name: &str,
        rows: &[Row],
    ) -> Result<Growth, Error> {
        self.run_tx(|tx| {
            async move {
                lock_chart_in_tx(tx, event_id).await?;
                let known = seats_already_there_in_tx(tx, event_id, section_id, rows).await?;
                let is_new = |seat: &&Seat| !known.contains(&seat.seat_id);
                if !rows.iter().flat_map(|row| &row.seats).any(|seat| is_new(&seat)) {
                    return Ok(Growth::Unchanged);
                }
                let row_indexes =
                    place_rows_in_tx(tx, event_id, section_id, section_name, rows).await?;
                let mut added = Vec::new();
                for row in rows {
                    let row_index = row_indexes[&row.row_id];
                    added.extend(row.seats.iter().filter(is_new).map(|seat| SeatRow {
                        section_id,
                        row_index,
                        row_id: &row.row_id,
                        seat,
                    }));
                }
                let first = count_seats_in_tx(tx, event_id).await?;
                if first + added.len() > MAX_SEATS {
                    let why = format!("an event has at most {MAX_SEATS} seats");
                    return Err(Refusal::field("rows", why).into());
                }
                insert_seats_in_tx(tx, event_id, first, &added).await?;
                check_section_in_tx(tx, event_id, section_id).await?;
                note_growth_in_tx(tx, event_id).await
            }
            .scope_boxed()
        })
        .await
    }

    /// Adds areas, and raises the capacity of those that are there.
    ///
    /// # Errors
    /// [`Refusal::EventNotFound`], [`Refusal::AreaIdReused`] where an area has
    /// another name or price category, or a larger capacity, or is a share with
    /// another capacity; [`Refusal::InvalidField`] beyond [`MAX_AREAS`].
    pub async fn add_areas(&self, event_id: &EventId, areas: &[Area]) -> Result<Growth, Error> {
        // An area is as large as it and its shares are together.
        const KNOWN: &str = "-- add_areas: known
            SELECT area_id, (capacity + coalesce((SELECT sum(capacity) FROM areas s
                    WHERE s.event_id = a.event_id AND s.share_of = a.area_id), 0))::int,
                price_category_id, name, share_of IS NOT NULL
            FROM areas a WHERE event_id = $1";
        const RAISE: &str = "-- add_areas: raise
            UPDATE areas SET capacity = capacity + $3 WHERE event_id = $1 AND area_id = $2";
        self.run_tx(|tx| {
            async move {
                lock_chart_in_tx(tx, event_id).await?;
                let id = event_id.as_str();
                let known: HashMap<String, (u32, String, String, bool)> = tx
                    .query(KNOWN, &[&id])
                    .await?
                    .iter()
                    .map(|row| {
                        (row.get(0), (to_u32(row.get(1)), row.get(2), row.get(3), row.get(4)))
                    })
                    .collect();
                let (mut added, mut raised, mut reused) = (Vec::new(), Vec::new(), Vec::new());
                for area in areas {
                    match known.get(area.area_id.as_str()) {
                        None => added.push(area.clone()),
                        Some((capacity, category, name, is_share))
                            if category != area.price_category_id.as_str()
                                || (*name != area.name && area.name != area.area_id.as_str())
                                || *capacity > area.capacity
                                || (*is_share && *capacity != area.capacity) =>
                        {
                            reused.push(area.area_id.clone());
                        }
                        Some((capacity, ..)) if *capacity < area.capacity => {
                            raised.push((area, area.capacity - capacity));
                        }
                        Some(_) => {}
                    }
                }
                if !reused.is_empty() {
                    return Err(Refusal::AreaIdReused(reused).into());
                }
                if added.is_empty() && raised.is_empty() {
                    return Ok(Growth::Unchanged);
                }
                if known.len() + added.len() > MAX_AREAS {
                    let why = format!("an event has at most {MAX_AREAS} areas");
                    return Err(Refusal::field("areas", why).into());
                }
                insert_areas_in_tx(tx, event_id, known.len(), &added).await?;
                for (area, by) in raised {
                    tx.query(RAISE, &[&id, &area.area_id.as_str(), &to_i32(by)]).await?;
                }
                note_growth_in_tx(tx, event_id).await
            }
            .scope_boxed()
        })
        .await
    }
}

/// One caller at a time gives out an event's numbers.
pub(super) async fn lock_chart_in_tx(tx: &Tx<'_>, event_id: &EventId) -> Result<(), Error> {
    const SQL: &str = "-- lock_chart
        SELECT FROM events WHERE event_id = $1 FOR NO KEY UPDATE";
    match tx.query_opt(SQL, &[&event_id.as_str()]).await? {
        Some(_) => Ok(()),
        None => Err(Refusal::EventNotFound(event_id.clone()).into()),
    }
}

/// Those of the seats that the event has, in this place and with this content.
async fn seats_already_there_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    section_id: &SectionId,
    rows: &[Row],
) -> Result<HashSet<SeatId>, Error> {
    const SQL: &str = "-- seats_already_there
        SELECT seat_id, section_id, row_id, price_category_id, accessible, x, y
        FROM seats WHERE event_id = $1 AND seat_id = ANY($2)";
    let named: HashMap<&str, (&RowId, &Seat)> = rows
        .iter()
        .flat_map(|row| row.seats.iter().map(|seat| (seat.seat_id.as_str(), (&row.row_id, seat))))
        .collect();
    let ids: Vec<_> = named.keys().copied().collect();
    let (mut same, mut reused) = (HashSet::new(), Vec::new());
    for found in tx.query(SQL, &[&event_id.as_str(), &ids]).await? {
        let (row_id, seat) = named[found.get::<_, &str>(0)];
        let there = Seat {
            seat_id: seat.seat_id.clone(),
            price_category_id: parse(found.get(3))?,
            accessible: found.get(4),
            x: found.get(5),
            y: found.get(6),
            // Whom it is kept for is no part of what was added.
            channel: None,
        };
        let place = (found.get::<_, &str>(1), found.get::<_, &str>(2));
        if there == *seat && place == (section_id.as_str(), row_id.as_str()) {
            same.insert(there.seat_id);
        } else {
            reused.push(there.seat_id);
        }
    }
    if reused.is_empty() { Ok(same) } else { Err(Refusal::SeatIdReused(reused).into()) }
}

/// The place of each row among the section's rows; new ones come last.
async fn place_rows_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    section_id: &SectionId,
    section_name: &str,
    rows: &[Row],
) -> Result<HashMap<RowId, i32>, Error> {
    const SECTION: &str = "-- place_rows: section
        INSERT INTO sections (event_id, section_id, section_index, name)
        SELECT $1, $2, coalesce(max(section_index) + 1, 0), $3 FROM sections WHERE event_id = $1
        ON CONFLICT (event_id, section_id) DO NOTHING";
    const ROWS: &str = "-- place_rows
        SELECT DISTINCT row_id, row_index FROM seats WHERE event_id = $1 AND section_id = $2";
    let (id, section) = (event_id.as_str(), section_id.as_str());
    tx.query(SECTION, &[&id, &section, &section_name]).await?;
    let mut places: HashMap<RowId, i32> = tx
        .query(ROWS, &[&id, &section])
        .await?
        .iter()
        .map(|row| Ok((parse(row.get(0))?, row.get(1))))
        .collect::<Result<_, Error>>()?;
    let mut next = places.values().max().map_or(0, |last| last + 1);
    for row in rows {
        if !places.contains_key(&row.row_id) {
            places.insert(row.row_id.clone(), next);
            next += 1;
        }
    }
    Ok(places)
}

async fn count_seats_in_tx(tx: &Tx<'_>, event_id: &EventId) -> Result<usize, Error> {
    const SQL: &str = "-- count_seats
        SELECT count(*) FROM seats WHERE event_id = $1";
    let rows = tx.query(SQL, &[&event_id.as_str()]).await?;
    usize::try_from(rows[0].get::<_, i64>(0)).map_err(Error::corrupt)
}

/// Whether a section is as large as it may be, after it has grown.
async fn check_section_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    section_id: &SectionId,
) -> Result<(), Error> {
    const SQL: &str = "-- check_section
        SELECT (SELECT count(*) FROM sections WHERE event_id = $1), count(*), max(seats)
        FROM (SELECT count(*) AS seats FROM seats
              WHERE event_id = $1 AND section_id = $2 GROUP BY row_index) AS section_rows";
    let rows = tx.query(SQL, &[&event_id.as_str(), &section_id.as_str()]).await?;
    let bounds = [
        ("section_id", MAX_SECTIONS, "an event", "sections"),
        ("rows", MAX_ROWS, "a section", "rows"),
        ("rows", MAX_SEATS_PER_ROW, "a row", "seats"),
    ];
    for (column, (field, most, what, parts)) in bounds.into_iter().enumerate() {
        let count = usize::try_from(rows[0].get::<_, i64>(column)).map_err(Error::corrupt)?;
        if count > most {
            return Err(Refusal::field(field, format!("{what} has at most {most} {parts}")).into());
        }
    }
    Ok(())
}

pub(super) async fn note_growth_in_tx(tx: &Tx<'_>, event_id: &EventId) -> Result<Growth, Error> {
    const SQL: &str = "-- note_growth
        UPDATE events SET revision = revision + 1, update_time = now() WHERE event_id = $1";
    tx.query(SQL, &[&event_id.as_str()]).await?;
    Ok(Growth::Grown { outbox_id: note_event_in_tx(tx, event_id).await? })
}

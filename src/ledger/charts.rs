//! Charts: read whole, and written once with their event.

use std::collections::HashMap;

use super::{
    Error, Ledger,
    columns::{parse, to_u32},
    seats::{SeatRow, insert_seats_in_tx},
    session::Tx,
};
use crate::domain::{
    Area, Chart, ChartDraft, EventId, Money, PriceCategory, Row, Seat, SeatIndex, Section,
    SectionId,
};

impl Ledger {
    /// An event's chart; empty where there is no such event.
    ///
    /// The parts are read in an order in which a chart that grows meanwhile
    /// still fits together: what a part refers to is read after it.
    pub async fn read_chart(&self, event_id: &EventId) -> Result<Chart, Error> {
        const SEATS: &str = "-- read_chart: seats
            SELECT seat_index, seat_id, section_id, row_id, price_category_id, accessible, x, y,
                row_index, channel
            FROM seats WHERE event_id = $1 ORDER BY section_id, row_index, seat_index";
        const AREAS: &str = "-- read_chart: areas
            SELECT area_id, name, capacity, price_category_id, channel, share_of
            FROM areas WHERE event_id = $1 ORDER BY area_index";
        const SECTIONS: &str = "-- read_chart: sections
            SELECT section_id, name FROM sections WHERE event_id = $1 ORDER BY section_index";
        const PRICES: &str = "-- read_chart: price_categories
            SELECT price_category_id, name, currency, price_micros
            FROM price_categories WHERE event_id = $1 ORDER BY position";
        let id = event_id.as_str();

        let mut rows_of: HashMap<SectionId, Vec<(Row, Vec<SeatIndex>)>> = HashMap::new();
        for row in self.query(SEATS, &[&id]).await? {
            let rows = rows_of.entry(parse(row.get(2))?).or_default();
            let row_id = parse(row.get(3))?;
            if rows.last().is_none_or(|(last, _)| last.row_id != row_id) {
                rows.push((Row { row_id, seats: Vec::new() }, Vec::new()));
            }
            let (last, indexes) = rows.last_mut().expect("one was pushed");
            last.seats.push(Seat {
                seat_id: parse(row.get(1))?,
                price_category_id: parse(row.get(4))?,
                accessible: row.get(5),
                x: row.get(6),
                y: row.get(7),
                channel: row.get::<_, Option<&str>>(9).map(parse).transpose()?,
            });
            indexes.push(SeatIndex(to_u32(row.get(0))));
        }

        let areas = self.query(AREAS, &[&id]).await?;
        let areas = areas.iter().map(|row| {
            Ok(Area {
                area_id: parse(row.get(0))?,
                name: row.get(1),
                capacity: to_u32(row.get(2)),
                price_category_id: parse(row.get(3))?,
                channel: row.get::<_, Option<&str>>(4).map(parse).transpose()?,
                share_of: row.get::<_, Option<&str>>(5).map(parse).transpose()?,
            })
        });
        let areas = areas.collect::<Result<Vec<_>, Error>>()?;

        let (mut sections, mut order) = (Vec::new(), Vec::new());
        for row in self.query(SECTIONS, &[&id]).await? {
            let section_id: SectionId = parse(row.get(0))?;
            let (rows, indexes): (Vec<_>, Vec<_>) =
                rows_of.remove(&section_id).unwrap_or_default().into_iter().unzip();
            order.extend(indexes.into_iter().flatten());
            sections.push(Section { section_id, name: row.get(1), rows });
        }

        let prices = self.query(PRICES, &[&id]).await?;
        let prices = prices.iter().map(|row| {
            Ok(PriceCategory {
                price_category_id: parse(row.get(0))?,
                name: row.get(1),
                price: Money { currency: parse(row.get(2))?, micros: row.get(3) },
            })
        });
        let prices = prices.collect::<Result<Vec<_>, Error>>()?;
        Ok(Chart::new(prices, sections, areas, order))
    }
}

/// Writes the chart of a new event; its seats and areas are numbered in the
/// order in which they stand.
pub(super) async fn insert_chart_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    chart: &ChartDraft,
) -> Result<(), Error> {
    const PRICES: &str = "-- insert_chart: price_categories
        INSERT INTO price_categories
            (event_id, position, price_category_id, name, currency, price_micros)
        SELECT $1, n, id, name, currency, micros
        FROM unnest($2::text[], $3::text[], $4::text[], $5::int8[])
            WITH ORDINALITY AS t (id, name, currency, micros, n)";
    const SECTIONS: &str = "-- insert_chart: sections
        INSERT INTO sections (event_id, section_index, section_id, name)
        SELECT $1, n - 1, id, name
        FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS t (id, name, n)";
    let id = event_id.as_str();

    let prices = &chart.price_categories;
    let ids: Vec<_> = prices.iter().map(|c| c.price_category_id.as_str()).collect();
    let names: Vec<_> = prices.iter().map(|c| c.name.as_str()).collect();
    let currencies: Vec<_> = prices.iter().map(|c| c.price.currency.to_string()).collect();
    let micros: Vec<_> = prices.iter().map(|c| c.price.micros).collect();
    tx.query(PRICES, &[&id, &ids, &names, &currencies, &micros]).await?;

    let ids: Vec<_> = chart.sections.iter().map(|s| s.section_id.as_str()).collect();
    let names: Vec<_> = chart.sections.iter().map(|s| s.name.as_str()).collect();
    tx.query(SECTIONS, &[&id, &ids, &names]).await?;

    let seats: Vec<_> = chart
        .sections
        .iter()
        .flat_map(|section| (0..).zip(&section.rows).map(move |(i, row)| (section, i, row)))
        .flat_map(|(section, row_index, row)| {
            row.seats.iter().map(move |seat| SeatRow {
                section_id: &section.section_id,
                row_index,
                row_id: &row.row_id,
                seat,
            })
        })
        .collect();
    insert_seats_in_tx(tx, event_id, 0, &seats).await?;
    insert_areas_in_tx(tx, event_id, 0, &chart.areas).await
}

/// Writes areas, numbered from `first` up.
pub(super) async fn insert_areas_in_tx(
    tx: &Tx<'_>,
    event_id: &EventId,
    first: usize,
    areas: &[Area],
) -> Result<(), Error> {
    const SQL: &str = "-- insert_areas
        INSERT INTO areas (event_id, area_index, area_id, name, capacity, price_category_id)
        SELECT $1, $2 + n - 1, id, name, capacity, category
        FROM unnest($3::text[], $4::text[], $5::int[], $6::text[])
            WITH ORDINALITY AS t (id, name, capacity, category, n)";
    let ids: Vec<_> = areas.iter().map(|area| area.area_id.as_str()).collect();
    let names: Vec<_> = areas.iter().map(|area| area.name.as_str()).collect();
    let capacities: Vec<_> =
        areas.iter().map(|area| i32::try_from(area.capacity).unwrap_or(i32::MAX)).collect();
    let categories: Vec<_> = areas.iter().map(|area| area.price_category_id.as_str()).collect();
    let first = i64::try_from(first).map_err(Error::corrupt)?;
    tx.query(SQL, &[&event_id.as_str(), &first, &ids, &names, &capacities, &categories]).await?;
    Ok(())
}

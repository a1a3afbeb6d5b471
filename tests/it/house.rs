//! The houses of the repository are what they say.

use std::collections::HashSet;

use holdfast::{dev::house, proto::CreateEventRequest};

fn draw(plan: &str) -> CreateEventRequest {
    house::draw(plan).unwrap()
}

#[test]
fn the_golden_hall_has_the_published_number_of_seats() {
    let hall = draw(include_str!("../../examples/houses/golden-hall.toml"));
    assert_eq!(house::count(&hall), (1_744, 300));
    let chart = hall.chart.unwrap();
    assert_eq!(chart.sections.len(), 10);
    assert_eq!(chart.price_categories.len(), 7);
    assert_eq!(accessible(&chart), 4);
}

#[test]
fn the_arena_is_of_arena_size() {
    let arena = draw(include_str!("../../examples/houses/arena.toml"));
    assert_eq!(house::count(&arena), (20_160, 1_500));
}

#[test]
fn no_two_seats_stand_in_one_place() {
    for plan in [
        include_str!("../../examples/houses/golden-hall.toml"),
        include_str!("../../examples/houses/arena.toml"),
    ] {
        let chart = draw(plan).chart.unwrap();
        let mut places = HashSet::new();
        for section in &chart.sections {
            for seat in section.rows.iter().flat_map(|row| &row.seats) {
                #[expect(clippy::cast_possible_truncation, reason = "decimetres of a house")]
                let place = ((seat.x * 10.0) as i32, (seat.y * 10.0) as i32);
                // Floors lie above each other; within a section there is one.
                let key = (section.section_id.clone(), place);
                assert!(places.insert(key), "{} at {place:?}", seat.seat_id);
            }
        }
    }
}

#[test]
fn a_plan_that_is_none_says_why() {
    assert!(house::draw("nonsense").is_err());
    let hall = include_str!("../../examples/houses/golden-hall.toml");
    let turned = hall.replace("rows = [1, 10]", "rows = [10, 1]");
    let error = house::draw(&turned).unwrap_err().to_string();
    assert!(error.contains("parterre-left"), "{error}");
}

fn accessible(chart: &holdfast::proto::Chart) -> usize {
    let rows = chart.sections.iter().flat_map(|section| &section.rows);
    rows.flat_map(|row| &row.seats).filter(|seat| seat.accessible).count()
}

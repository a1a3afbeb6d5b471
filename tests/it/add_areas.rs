//! AddAreas: areas are added, and grow, once.

use holdfast::{
    limits::MAX_AREAS,
    proto::{AddAreasRequest, Area},
};
use tonic::{Code, Status};

use crate::support::{EVENT, Stage, code_and_reason, floor, hold_request, refusal};

async fn add(stage: &Stage, areas: &[(&str, i32, &str)]) -> Result<Vec<Area>, Status> {
    let area = |&(area_id, capacity, price): &(&str, i32, &str)| Area {
        area_id: area_id.into(),
        name: String::new(),
        capacity,
        price_category_id: price.into(),
        ..Default::default()
    };
    let areas = areas.iter().map(area).collect();
    let request = AddAreasRequest { event_id: EVENT.into(), areas };
    Ok(stage.server.catalog.clone().add_areas(request).await?.into_inner().areas)
}

#[tokio::test(flavor = "multi_thread")]
async fn added_and_grown() {
    let stage = Stage::new().await;
    let mut request = hold_request("ann", &[]);
    request.areas = floor(40);
    let hold = stage.server.hold(request).await.unwrap();
    for _ in 0..2 {
        // Said again, it changes nothing.
        let areas = add(&stage, &[("pit", 20, "seat"), ("floor", 150, "floor")]).await.unwrap();
        let told: Vec<_> = areas.iter().map(|a| (a.area_id.as_str(), a.capacity)).collect();
        assert_eq!(told, [("floor", 150), ("pit", 20)]);
        let house = stage.server.house().await;
        assert_eq!((house.areas["floor"], house.areas["pit"]), (110, 20));
    }
    stage.server.release(&hold, &[], vec![]).await.unwrap();
    assert_eq!(stage.server.house().await.areas["floor"], 150);

    // As many can be sold as there are now, and not one more.
    for (quantity, payment) in [(50, "p-1"), (50, "p-2"), (50, "p-3")] {
        let mut request = hold_request("ann", &[]);
        request.areas = floor(quantity);
        let hold = stage.server.hold(request).await.unwrap();
        stage.server.confirm(&hold, payment).await.unwrap();
    }
    let mut request = hold_request("ann", &[]);
    request.areas = floor(1);
    assert_eq!(refusal(stage.server.hold(request).await).reason, "INSUFFICIENT_CAPACITY");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_never_shrinks() {
    let stage = Stage::new().await;
    let reused = (Code::AlreadyExists, "AREA_ID_REUSED".to_owned());
    let smaller = add(&stage, &[("pit", 20, "seat"), ("floor", 99, "floor")]).await;
    assert_eq!(code_and_reason(smaller), reused);
    assert_eq!(code_and_reason(add(&stage, &[("floor", 100, "seat")]).await), reused);
    assert!(!stage.server.house().await.areas.contains_key("pit"), "all or nothing");
    let named = Area {
        area_id: "floor".into(),
        name: "Ground".into(),
        capacity: 100,
        price_category_id: "floor".into(),
        ..Default::default()
    };
    let request = AddAreasRequest { event_id: EVENT.into(), areas: vec![named] };
    assert_eq!(code_and_reason(stage.server.catalog.clone().add_areas(request).await), reused);
    let told = refusal(add(&stage, &[("pit", 20, "gold")]).await);
    assert_eq!(told.subjects, ["areas[0].price_category_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_grows_no_further_than_a_chart_may() {
    let stage = Stage::new().await;
    let ids: Vec<String> = (0..MAX_AREAS).map(|n| format!("area-{n}")).collect();
    let areas: Vec<_> = ids.iter().map(|id| (id.as_str(), 1, "floor")).collect();
    assert_eq!(refusal(add(&stage, &areas).await).subjects, ["areas"], "there is one already");
    add(&stage, &areas[1..]).await.unwrap();
    assert_eq!(stage.server.house().await.areas.len(), MAX_AREAS);
}

//! More and more holds in flight.

use super::{
    super::{
        events::{self, places},
        hold::hold,
        options::Scale,
        stage::Stage,
    },
    series::{
        Column, Series,
        Should::{Follow, Hold, Stay},
        column,
    },
};

const COLUMNS: &[Column] = &[
    column("Hold, one hot event", "calls/s", Hold),
    column("p50", "ms", Follow),
    column("p99", "ms", Follow),
    column("CPU of the server, a Hold", "us", Stay),
    column("CPU of Redis, a Hold", "us", Stay),
];

pub async fn run(stage: &mut Stage, scale: Scale) -> anyhow::Result<Series> {
    let server = stage.serve(0, &[]).await?;
    let mut series = Series::new("holders", "holds in flight", COLUMNS);
    for in_flight in [1, 8, 64, 512, 4_096] {
        let seats = scale.holds.min(in_flight * scale.holds / 8);
        let event_id = events::create(&server, &format!("hot-{in_flight}"), seats).await?;
        stage.settle().await?;
        let before = stage.spent(&server)?;
        let done = hold(&server, &places(&[event_id], 0, seats), in_flight).await?;
        let spent = stage.spent(&server)?.us_for_each(before, seats);
        let (p50, p99) = (done.took.quantile(0.5)?, done.took.quantile(0.99)?);
        series.push(in_flight, vec![done.rate, p50, p99, spent.server, spent.redis]);
    }
    Ok(series)
}

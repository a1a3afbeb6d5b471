//! More and more subscribers of one event.

use std::sync::Arc;

use super::{
    super::{
        events,
        options::Scale,
        stage::Stage,
        stream::{HOUSE, cost},
    },
    series::{
        Column, Series,
        Should::{Follow, Stay},
        column,
    },
};

const COLUMNS: &[Column] = &[
    column("CPU of the server, a message", "us", Stay),
    column("memory of the server, a subscriber", "KiB", Stay),
    column("p99 of the delay", "ms", Follow),
];

pub async fn run(stage: &mut Stage, scale: Scale) -> anyhow::Result<Series> {
    let mut series = Series::new("subscribers", "subscribers", COLUMNS);
    for (database, part) in (0..).zip([100, 10, 1]) {
        // Memory that a server had once it keeps.
        let server = stage.serve(database, &[]).await?;
        let event_id = events::create(&server, "watched", HOUSE).await?;
        let source = Some((Arc::new(stage.raw(database)?), event_id));
        let connections = scale.connections.div_ceil(part);
        let scale = Scale { subscribers: scale.subscribers / part, connections, ..scale };
        let cost = cost(stage, &server, source, scale).await?;
        let figures = vec![cost.cpu_us_per_message, cost.kib_per_subscriber, cost.p99_ms];
        series.push(scale.subscribers, figures);
        stage.end(server.pid).await?;
    }
    Ok(series)
}

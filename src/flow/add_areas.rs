//! AddAreas: a chart grows by areas, or areas grow.

use std::sync::Arc;

use super::{Error, Flows};
use crate::domain::{Area, EventId};

impl Flows {
    /// Adds areas, or raises their capacity; answers those named as they are
    /// then.
    pub async fn add_areas(
        self: &Arc<Self>,
        event_id: EventId,
        areas: Vec<Area>,
    ) -> Result<Vec<Area>, Error> {
        let _span = crate::telemetry::flow("add_areas");
        // 1. Prices are fixed with the event, so they are checked by its chart.
        let mut named = Vec::new();
        for (i, area) in areas.iter().enumerate() {
            named.push((format!("areas[{i}].price_category_id"), &area.price_category_id));
        }
        self.check_prices(&event_id, named).await?;
        // 2. Postgres, with a note in the outbox that Redis must follow.
        // 3. Redis, and with it everybody who watches.
        let growth = self.ledger.add_areas(&event_id, &areas).await?;
        self.follow_growth(&event_id, growth).await?;
        let event = self.event_anew(&event_id).await.map_err(Error::after_a_change)?;
        let is_named = |area: &&Area| areas.iter().any(|named| named.area_id == area.area_id);
        Ok(event.chart.areas.iter().filter(is_named).cloned().collect())
    }
}

//! AddSeats: a chart grows by seats.

use std::sync::Arc;

use super::{Error, Flows};
use crate::{
    domain::{EventId, FieldViolation, PriceCategoryId, Refusal, Row, Section, SectionId},
    ledger::Growth,
};

/// What a caller asks for.
#[derive(Debug)]
pub struct AddSeatsRequest {
    pub event_id: EventId,
    pub section_id: SectionId,
    /// For a section that is made.
    pub section_name: String,
    pub rows: Vec<Row>,
}

impl Flows {
    /// Adds seats to a section, which is made where it is missing; answers the
    /// section as it is then.
    pub async fn add_seats(self: &Arc<Self>, request: AddSeatsRequest) -> Result<Section, Error> {
        let _span = crate::telemetry::flow("add_seats");
        let AddSeatsRequest { event_id, section_id, section_name, rows } = request;
        // 1. Prices are fixed with the event, so they are checked by its chart.
        let mut named = Vec::new();
        for (r, row) in rows.iter().enumerate() {
            for (s, seat) in row.seats.iter().enumerate() {
                let field = format!("rows[{r}].seats[{s}].price_category_id");
                named.push((field, &seat.price_category_id));
            }
        }
        self.check_prices(&event_id, named).await?;
        // 2. Postgres gives out the numbers, with a note that Redis must follow.
        let growth = self.ledger.add_seats(&event_id, &section_id, &section_name, &rows).await?;
        // 3. Redis, and with it everybody who watches.
        self.follow_growth(&event_id, growth).await?;
        let event = self.event_anew(&event_id).await.map_err(Error::after_a_change)?;
        let section = event.chart.sections.iter().find(|section| section.section_id == section_id);
        section.cloned().ok_or_else(|| Error::internal("a section has gone"))
    }

    /// Redis, and the caches, come up to what Postgres has: also where nothing was written
    /// now, since whoever wrote it before may not have come to this.
    pub(super) async fn follow_growth(
        self: &Arc<Self>,
        event_id: &EventId,
        growth: Growth,
    ) -> Result<(), Error> {
        let followed = match growth {
            Growth::Unchanged => self.configure_event(event_id).await,
            Growth::Grown { outbox_id } => self.configure(event_id, outbox_id).await,
        };
        followed.map_err(Error::after_a_change)
    }

    /// # Errors
    /// [`Refusal::InvalidField`] with every price category that the chart does
    /// not have.
    pub(super) async fn check_prices(
        &self,
        event_id: &EventId,
        named: Vec<(String, &PriceCategoryId)>,
    ) -> Result<(), Error> {
        let event = self.event(event_id).await?;
        let violations: Vec<_> = named
            .into_iter()
            .filter(|(_, category)| event.chart.price(category).is_none())
            .map(|(field, _)| FieldViolation {
                field,
                description: "must be a price category of the event's chart".into(),
            })
            .collect();
        match violations.is_empty() {
            true => Ok(()),
            false => Err(Refusal::InvalidField(violations).into()),
        }
    }
}

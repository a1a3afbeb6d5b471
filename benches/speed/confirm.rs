//! Confirm beside pgbench: the same statement, and the usual transaction.

use super::{
    events::{self, confirm_bodies, places},
    hold::{call_of, hold},
    load::in_flight,
    options::Scale,
    pgbench::{Pgbench, Script},
    results::Results,
    stage::Stage,
    wire::CONFIRM,
};

const IN_FLIGHT: usize = 64;
/// One sale in so many is of the hot event; the others are of these in turn.
pub const HOT_ONE_IN: usize = 5;
pub const OTHERS: usize = 20;

/// Rows `confirm_*`.
pub async fn run(
    stage: &mut Stage,
    scale: Scale,
    rounds: u32,
    results: &mut Results,
) -> anyhow::Result<()> {
    let server = stage.serve(0, &[]).await?;
    let (of_hot, of_others) = (scale.confirms / HOT_ONE_IN, scale.confirms / OTHERS);
    let rounds = rounds as usize;
    let hot = events::create(&server, "hot", rounds * of_hot).await?;
    let others = events::create_many(&server, "other-", OTHERS, rounds * of_others).await?;
    let pgbench = Pgbench::new(stage, scale.confirms, rounds * Script::ALL.len() * 2).await?;
    for round in 0..rounds {
        println!("  confirm, round {}", round + 1);
        let mut of_hot = places(std::slice::from_ref(&hot), round * of_hot, of_hot).into_iter();
        let count = scale.confirms - of_hot.len();
        let mut of_others = places(&others, round * of_others, count).into_iter();
        let mixed = (0..scale.confirms).filter_map(|i| match i % HOT_ONE_IN {
            0 => of_hot.next(),
            _ => of_others.next(),
        });
        let mixed: Vec<_> = mixed.collect();
        hold(&server, &mixed, IN_FLIGHT).await?;

        stage.settle().await?;
        let call = call_of(&server, CONFIRM, confirm_bodies(&mixed))?;
        let before = stage.spent(&server)?;
        let confirmed = in_flight(mixed.len(), IN_FLIGHT, call).await?.rate;
        stage.settle().await?;
        let spent = stage.spent(&server)?.us_for_each(before, mixed.len());
        results.figure("Confirm: CPU of Postgres, a sale", spent.postgres, "us");
        results.figure("Confirm: CPU of the server, a sale", spent.server, "us");
        results.figure("Confirm, 64 in flight, 20% on a hot event", confirmed, "calls/s");
        let mut rates = Vec::new();
        for script in Script::ALL {
            for clients in [IN_FLIGHT, 16] {
                stage.settle().await?;
                let tag = round * Script::ALL.len() * 2 + rates.len();
                let rate = pgbench.run(stage, script, clients, tag).await?;
                let name = format!("pgbench, {clients} clients, {}", script.name());
                results.figure(&name, rate, "calls/s");
                rates.push(rate);
            }
        }
        results.ratio("confirm_to_statement", confirmed / rates[0])?;
        results.ratio("confirm_to_transaction_64", confirmed / rates[2])?;
        results.ratio("confirm_to_transaction", confirmed / rates[3])?;
        results.ratio("confirm_to_bare", confirmed / rates[5])?;
    }
    Ok(())
}

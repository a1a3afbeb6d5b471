//! The demo event, and how to go on from here.

use std::net::SocketAddr;

use anyhow::Context as _;
use secrecy::ExposeSecret;

use super::house;
use crate::{
    app::App,
    config::Stores,
    proto::{CreateEventRequest, catalog_service_client::CatalogServiceClient},
};

/// The house of the demo event.
pub const GOLDEN_HALL: &str = include_str!("../../examples/houses/golden-hall.toml");

/// Loads the demo event by the call that any user makes; again is the same.
pub async fn load(grpc_addr: SocketAddr) -> anyhow::Result<String> {
    let request: CreateEventRequest = house::draw(GOLDEN_HALL)?;
    let (seats, areas) = house::count(&request);
    let mut catalog = CatalogServiceClient::connect(format!("http://{grpc_addr}")).await?;
    let answer = catalog.create_event(request).await.context("cannot create the demo event")?;
    let event = answer.into_inner().event.unwrap_or_default();
    Ok(format!("{:?}: {seats} seats, {areas} standing places", event.event_id))
}

/// Addresses, and three commands to paste.
pub fn welcome(app: &App, stores: &Stores) -> String {
    let (grpc, http) = (app.grpc_addr, app.http_addr);
    let (postgres, redis) = (stores.postgres_url.expose_secret(), stores.redis_url.expose_secret());
    let client = Client::found();
    let list = client.call(grpc, "CatalogService/ListEvents", "{}");
    let seats = r#""seat_ids":["parterre-left:1:1","parterre-left:1:2"]"#;
    let hold = format!(r#"{{"event_id":"demo","holder_id":"ann",{seats}}}"#);
    let hold = client.call(grpc, "ReservationService/Hold", &hold);
    let stream =
        client.call(grpc, "ReservationService/StreamSeatUpdates", r#"{"event_id":"demo"}"#);
    format!(
        "
Holdfast is ready.

  gRPC      {grpc}  (also gRPC-Web, reflection, health)
  HTTP      http://{http}/readyz  /livez  /metrics
  Seat map  http://{http}/  live; for operators http://{http}/ops
  Postgres  {postgres}
  Redis     {redis}

List the events:

  {list}

Hold two seats:

  {hold}

Watch the house change, in another terminal:

  {stream}

Ctrl-C stops all of it; the data stays."
    )
}

/// A command-line client that speaks gRPC by reflection.
#[derive(Clone, Copy)]
enum Client {
    Grpcurl,
    Buf,
    /// By npm, which fetches it when it is first called.
    Npx,
}

impl Client {
    fn found() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let has = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).exists());
        match (has("grpcurl"), has("buf")) {
            (true, _) => Self::Grpcurl,
            (_, true) => Self::Buf,
            _ => Self::Npx,
        }
    }

    fn call(self, addr: SocketAddr, method: &str, request: &str) -> String {
        let method = format!("holdfast.v1.{method}");
        let buf = match self {
            Self::Grpcurl => return format!("grpcurl -plaintext -d '{request}' {addr} {method}"),
            Self::Buf => "buf",
            Self::Npx => "npx --yes @bufbuild/buf",
        };
        format!(
            "{buf} curl --protocol grpc --http2-prior-knowledge -d '{request}' \\\n      \
             http://{addr}/{method}"
        )
    }
}

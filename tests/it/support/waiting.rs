//! Parties on a waiting list, before a house that is sold out.

use holdfast::proto::{
    self, WaitingListEntry, WaitingListState as State,
    waiting_list_service_client::WaitingListServiceClient,
};
use tonic::{Status, Streaming, transport::Channel};
use uuid::Uuid;

use super::{EVENT, Server, Stage, eventually, hold_request, ms, small_event};

/// The service of a server.
#[derive(Clone)]
pub struct Lists(WaitingListServiceClient<Channel>);

/// A request to join the list of [`EVENT`], with an id of its own.
pub fn party(holder_id: &str, party_size: i32) -> proto::JoinWaitingListRequest {
    proto::JoinWaitingListRequest {
        event_id: EVENT.into(),
        entry_id: Uuid::now_v7().to_string(),
        holder_id: holder_id.into(),
        party_size,
        ..Default::default()
    }
}

impl Lists {
    pub async fn of(server: &Server) -> Self {
        let url = format!("http://{}", server.app.grpc_addr);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self(WaitingListServiceClient::new(channel))
    }

    pub async fn join(
        &self,
        request: proto::JoinWaitingListRequest,
    ) -> Result<WaitingListEntry, Status> {
        let answer = self.0.clone().join_waiting_list(request).await?;
        Ok(answer.into_inner().entry.unwrap())
    }

    pub async fn get(&self, entry: &WaitingListEntry) -> Result<WaitingListEntry, Status> {
        let request = proto::GetWaitingListEntryRequest {
            event_id: entry.event_id.clone(),
            entry_id: entry.entry_id.clone(),
            holder_id: entry.holder_id.clone(),
        };
        let answer = self.0.clone().get_waiting_list_entry(request).await?;
        Ok(answer.into_inner().entry.unwrap())
    }

    pub async fn leave(&self, entry: &WaitingListEntry) -> Result<WaitingListEntry, Status> {
        let request = proto::LeaveWaitingListRequest {
            event_id: entry.event_id.clone(),
            entry_id: entry.entry_id.clone(),
            holder_id: entry.holder_id.clone(),
        };
        let answer = self.0.clone().leave_waiting_list(request).await?;
        Ok(answer.into_inner().entry.unwrap())
    }

    pub async fn stream(
        &self,
        entry: &WaitingListEntry,
    ) -> Result<Streaming<proto::StreamWaitingListEntryResponse>, Status> {
        let request = proto::StreamWaitingListEntryRequest {
            event_id: entry.event_id.clone(),
            entry_id: entry.entry_id.clone(),
            holder_id: entry.holder_id.clone(),
        };
        Ok(self.0.clone().stream_waiting_list_entry(request).await?.into_inner())
    }

    /// Waits until an entry is in a state; answers it.
    pub async fn until(&self, entry: &WaitingListEntry, state: State) -> WaitingListEntry {
        eventually(&format!("{} is {state:?}", entry.holder_id), async || {
            let now = self.get(entry).await.unwrap();
            (now.state() == state).then_some(now)
        })
        .await
    }
}

/// [`EVENT`] with an offer time of its own, every seat of it held: a hold for each row,
/// A first.
pub async fn sold_out(offer_ttl_ms: u64) -> (Stage, Vec<proto::Hold>) {
    let stage = Stage::empty().await;
    let mut request = small_event(EVENT);
    request.event.as_mut().unwrap().offer_ttl = ms(offer_ttl_ms);
    stage.server.create_event(request).await.unwrap();
    let mut rows = Vec::new();
    for row in 'A'..='J' {
        let seats: Vec<String> = (1..=10).map(|number| format!("{row}-{number}")).collect();
        let seats: Vec<&str> = seats.iter().map(String::as_str).collect();
        let request = hold_request(&format!("row-{row}"), &seats);
        rows.push(stage.server.hold(request).await.unwrap());
    }
    (stage, rows)
}

/// The hold that was offered to an entry.
pub async fn offered(server: &Server, entry: &WaitingListEntry) -> proto::Hold {
    assert_eq!(entry.state(), State::Offered);
    server.get_hold(&entry.event_id, &entry.hold_id).await.unwrap()
}

//! Connections to the servers, and what an answer comes to.

use std::fmt;

use anyhow::{Context as _, ensure};
use tonic::{
    Code, Response, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::{
    config::LoadCommon,
    limits::{LOAD_CALL_TIMEOUT, LOAD_MAX_ANSWER_BYTES, MAX_STREAMS_PER_CONNECTION},
    proto::{
        catalog_service_client::CatalogServiceClient, queue_service_client::QueueServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
};

/// A client of one connection; a copy shares the connection.
pub type Reservations = ReservationServiceClient<Channel>;

/// Connections, spread over the servers.
#[derive(Debug)]
pub struct Clients {
    channels: Vec<Channel>,
}

impl Clients {
    /// Connects all of them.
    ///
    /// # Errors
    /// Where a server's URL is none, or nobody answers there.
    pub async fn connect(common: &LoadCommon) -> anyhow::Result<Self> {
        let count = usize::try_from(common.connections)?;
        let servers = &common.servers;
        ensure!(count >= servers.len(), "each server needs a connection: --connections");
        let mut channels = Vec::with_capacity(count);
        for server in servers.iter().cycle().take(count) {
            let endpoint = Endpoint::from_shared(server.clone())
                .ok()
                .filter(|endpoint| endpoint.uri().scheme_str() == Some("http"))
                .with_context(|| format!("{server} is no URL like http://127.0.0.1:50051"))?;
            let endpoint = endpoint.timeout(LOAD_CALL_TIMEOUT).tcp_nodelay(true);
            let channel = endpoint.connect().await.map_err(|error| {
                let error = anyhow::Error::from(error);
                anyhow::anyhow!("no server answers at {server}: {}", error.root_cause())
            });
            channels.push(channel?);
        }
        Ok(Self { channels })
    }

    /// The connection of one of many workers.
    pub fn of(&self, worker: usize) -> Reservations {
        ReservationServiceClient::new(self.channels[worker % self.channels.len()].clone())
            .max_decoding_message_size(LOAD_MAX_ANSWER_BYTES)
    }

    pub fn queues(&self, worker: usize) -> QueueServiceClient<Channel> {
        QueueServiceClient::new(self.channels[worker % self.channels.len()].clone())
    }

    pub fn catalog(&self, worker: usize) -> CatalogServiceClient<Channel> {
        CatalogServiceClient::new(self.channels[worker % self.channels.len()].clone())
            .max_decoding_message_size(LOAD_MAX_ANSWER_BYTES)
    }
}

/// Whether the connections carry so many calls or streams at a time; `what` is the
/// flag that asks for them.
///
/// # Errors
/// Where they do not: the others would wait in this program.
pub fn fit(what: &str, count: u32, common: &LoadCommon) -> anyhow::Result<()> {
    let needed = count.div_ceil(MAX_STREAMS_PER_CONNECTION);
    ensure!(
        common.connections >= needed,
        "{what}: {count} need at least {needed} --connections: one carries \
         {MAX_STREAMS_PER_CONNECTION}"
    );
    Ok(())
}

/// What an error says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum No {
    /// A definite no, by its reason: nothing was changed.
    Refused(String),
    /// Anything else, by its code: a mutation may have taken effect.
    Failed(String),
}

impl fmt::Display for No {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Refused(name) | Self::Failed(name)) = self;
        f.write_str(name)
    }
}

impl From<&Status> for No {
    fn from(status: &Status) -> Self {
        use Code::{
            AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, ResourceExhausted,
        };
        let definite =
            [InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, ResourceExhausted];
        match status.get_details_error_info() {
            Some(info) if definite.contains(&status.code()) => Self::Refused(info.reason),
            _ => Self::Failed(code_name(status.code())),
        }
    }
}

/// An answer, or what its error says.
pub fn told<T>(answer: Result<Response<T>, Status>) -> Result<T, No> {
    answer.map(Response::into_inner).map_err(|status| No::from(&status))
}

/// What to tell of a call that had to go well.
pub fn why(status: &Status) -> anyhow::Error {
    anyhow::anyhow!("{}: {}", No::from(status), status.message())
}

/// A code as the gRPC documents write it, such as `DEADLINE_EXCEEDED`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}

//! Connections to the servers, and what an answer comes to.

use std::{fmt, sync::Arc};

use anyhow::ensure;
use tonic::{Code, Response, Status};
use tonic_types::StatusExt as _;

use super::retry::{Connections, Link, Retry};
use crate::{
    client,
    config::LoadCommon,
    limits::{DEFAULT_MAX_STREAMS_PER_CONNECTION, LOAD_CALL_TIMEOUT, LOAD_MAX_ANSWER_BYTES},
    proto::{
        catalog_service_client::CatalogServiceClient, queue_service_client::QueueServiceClient,
        reservation_service_client::ReservationServiceClient,
    },
};

/// A client of one connection; a copy shares the connection.
pub type Reservations = ReservationServiceClient<Connections>;

/// Connections, spread over the servers.
#[derive(Debug)]
pub struct Clients {
    links: Arc<[Arc<Link>]>,
    retry: Option<Arc<Retry>>,
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
        let retry = common.retry.as_deref().map(Retry::read).transpose()?.map(Arc::new);
        let mut links = Vec::with_capacity(count);
        for server in servers.iter().cycle().take(count) {
            let connect = client::connect(server, &common.client, |endpoint| {
                endpoint.timeout(LOAD_CALL_TIMEOUT).tcp_nodelay(true)
            });
            links.push(Link::new(connect.await?));
        }
        if retry.is_some() {
            links.iter().for_each(Link::follow_health);
        }
        Ok(Self { links: links.into(), retry })
    }

    /// The connection of one of many workers.
    pub fn of(&self, worker: usize) -> Reservations {
        ReservationServiceClient::new(self.connections(worker))
            .max_decoding_message_size(LOAD_MAX_ANSWER_BYTES)
    }

    fn connections(&self, worker: usize) -> Connections {
        let (links, first) = (self.links.clone(), worker % self.links.len());
        Connections { links, first, retry: self.retry.clone() }
    }

    /// How many calls were made again; `None` where none would be.
    pub fn called_again(&self) -> Option<u64> {
        self.retry.as_ref().map(|retry| retry.count())
    }

    pub fn queues(&self, worker: usize) -> QueueServiceClient<Connections> {
        QueueServiceClient::new(self.connections(worker))
    }

    pub fn catalog(&self, worker: usize) -> CatalogServiceClient<Connections> {
        CatalogServiceClient::new(self.connections(worker))
            .max_decoding_message_size(LOAD_MAX_ANSWER_BYTES)
    }
}

/// Whether the connections carry so many calls or streams at a time; `what` is the
/// flag that asks for them.
///
/// # Errors
/// Where they do not: the others would wait in this program.
pub fn fit(what: &str, count: u32, common: &LoadCommon) -> anyhow::Result<()> {
    let needed = count.div_ceil(DEFAULT_MAX_STREAMS_PER_CONNECTION);
    ensure!(
        common.connections >= needed,
        "{what}: {count} need at least {needed} --connections: one carries \
         {DEFAULT_MAX_STREAMS_PER_CONNECTION}"
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

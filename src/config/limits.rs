//! The flags of how much may come in.

use clap::{Args, value_parser};

use crate::limits::{
    DEFAULT_FIRST_CALL_SECONDS, DEFAULT_IDLE_SECONDS, DEFAULT_MAX_CALLS,
    DEFAULT_MAX_CALLS_A_SECOND, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_HEADER_BYTES,
    DEFAULT_MAX_HTTP_CONNECTIONS, DEFAULT_MAX_STREAMS, DEFAULT_MAX_STREAMS_PER_CONNECTION,
    DEFAULT_REQUEST_SECONDS, DOOR_SECONDS, HEADER_BYTES, MAX_COUNT_SET, share,
};

/// How much may come in at a time. A caller is who a token or certificate names, or else
/// an address: of IPv6, a network of 64 bits.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Connections to the gRPC port; more are closed at once.
    #[arg(long, env = "HOLDFAST_MAX_CONNECTIONS", default_value_t = DEFAULT_MAX_CONNECTIONS,
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_connections: u32,
    /// Connections to either port from one address; three quarters of all where not given.
    #[arg(long, env = "HOLDFAST_MAX_CONNECTIONS_PER_ADDRESS",
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_connections_per_address: Option<u32>,
    /// HTTP/2 streams of one connection, which clients are told as it begins.
    #[arg(long, env = "HOLDFAST_MAX_STREAMS_PER_CONNECTION",
          default_value_t = DEFAULT_MAX_STREAMS_PER_CONNECTION,
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_streams_per_connection: u32,
    /// Bytes of a call's headers.
    #[arg(long, env = "HOLDFAST_MAX_HEADER_BYTES", default_value_t = DEFAULT_MAX_HEADER_BYTES,
          value_parser = value_parser!(u32).range(HEADER_BYTES))]
    pub max_header_bytes: u32,
    /// Seconds that a connection may be open before its first call is there.
    #[arg(long, env = "HOLDFAST_MAX_FIRST_CALL_SECONDS",
          default_value_t = DEFAULT_FIRST_CALL_SECONDS,
          value_parser = value_parser!(u16).range(DOOR_SECONDS))]
    pub max_first_call_seconds: u16,
    /// Seconds that a connection may have no call; then it is ended in good order.
    #[arg(long, env = "HOLDFAST_MAX_IDLE_SECONDS", default_value_t = DEFAULT_IDLE_SECONDS,
          value_parser = value_parser!(u16).range(DOOR_SECONDS))]
    pub max_idle_seconds: u16,
    /// Seconds that a request may take to arrive once its call has begun.
    #[arg(long, env = "HOLDFAST_MAX_REQUEST_SECONDS", default_value_t = DEFAULT_REQUEST_SECONDS,
          value_parser = value_parser!(u16).range(DOOR_SECONDS))]
    pub max_request_seconds: u16,
    /// Unary calls in flight, in all. Health, and what operators alone may call, are
    /// counted by themselves.
    #[arg(long, env = "HOLDFAST_MAX_CALLS", default_value_t = DEFAULT_MAX_CALLS,
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_calls: u32,
    /// Unary calls in flight of one method; three quarters of all where not given.
    #[arg(long, env = "HOLDFAST_MAX_CALLS_PER_METHOD",
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_calls_per_method: Option<u32>,
    /// Unary calls in flight of one caller; three quarters of all where not given.
    #[arg(long, env = "HOLDFAST_MAX_CALLS_PER_CALLER",
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_calls_per_caller: Option<u32>,
    /// Calls of one caller a second, streams' beginnings with them; 0 is no limit.
    #[arg(long, env = "HOLDFAST_MAX_CALLS_A_SECOND_PER_CALLER",
          default_value_t = DEFAULT_MAX_CALLS_A_SECOND,
          value_parser = value_parser!(u32).range(0..=MAX_COUNT_SET))]
    pub max_calls_a_second_per_caller: u32,
    /// Streams in all; they do not count as calls in flight.
    #[arg(long, env = "HOLDFAST_MAX_STREAMS", default_value_t = DEFAULT_MAX_STREAMS,
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_streams: u32,
    /// Streams of one caller; three quarters of all where not given.
    #[arg(long, env = "HOLDFAST_MAX_STREAMS_PER_CALLER",
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_streams_per_caller: Option<u32>,
    /// Connections to the HTTP port; more are closed at once.
    #[arg(long, env = "HOLDFAST_MAX_HTTP_CONNECTIONS",
          default_value_t = DEFAULT_MAX_HTTP_CONNECTIONS,
          value_parser = value_parser!(u32).range(1..=MAX_COUNT_SET))]
    pub max_http_connections: u32,
}

impl Limits {
    /// Of `all` connections, those of one address.
    pub fn per_address(&self, all: u32) -> u32 {
        self.max_connections_per_address.unwrap_or(share(all))
    }

    pub fn calls_per_method(&self) -> u32 {
        self.max_calls_per_method.unwrap_or(share(self.max_calls))
    }

    pub fn calls_per_caller(&self) -> u32 {
        self.max_calls_per_caller.unwrap_or(share(self.max_calls))
    }

    pub fn streams_per_caller(&self) -> u32 {
        self.max_streams_per_caller.unwrap_or(share(self.max_streams))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: DEFAULT_MAX_CONNECTIONS,
            max_connections_per_address: None,
            max_streams_per_connection: DEFAULT_MAX_STREAMS_PER_CONNECTION,
            max_header_bytes: DEFAULT_MAX_HEADER_BYTES,
            max_first_call_seconds: DEFAULT_FIRST_CALL_SECONDS,
            max_idle_seconds: DEFAULT_IDLE_SECONDS,
            max_request_seconds: DEFAULT_REQUEST_SECONDS,
            max_calls: DEFAULT_MAX_CALLS,
            max_calls_per_method: None,
            max_calls_per_caller: None,
            max_calls_a_second_per_caller: DEFAULT_MAX_CALLS_A_SECOND,
            max_streams: DEFAULT_MAX_STREAMS,
            max_streams_per_caller: None,
            max_http_connections: DEFAULT_MAX_HTTP_CONNECTIONS,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        limits: Limits,
    }

    #[test]
    fn what_nothing_is_said_of_is_the_default() {
        assert_eq!(Flags::parse_from(["holdfast"]).limits, Limits::default());
    }
}

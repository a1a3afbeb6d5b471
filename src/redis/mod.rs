//! The way to Redis: which server has a key, the connections to it, and what its
//! errors mean. It knows nothing of what is kept there; `holds` and the other rooms
//! that keep something in Redis come this way.

mod deployment;
mod error;
mod link;
mod node;
mod probe;
mod routes;

pub use error::Error;
pub use link::Links;
pub(crate) use link::Sent;
pub use node::Incarnation;
pub(crate) use node::Node;

// The client's own words, for the rooms that speak to Redis.
pub(crate) use deadpool_redis::redis::{
    FromRedisValue, RedisResult, Script, Value, aio::MultiplexedConnection, cmd, streams,
};

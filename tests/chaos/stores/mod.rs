//! The stores under test: real ones, private, durable, each behind links that
//! can be broken.

mod cluster;
mod node;
mod postgres;
mod redis;
mod sentinel;

pub use node::Node;
pub use postgres::PostgresStore;
pub use redis::RedisStore;

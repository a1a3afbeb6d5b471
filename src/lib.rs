//! Holdfast: a seat and ticket reservation backend that never sells a seat
//! twice.
//!
//! The rooms, in the order in which a request meets them; `docs/ARCHITECTURE.md`
//! walks through them.

pub mod proto;

pub mod app;
pub mod batch;
pub mod config;
pub mod health;
pub mod limits;
pub mod telemetry;

pub mod grpc;
pub mod http;

pub mod flow;

pub mod domain;

pub mod holds;

pub mod ledger;

pub mod feed;

pub mod jobs;

pub mod dev;

//! Holdfast: a seat and ticket reservation backend that never sells a seat
//! twice.
//!
//! The rooms, in the order in which a request meets them; `docs/ARCHITECTURE.md`
//! walks through them.

pub mod proto;

pub mod app;
pub mod batch;
pub mod config;
pub mod failpoint;
pub mod health;
pub mod limits;
#[cfg(feature = "mutants")]
pub mod mutants;
pub mod reload;
pub mod telemetry;

pub mod connections;
mod deadline;
pub mod tls;

pub mod access;
pub mod grpc;
pub mod http;

pub mod flow;

pub mod domain;

pub mod holds;

pub mod cache;

pub mod presence;

pub mod queue;

pub mod redis;

pub mod ledger;

pub mod payments;

pub mod feed;

pub mod mail;

pub mod webhooks;

pub mod jobs;

pub mod audit;

pub mod client;

pub mod inspect;

pub mod load;

pub mod dev;

#[cfg(all(feature = "failpoints", not(debug_assertions)))]
compile_error!("failpoints and mutants are for the chaos run, never for a release");

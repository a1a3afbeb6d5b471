//! The contract, as generated from `proto/`: messages, servers, clients, and
//! the descriptors for reflection.

#![allow(clippy::all, clippy::pedantic, missing_docs, reason = "generated")]

/// Every file of the contract, its comments included, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/holdfast.bin"));

pub mod google {
    pub mod r#type {
        tonic::include_proto!("google.r#type");
    }
}

pub mod holdfast {
    pub mod v1 {
        tonic::include_proto!("holdfast.v1");

        /// What a message is about.
        pub trait Ids {
            /// The event's id, the hold's, and the order's; empty where it names none.
            fn ids(&self) -> [&str; 3];
        }

        include!(concat!(env!("OUT_DIR"), "/ids.rs"));
    }
}

pub use holdfast::v1::*;

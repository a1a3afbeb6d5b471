//! What each method takes.

use std::{collections::HashMap, sync::LazyLock};

use crate::domain::Role;
use Needed::{Nothing, Role as Of};
use Role::{Confirmer, Operator, Reserver, Viewer};

/// What a caller has to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Needed {
    /// Not even a name.
    Nothing,
    /// This role, or a larger one.
    Role(Role),
}

/// By path. A test holds it against what reflection lists.
const METHODS: [(&str, Role); 50] = [
    ("/holdfast.v1.CatalogService/GetEvent", Viewer),
    ("/holdfast.v1.CatalogService/ListEvents", Viewer),
    ("/holdfast.v1.CatalogService/SearchEvents", Viewer),
    ("/holdfast.v1.CatalogService/CreateEvent", Operator),
    ("/holdfast.v1.CatalogService/UpdateEvent", Operator),
    ("/holdfast.v1.CatalogService/AddSeats", Operator),
    ("/holdfast.v1.CatalogService/AddAreas", Operator),
    ("/holdfast.v1.CatalogService/BlockSeats", Operator),
    ("/holdfast.v1.CatalogService/UnblockSeats", Operator),
    ("/holdfast.v1.ChannelService/AllocateSeats", Operator),
    ("/holdfast.v1.ChannelService/AllocateArea", Operator),
    ("/holdfast.v1.ChannelService/FreeAllocation", Operator),
    ("/holdfast.v1.ChannelService/ListAllocations", Operator),
    ("/holdfast.v1.ChannelService/ListChannelActions", Operator),
    ("/holdfast.v1.CheckoutService/CreateOrder", Reserver),
    ("/holdfast.v1.CheckoutService/GetOrder", Reserver),
    ("/holdfast.v1.CheckoutService/ListOrders", Reserver),
    ("/holdfast.v1.CheckoutService/CancelOrder", Reserver),
    ("/holdfast.v1.CheckoutService/RefundOrder", Confirmer),
    ("/holdfast.v1.OperatorService/ForceReleaseHold", Operator),
    ("/holdfast.v1.OperatorService/ForceExtendHold", Operator),
    ("/holdfast.v1.OperatorService/ReassignHold", Operator),
    ("/holdfast.v1.OperatorService/ListOperatorActions", Operator),
    ("/holdfast.v1.OperatorService/ListOpenHolds", Operator),
    ("/holdfast.v1.OperatorService/Drain", Operator),
    ("/holdfast.v1.OrderEventService/StreamOrderEvents", Confirmer),
    ("/holdfast.v1.OrderEventService/CreateWebhook", Operator),
    ("/holdfast.v1.OrderEventService/ListWebhooks", Operator),
    ("/holdfast.v1.OrderEventService/DeleteWebhook", Operator),
    ("/holdfast.v1.OrderEventService/ReplayWebhook", Operator),
    ("/holdfast.v1.OrderEventService/ListDeadLetters", Operator),
    ("/holdfast.v1.OrderEventService/RetryDeadLetters", Operator),
    ("/holdfast.v1.PresenceService/Heartbeat", Viewer),
    ("/holdfast.v1.PresenceService/Leave", Viewer),
    ("/holdfast.v1.PresenceService/GetPresence", Viewer),
    ("/holdfast.v1.QueueService/Join", Reserver),
    ("/holdfast.v1.QueueService/StreamPosition", Reserver),
    ("/holdfast.v1.QueueService/Leave", Reserver),
    ("/holdfast.v1.ReservationService/Hold", Reserver),
    ("/holdfast.v1.ReservationService/ChangeHold", Reserver),
    ("/holdfast.v1.ReservationService/ExtendHold", Reserver),
    ("/holdfast.v1.ReservationService/Release", Reserver),
    ("/holdfast.v1.ReservationService/Confirm", Confirmer),
    ("/holdfast.v1.ReservationService/GetHold", Reserver),
    ("/holdfast.v1.ReservationService/GetSeatMap", Viewer),
    ("/holdfast.v1.ReservationService/StreamSeatUpdates", Viewer),
    ("/holdfast.v1.WaitingListService/JoinWaitingList", Reserver),
    ("/holdfast.v1.WaitingListService/GetWaitingListEntry", Reserver),
    ("/holdfast.v1.WaitingListService/StreamWaitingListEntry", Reserver),
    ("/holdfast.v1.WaitingListService/LeaveWaitingList", Reserver),
];

/// Health is for whoever probes; reflection, where it is on, for whoever asks.
const OPEN: [&str; 2] = ["/grpc.health.", "/grpc.reflection."];

/// What a call of `method`, the path of an RPC, takes. Of what there is not, only
/// somebody who is known is told so.
pub fn needed(method: &str) -> Needed {
    if OPEN.iter().any(|open| method.starts_with(open)) {
        return Nothing;
    }
    static BY_PATH: LazyLock<HashMap<&str, Role>> = LazyLock::new(|| METHODS.into());
    Of(BY_PATH.get(method).copied().unwrap_or(Viewer))
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;
    use crate::proto::FILE_DESCRIPTOR_SET;

    #[test]
    fn every_method_of_the_contract_is_listed_and_no_other() {
        let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
        let mut there = Vec::new();
        for file in set.file.iter().filter(|file| file.package() == "holdfast.v1") {
            for service in &file.service {
                for method in &service.method {
                    there.push(format!("/holdfast.v1.{}/{}", service.name(), method.name()));
                }
            }
        }
        let mut listed = METHODS.map(|(path, _)| path.to_owned());
        there.sort();
        listed.sort();
        assert_eq!(there, listed);
    }
}

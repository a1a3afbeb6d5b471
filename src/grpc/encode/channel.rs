//! What ChannelService answers.

use super::{signed, timestamp};
use crate::{
    domain::{Allocation, Area, ChannelActionKind, ChannelKey, PastAction},
    proto,
};

pub fn allocation(channel: &ChannelKey, kept: Allocation) -> proto::Allocation {
    proto::Allocation {
        channel: channel.to_string(),
        seat_ids: kept.seat_ids.iter().map(ToString::to_string).collect(),
        areas: kept.shares.into_iter().map(area_share).collect(),
    }
}

fn area_share(share: Area) -> proto::AreaShare {
    proto::AreaShare {
        area_id: share.area_id.to_string(),
        share_of: share.share_of.map(|area_id| area_id.to_string()).unwrap_or_default(),
        capacity: signed(share.capacity),
    }
}

pub fn channel_action(past: PastAction) -> proto::ChannelAction {
    let action = past.action;
    proto::ChannelAction {
        kind: match action.kind {
            ChannelActionKind::Allocate => proto::ChannelActionKind::Allocate,
            ChannelActionKind::Free => proto::ChannelActionKind::Free,
            ChannelActionKind::Override => proto::ChannelActionKind::Override,
        }
        .into(),
        channel: action.channel.map(|channel| channel.to_string()).unwrap_or_default(),
        hold_id: action.hold_id.map(|hold_id| hold_id.to_string()).unwrap_or_default(),
        seat_ids: action.seat_ids.iter().map(ToString::to_string).collect(),
        area_ids: action.area_ids.iter().map(ToString::to_string).collect(),
        actor: action.actor,
        reason: action.reason,
        create_time: Some(timestamp(past.create_time)),
    }
}

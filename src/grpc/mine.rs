//! Whether a caller may ask for what he asks, which only the request says.
//!
//! Who is bound to one holder calls for that one alone: a request that names another is
//! refused. What belongs to another is told as if it did not exist.

use std::sync::Arc;

use tonic::{Extensions, Request};

use crate::{
    access::{Needed, needed},
    domain::{Caller, HolderId, Refusal, Role},
    proto,
};

/// A request that says for which holder it is made.
pub trait ForHolder {
    /// The path of its method.
    const METHOD: &'static str;

    fn holder_id(&self) -> &str;

    /// Whether it reaches for what is kept for channels without their keys.
    fn overrides(&self) -> bool {
        false
    }
}

macro_rules! for_holder {
    ($($request:ident $method:literal $(, $overrides:ident)?;)*) => {$(
        impl ForHolder for proto::$request {
            const METHOD: &'static str = concat!("/holdfast.v1.", $method);

            fn holder_id(&self) -> &str {
                &self.holder_id
            }

            $(fn overrides(&self) -> bool {
                self.$overrides.is_some()
            })?
        }
    )*
    #[cfg(test)]
    const LISTED: &[&str] = &[$(stringify!($request)),*];
    };
}

for_holder! {
    HoldRequest "ReservationService/Hold", channel_override;
    ChangeHoldRequest "ReservationService/ChangeHold", channel_override;
    ExtendHoldRequest "ReservationService/ExtendHold";
    ReleaseRequest "ReservationService/Release";
    ConfirmRequest "ReservationService/Confirm";
    CreateOrderRequest "CheckoutService/CreateOrder";
    ListOrdersRequest "CheckoutService/ListOrders";
    JoinRequest "QueueService/Join";
    JoinWaitingListRequest "WaitingListService/JoinWaitingList";
    GetWaitingListEntryRequest "WaitingListService/GetWaitingListEntry";
    StreamWaitingListEntryRequest "WaitingListService/StreamWaitingListEntry";
    LeaveWaitingListRequest "WaitingListService/LeaveWaitingList";
}

/// The message of a request, where its caller may make it.
pub fn mine<T: ForHolder>(request: Request<T>) -> Result<T, Refusal> {
    let caller = caller(request.extensions());
    let message = request.get_ref();
    let required = |role| {
        let (method, bound_to) = (T::METHOD.to_owned(), caller.bound_to.clone());
        Refusal::RoleRequired { method, role, bound_to }
    };
    if caller.bound_to.as_ref().is_some_and(|only| only.as_str() != message.holder_id()) {
        return Err(required(match needed(T::METHOD) {
            Needed::Role(role) => role,
            Needed::Nothing => Role::Viewer,
        }));
    }
    if message.overrides() && caller.role < Role::Operator {
        return Err(required(Role::Operator));
    }
    Ok(request.into_inner())
}

/// Whether a caller may know of what is this holder's.
pub fn is_his(extensions: &Extensions, holder_id: &HolderId) -> bool {
    caller(extensions).may_act_for(holder_id)
}

/// Whether what a caller asks for has to be his own.
pub fn is_bound(extensions: &Extensions) -> bool {
    caller(extensions).bound_to.is_some()
}

fn caller(extensions: &Extensions) -> &Caller {
    extensions.get::<Arc<Caller>>().expect("whoever is let in is known")
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    /// Beside the operator's, who is bound to nobody.
    #[test]
    fn every_request_that_names_a_holder_is_listed() {
        let set = prost_types::FileDescriptorSet::decode(proto::FILE_DESCRIPTOR_SET).unwrap();
        let files = || set.file.iter().filter(|file| file.package() == "holdfast.v1");
        let has_holder = |name: &str| {
            let message = files().flat_map(|file| &file.message_type).find(|m| m.name() == name);
            message.unwrap().field.iter().any(|field| field.name() == "holder_id")
        };
        let mut named = Vec::new();
        for service in files().flat_map(|file| &file.service) {
            for method in &service.method {
                let path = format!("/holdfast.v1.{}/{}", service.name(), method.name());
                let request = method.input_type().rsplit('.').next().unwrap().to_owned();
                if has_holder(&request) && needed(&path) < Needed::Role(Role::Operator) {
                    named.push(request);
                }
            }
        }
        let mut listed = LISTED.to_vec();
        named.sort();
        listed.sort_unstable();
        assert_eq!(named, listed);
    }
}

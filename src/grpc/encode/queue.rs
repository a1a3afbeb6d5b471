//! Places in queues.

use super::timestamp;
use crate::{domain::QueuePosition, proto};

pub fn queue_position(position: QueuePosition) -> proto::QueuePosition {
    let count = |count| i64::try_from(count).unwrap_or(i64::MAX);
    proto::QueuePosition {
        ahead: count(position.ahead),
        waiting: count(position.waiting),
        estimated_wait: position.estimated_wait.and_then(|wait| wait.try_into().ok()),
        admission: position.admission.map(|admission| proto::Admission {
            admission_token: admission.token,
            expire_time: Some(timestamp(admission.expire_time)),
        }),
    }
}

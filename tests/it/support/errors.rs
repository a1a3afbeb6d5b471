//! What an error tells, read as a client reads it.

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// All that an error tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub code: Code,
    pub reason: String,
    /// Bad fields, unavailable seats, short areas, quotas, or a store: what each
    /// is about.
    pub subjects: Vec<String>,
}

/// The error of a call that must fail.
pub fn refusal<T: std::fmt::Debug>(result: Result<T, Status>) -> Told {
    let status = result.expect_err("must be refused");
    let details = status.get_error_details();
    let info = details.error_info().unwrap_or_else(|| panic!("no ErrorInfo: {status:?}"));
    assert_eq!(info.domain, "holdfast");
    let mut subjects = Vec::new();
    if let Some(bad) = details.bad_request() {
        subjects.extend(bad.field_violations.iter().map(|v| v.field.clone()));
    }
    if let Some(failure) = details.precondition_failure() {
        subjects.extend(failure.violations.iter().map(|v| format!("{} {}", v.r#type, v.subject)));
    }
    if let Some(quota) = details.quota_failure() {
        subjects.extend(quota.violations.iter().map(|v| v.subject.clone()));
    }
    if matches!(status.code(), Code::Unavailable) {
        let delay = details.retry_info().and_then(|info| info.retry_delay);
        let delay = delay.unwrap_or_else(|| panic!("no RetryInfo: {status:?}"));
        let pushback = status.metadata().get("grpc-retry-pushback-ms");
        let pushback = pushback.unwrap_or_else(|| panic!("no pushback: {status:?}"));
        assert_eq!(pushback.to_str().unwrap(), delay.as_millis().to_string());
    }
    subjects.extend(info.metadata.get("store").cloned());
    Told { code: status.code(), reason: info.reason.clone(), subjects }
}

/// The code and the reason of a call that must fail.
pub fn code_and_reason<T: std::fmt::Debug>(result: Result<T, Status>) -> (Code, String) {
    let told = refusal(result);
    (told.code, told.reason)
}

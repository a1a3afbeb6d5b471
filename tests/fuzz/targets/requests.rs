//! Any bytes as the request of any method: taken, or refused with what is wrong with it.
#![no_main]

use holdfast::grpc::fuzz;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: (u8, &[u8])| {
    let (method, request) = data;
    match fuzz::decode(method.into(), request) {
        None => {}
        Some(Ok(taken)) => {
            // Nothing that could be syntax in a key, a script or a log is let through
            // where an id is expected: what flows take is told by its Debug.
            assert!(!taken.contains("\\0") && !taken.contains('\0'), "{taken}");
        }
        Some(Err(violations)) => {
            assert!(!violations.is_empty());
            for (field, description) in violations {
                assert!(!description.is_empty(), "{field}");
            }
        }
    }
});

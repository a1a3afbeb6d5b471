//! The header `traceparent` of the W3C's Trace Context, version 00.

use super::Trace;

pub(super) const TRACEPARENT: &str = "traceparent";

/// The trace that a caller is in; `None` where the header is none.
pub(super) fn parse(header: &str) -> Option<Trace> {
    let mut parts = header.split('-');
    let mut hex = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits)?;
        let is_hex = part.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| u128::from_str_radix(part, 16).ok()).flatten()
    };
    let version = hex(2)?;
    let (trace_id, span_id, flags) = (hex(32)?, hex(16)?, hex(2)?);
    // Later versions may say more behind it.
    let is_whole = version != 0 || parts.next().is_none();
    let is_valid = version != 0xff && trace_id != 0 && span_id != 0 && is_whole;
    let span_id = u64::try_from(span_id).ok()?;
    is_valid.then_some(Trace { trace_id, span_id, sampled: flags & 1 == 1 })
}

/// For whoever is called.
pub(super) fn print(trace: &Trace) -> String {
    let Trace { trace_id, span_id, sampled } = trace;
    format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(*sampled))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_is_printed_is_read() {
        let trace = parse(HEADER).unwrap();
        assert!(trace.sampled);
        assert_eq!(print(&trace), HEADER);
        assert!(!parse(&HEADER.replace("-01", "-00")).unwrap().sampled);
        let later = HEADER.replacen("00", "01", 1) + "-more";
        assert_eq!(parse(&later).map(|trace| trace.span_id), Some(0xb7ad_6b71_6920_3331));
    }

    #[test]
    fn what_is_none_is_not_read() {
        for bad in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-éaf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}

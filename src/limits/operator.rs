//! What operators may do, and how much of it is told at once.

use std::time::Duration;

/// The shortest that an operator lets a hold live on: long enough to be noted and done.
pub const MIN_FORCED_TTL: Duration = Duration::from_secs(1);
/// Actions of one page.
pub const MAX_OPERATOR_ACTIONS_PAGE: u32 = 200;
/// Open holds of one page.
pub const MAX_OPEN_HOLDS_PAGE: u32 = 500;
/// How often `holdfast drain --wait` asks.
pub const DRAIN_LOOK: Duration = Duration::from_millis(200);
/// Holds that `holdfast holds` reads at a time.
pub const HOLDS_PAGE: usize = 500;
/// Things that happened to one seat which `holdfast why` tells, the latest.
pub const MAX_WHY_LINES: usize = 10_000;
/// How long `holdfast drain --wait` waits where nothing else is said.
pub const DEFAULT_DRAIN_WAIT_SECONDS: u32 = 30;

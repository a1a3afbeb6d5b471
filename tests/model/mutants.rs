//! The guards of the protocol, each by the name under which it can be off.

use super::properties as p;
use Mutant::*;

/// A guard that is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Confirm does not fence the hold in Redis.
    NoFence,
    /// A sale whose answer was lost is looked up; "absent" frees its seats.
    FreeOnAbsent,
    /// Statements do not compare the epoch.
    NoEpochCheck,
    /// A sale whose answer was lost leaves its hold active again.
    UnfenceAfterUnknown,
    /// Scripts do not compare the incarnation.
    NoIncarnationCheck,
    /// A new epoch begins without the holds of the journal.
    RebuildWithoutJournal,
    /// A hold that is being confirmed is ended before it has run out.
    AbortBeforeExpiry,
    /// Hold looks whether seats are free in one step, and takes them in another.
    CheckThenSetHold,
    /// A hold that could not be journaled is undone, whatever became of it.
    GiveBackUnconditionally,
    /// Also an attempt that only met the hold undoes it.
    GiveBackByARepeat,
    /// Also a hold that has run out is undone.
    GiveBackAfterExpiry,
    /// The journal takes an older state of a hold over a newer one.
    JournalWithoutSeqGuard,
    /// Tickets have no unique (event, seat).
    NoUniqueSeat,
    /// A Confirm is refused for good, and no outcome row says so.
    AnswerNoWithoutOutcomeRow,
    /// A hold of the journal that lacks one of its seats now is left out whole.
    RebuildWholeOrNothing,
    /// What the log still has is salvaged while old connections may add to it.
    SalvageUnsealed,
    /// A load whose answer was lost is sent once more.
    LoadSentAgain,
    /// Whoever looks for a hold that Redis does not have finds a sale of it only
    /// where the journal has the hold, too.
    LookInTheJournalAlone,
    /// A sale is remembered in a new epoch only where the journal has its hold.
    ForgetUnjournaledSales,
}

/// Guards that are off together, and what that breaks.
pub struct Control {
    pub without: &'static [Mutant],
    pub scenario: &'static str,
    pub breaks: &'static str,
}

const fn control(
    without: &'static [Mutant],
    scenario: &'static str,
    breaks: &'static str,
) -> Control {
    Control { without, scenario, breaks }
}

/// Guards that are needed alone.
pub const CONTROLS: [Control; 19] = [
    control(&[NoFence], "two customers, no loss", p::NO_SALE_OVER_A_HOLD),
    control(&[FreeOnAbsent], "two customers, no loss", p::NO_IS_HONEST),
    control(&[NoEpochCheck], "a loss", p::NO_SALE_OVER_A_HOLD),
    control(&[UnfenceAfterUnknown], "two customers, no loss", p::NO_SALE_OVER_A_HOLD),
    control(&[NoIncarnationCheck], "a journaled hold, a loss", p::HOLDS_EXCLUDE),
    control(&[RebuildWithoutJournal], "a journaled hold, a loss", p::HOLDS_EXCLUDE),
    control(&[RebuildWithoutJournal], "another incarnation, no loss", p::HOLDS_EXCLUDE),
    control(&[AbortBeforeExpiry], "two customers, no loss", p::HOLDS_ARE_KEPT),
    control(&[CheckThenSetHold], "two customers, no loss", p::HOLDS_EXCLUDE),
    control(&[CheckThenSetHold], "the last unit", p::QUANTITY),
    control(&[GiveBackUnconditionally], "a hold twice, not journaled", p::HOLDS_EXCLUDE),
    control(&[GiveBackByARepeat], "a hold twice, not journaled", p::HOLDS_EXCLUDE),
    control(&[GiveBackAfterExpiry], "a hold twice, not journaled", p::HOLDS_ARE_KEPT),
    control(&[JournalWithoutSeqGuard], "an extended hold, a loss", p::HOLDS_EXCLUDE),
    control(&[AnswerNoWithoutOutcomeRow], "two customers, no loss", p::SAME_VERDICT),
    control(&[RebuildWholeOrNothing], "a seat given back alone, a loss", p::HOLDS_ARE_KEPT),
    control(&[SalvageUnsealed], "another incarnation, no loss", p::HOLDS_EXCLUDE),
    control(&[LoadSentAgain], "a journaled hold, flushed twice", p::HOLDS_EXCLUDE),
    control(&[ForgetUnjournaledSales], "one customer twice, a loss", p::QUANTITY),
];

/// Two guards of one promise: it breaks only where both are off.
pub const TWICE_GUARDED: [Control; 2] = [
    control(&[NoUniqueSeat, NoFence], "two customers, no loss", p::SOLD_ONCE),
    control(
        &[ForgetUnjournaledSales, LookInTheJournalAlone],
        "one customer twice, a loss",
        p::NO_IS_HONEST,
    ),
];

//! The program with one of its guards taken out, which the chaos run must
//! notice; see `docs/CHAOS.md`. Never in a release build.

use std::borrow::Cow;

/// A guard in a script or a statement, and what stands there without it.
struct Patch {
    is_on: bool,
    guard: &'static str,
    without: &'static str,
}

const PATCHES: [Patch; 9] = [
    Patch {
        is_on: cfg!(feature = "mutant-no-fence"),
        guard: "hold[STATE] = CONFIRMING\nput(id, hold)\n\
                redis.call('ZADD', DUE, hold[EXPIRES] + request.grace_ms, id)\n",
        without: "",
    },
    Patch {
        is_on: cfg!(feature = "mutant-abort-before-expiry"),
        guard: "redis.call('ZADD', DUE, hold[EXPIRES] + request.grace_ms, id)",
        without: "redis.call('ZADD', DUE, now, id)",
    },
    Patch {
        is_on: cfg!(feature = "mutant-no-incarnation-check"),
        guard: "if meta[1] ~= incarnation then",
        without: "if not meta[2] then",
    },
    Patch {
        is_on: cfg!(feature = "mutant-no-incarnation-check"),
        guard: "if meta[4] ~= incarnation then",
        without: "if not meta[1] then",
    },
    Patch {
        is_on: cfg!(feature = "mutant-check-then-set-hold"),
        guard: "local unavailable = doomed:add_owners(asked.seats)",
        without: "local unavailable = request.set and {} or doomed:add_owners(asked.seats)\n\
                  if #unavailable == 0 and not request.set then return {Held = made} end",
    },
    // What only reads cannot decide: an attempt under way may still commit.
    Patch {
        is_on: cfg!(feature = "mutant-free-on-absent"),
        guard: "INSERT INTO hold_outcomes (hold_id, event_id, outcome)
                SELECT id, $1, $4 FROM fence, unnest($3::uuid[]) AS id ORDER BY id
                ON CONFLICT (event_id, hold_id) DO NOTHING RETURNING hold_id",
        without: "SELECT id AS hold_id FROM fence, unnest($3::uuid[]) AS id
                WHERE $4::text <> '' AND NOT EXISTS (SELECT FROM hold_outcomes o
                    WHERE o.event_id = $1 AND o.hold_id = id)",
    },
    Patch {
        is_on: cfg!(feature = "mutant-no-epoch-check"),
        guard: "FROM asked JOIN fence USING (event_id, epoch) LEFT JOIN waiting",
        without: "FROM asked JOIN fence USING (event_id) LEFT JOIN waiting",
    },
    Patch {
        is_on: cfg!(feature = "mutant-no-epoch-check"),
        guard: "LEFT JOIN fence USING (event_id, epoch)\n    ), verdict",
        without: "LEFT JOIN fence USING (event_id)\n    ), verdict",
    },
    Patch {
        is_on: cfg!(feature = "mutant-rebuild-without-journal"),
        guard: " FROM holds h WHERE h.event_id = $1 AND h.expire_time",
        without: " FROM holds h WHERE false AND h.event_id = $1 AND h.expire_time",
    },
];

/// The text of a script or a statement as this build runs it.
pub fn patched(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for patch in PATCHES {
        if patch.is_on && text.contains(patch.guard) {
            text = text.replace(patch.guard, patch.without).into();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guard_is_there_to_be_taken_out() {
        let texts = [
            include_str!("holds/lua/prelude.lua"),
            include_str!("holds/lua/confirm.lua"),
            include_str!("holds/lua/snapshot.lua"),
            include_str!("holds/lua/hold.lua"),
            include_str!("ledger/outcomes.rs"),
            include_str!("ledger/confirm/statement.rs"),
            include_str!("ledger/epochs.rs"),
        ];
        for patch in PATCHES {
            assert!(texts.iter().any(|text| text.contains(patch.guard)), "{}", patch.guard);
        }
    }
}

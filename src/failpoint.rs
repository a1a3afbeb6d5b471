//! Places at which the chaos harness makes this program stumble; see
//! `docs/CHAOS.md`. Only with the feature `failpoints`; else each is nothing.

/// A place between two steps of a flow. Where the harness has armed it, the
/// program ends here, or waits, or the flow ends as if its connection broke.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        crate::failpoint::reach($name).await?;
    };
}
pub(crate) use failpoint;

#[cfg(feature = "failpoints")]
pub use armed::{Action, Dropped, State, arm, reach, states};

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        collections::BTreeMap,
        str::FromStr,
        sync::{LazyLock, Mutex, MutexGuard, PoisonError},
        time::Duration,
    };

    /// Every place there is.
    const NAMES: [&str; 49] = [
        "hold:asked",
        "hold:held",
        "hold:journaled",
        "hold:undone",
        "change:changed",
        "extend:extended",
        "force_release:settled",
        "force_extend:noted",
        "force_extend:extended",
        "operate:journaled",
        "reassign:noted",
        "reassign:reassigned",
        "reassign:journaled",
        "release:reduced",
        "release:asked",
        "confirm:fenced",
        "confirm:sold",
        "confirm:finished",
        "confirm:decided",
        "end:settled",
        "end:finished",
        "expire:listed",
        "expire:settled",
        "expire:finished",
        "outbox:claimed",
        "outbox:told",
        "journal:read",
        "load:locked",
        "load:journaled",
        "load:begun",
        "load:loaded",
        "channels:written",
        "share:noted",
        "share:withdrawn",
        "share:moved",
        "order:extended",
        "order:made",
        "cancel:released",
        "payment:noted",
        "payment:held_again",
        "payment:due",
        "payment:settled",
        "stale:claimed",
        "stale:settled",
        "refund:noted",
        "refund:asked",
        "offer:begun",
        "offer:held",
        "offer:made",
    ];

    /// What happens at an armed place.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Action {
        /// The program ends at once.
        Abort,
        Sleep(Duration),
        /// The flow ends as if its connection broke.
        Drop,
    }

    impl FromStr for Action {
        type Err = &'static str;

        fn from_str(text: &str) -> Result<Self, Self::Err> {
            match text.split_once(' ').unwrap_or((text, "")) {
                ("abort", "") => Ok(Self::Abort),
                ("drop", "") => Ok(Self::Drop),
                ("sleep", ms) => {
                    let ms = ms.parse().map_err(|_| "sleep takes milliseconds")?;
                    Ok(Self::Sleep(Duration::from_millis(ms)))
                }
                _ => Err("must be abort, drop or sleep MS"),
            }
        }
    }

    /// How a place is armed, and how often it was.
    #[derive(Debug, Clone, Copy, Default)]
    pub struct State {
        /// What it does, and how many times yet.
        pub armed: Option<(u32, Action)>,
        pub fired: u32,
    }

    /// The flow was to end here.
    #[derive(Debug, Clone, Copy, thiserror::Error)]
    #[error("dropped at {0}")]
    pub struct Dropped(&'static str);

    static STATES: LazyLock<Mutex<BTreeMap<&'static str, State>>> =
        LazyLock::new(|| Mutex::new(NAMES.map(|name| (name, State::default())).into()));

    fn lock() -> MutexGuard<'static, BTreeMap<&'static str, State>> {
        STATES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every place, as it is now.
    pub fn states() -> BTreeMap<&'static str, State> {
        lock().clone()
    }

    /// Arms a place for so many times, 0 disarms it; answers whether there is
    /// such a place.
    pub fn arm(name: &str, times: u32, action: Action) -> bool {
        let mut states = lock();
        let Some(state) = states.get_mut(name) else { return false };
        state.armed = (times > 0).then_some((times, action));
        true
    }

    /// Passes a place.
    ///
    /// # Errors
    /// [`Dropped`] where it is armed so.
    pub async fn reach(name: &'static str) -> Result<(), Dropped> {
        let action = {
            let mut states = lock();
            let state = states.get_mut(name).expect("every place is in NAMES; a test compares");
            let Some((times, action)) = state.armed else { return Ok(()) };
            state.armed = (times > 1).then_some((times - 1, action));
            state.fired += 1;
            action
        };
        tracing::warn!(name, ?action, "failpoint");
        match action {
            Action::Abort => std::process::abort(),
            Action::Sleep(span) => tokio::time::sleep(span).await,
            Action::Drop => return Err(Dropped(name)),
        }
        Ok(())
    }
}

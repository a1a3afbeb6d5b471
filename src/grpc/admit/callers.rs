//! What each caller has under way.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};

use super::{KINDS, Kind};
use crate::{connections::network, limits::CALLERS_KEPT};

/// All of whom something is known: who has anything under way, and others until there are
/// too many.
pub struct Callers {
    named: Known<String>,
    unnamed: Known<IpAddr>,
}

struct Known<K> {
    all: RwLock<HashMap<K, Arc<Has>>>,
    /// With so many, those who have nothing under way are forgotten.
    full_at: AtomicUsize,
    quota: Option<Quota>,
}

/// What one caller has under way.
pub struct Has {
    /// By [`Kind`].
    counts: [AtomicUsize; KINDS],
    rate: Option<DefaultDirectRateLimiter>,
}

impl Callers {
    /// `quota` is each caller's.
    pub fn new(quota: Option<Quota>) -> Self {
        Self { named: Known::new(quota), unnamed: Known::new(quota) }
    }

    pub fn find(&self, name: Option<&str>, address: IpAddr) -> Arc<Has> {
        match name {
            Some(name) => self.named.find(name),
            None => self.unnamed.find(&network(address)),
        }
    }
}

impl<K: Eq + Hash> Known<K> {
    fn new(quota: Option<Quota>) -> Self {
        Self { all: RwLock::default(), full_at: AtomicUsize::new(CALLERS_KEPT), quota }
    }

    fn find<Q>(&self, caller: &Q) -> Arc<Has>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(has) = all.get(caller) {
            return has.clone();
        }
        drop(all);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= self.full_at.load(Relaxed) {
            all.retain(|_, has| Arc::strong_count(has) > 1);
            // Looked through again only once as many have come.
            self.full_at.store(CALLERS_KEPT.max(2 * all.len()), Relaxed);
        }
        all.entry(caller.to_owned()).or_insert_with(|| Has::new(self.quota)).clone()
    }
}

impl Has {
    fn new(quota: Option<Quota>) -> Arc<Self> {
        let counts = [const { AtomicUsize::new(0) }; KINDS];
        Arc::new(Self { counts, rate: quota.map(RateLimiter::direct) })
    }

    pub fn count(&self, kind: Kind) -> &AtomicUsize {
        &self.counts[kind as usize]
    }

    /// Takes one of this second's calls, or answers how long until there is one.
    pub fn must_wait(&self) -> Option<Duration> {
        let early = self.rate.as_ref()?.check().err()?;
        Some(early.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_network_are_one_caller() {
        let callers = Callers::new(None);
        let find = |address: &str| callers.find(None, address.parse().unwrap());
        assert!(Arc::ptr_eq(&find("2001:db8::1"), &find("2001:db8::2:3")));
        assert!(!Arc::ptr_eq(&find("2001:db8::1"), &find("2001:db8:0:1::1")));
        assert!(Arc::ptr_eq(&find("10.0.0.1"), &find("::ffff:10.0.0.1")));
        assert!(!Arc::ptr_eq(&find("10.0.0.1"), &find("10.0.0.2")));
        let named = |name| callers.find(Some(name), "10.0.0.1".parse().unwrap());
        assert!(Arc::ptr_eq(&named("ann"), &named("ann")));
        assert!(!Arc::ptr_eq(&named("ann"), &named("bob")));
    }

    #[test]
    fn who_asks_for_nothing_any_more_is_forgotten() {
        let known = Known::<String>::new(None);
        let busy = known.find("busy");
        busy.count(Kind::Unary).store(7, Relaxed);
        for n in 0..3 * CALLERS_KEPT {
            known.find(n.to_string().as_str());
            assert!(known.all.read().unwrap().len() <= CALLERS_KEPT);
        }
        assert_eq!(known.find("busy").count(Kind::Unary).load(Relaxed), 7);
        // Where all are busy, they are all known.
        let all: Vec<_> = (0..2 * CALLERS_KEPT).map(|n| known.find(&*n.to_string())).collect();
        for (n, has) in all.iter().enumerate() {
            assert!(Arc::ptr_eq(has, &known.find(&*n.to_string())));
        }
    }
}

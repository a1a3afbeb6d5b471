//! How many connections a door has: in all, and from each address.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::telemetry;

/// Of one door.
pub struct Connections {
    door: &'static str,
    most: usize,
    most_of_an_address: usize,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

/// A connection that may be served; it counts until this is dropped.
pub struct Place {
    connections: Arc<Connections>,
    network: IpAddr,
}

impl Connections {
    pub fn new(door: &'static str, most: u32, most_of_an_address: u32) -> Arc<Self> {
        let (most, most_of_an_address) = (most as usize, most_of_an_address as usize);
        Arc::new(Self { door, most, most_of_an_address, open: Mutex::default() })
    }

    /// A place for a connection from an address, where there is one. Who gets none is to
    /// be closed at once: a client that waits does not try another server.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let network = network(address);
        let mut open = self.open();
        let of_network = open.by_network.get(&network).copied().unwrap_or_default();
        let over = match () {
            () if of_network >= self.most_of_an_address => "max_connections_per_address",
            () if open.all >= self.most => "max_connections",
            () => {
                open.all += 1;
                open.by_network.insert(network, of_network + 1);
                telemetry::connections(self.door).increment(1);
                return Some(Place { connections: self.clone(), network });
            }
        };
        drop(open);
        self.closed(over);
        None
    }

    /// Notes a connection that some limit closes.
    pub fn closed(&self, limit: &'static str) {
        telemetry::connection_closed(self.door, limit);
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open();
        open.all -= 1;
        if let Some(of_network) = open.by_network.get_mut(&self.network) {
            *of_network -= 1;
            if *of_network == 0 {
                open.by_network.remove(&self.network);
            }
        }
        telemetry::connections(self.connections.door).decrement(1);
    }
}

/// Who one address belongs to: whoever has one of IPv6 has 2^64 of them.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_in_all_and_by_network() {
        let connections = Connections::new("test", 3, 2);
        let enter = |address: &str| connections.enter(address.parse().unwrap());
        let (first, second) = (enter("2001:db8::1").unwrap(), enter("2001:db8::2").unwrap());
        assert!(enter("2001:db8::3").is_none(), "one network");
        let third = enter("10.0.0.1").unwrap();
        assert!(enter("10.0.0.2").is_none(), "three in all");
        drop(first);
        let fourth = enter("::ffff:10.0.0.1").unwrap();
        assert!(enter("2001:db8::3").is_none(), "three again");
        drop(second);
        assert!(enter("10.0.0.1").is_none(), "one address, however it is written");
        drop((third, fourth));
        assert!(connections.open().by_network.is_empty());
    }
}

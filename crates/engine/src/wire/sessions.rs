//! TLS sessions kept for resumption, and the choice of the connections that may use them.
//!
//! A connection that may not resume shows nothing of an earlier session, as a new customer would. Its own tickets are
//! kept all the same, so that the next one that may resume finds one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::NamedGroup;

use crate::rng::{self, Purpose};
use crate::status::lock;

/// Tickets of TLS 1.3 kept for each endpoint of a shard, the newest. Each serves once (RFC 8446, C.4).
const TICKETS_MAX: usize = 256;

/// Which new TLS connections may resume: pure in (seed, connection number).
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    seed: u64,
    ratio: f64,
    number: u64,
    stride: u64,
}

impl Chance {
    /// For shard `shard` of `shards`, whose connections are numbered `shard`, `shard + shards` …
    #[must_use]
    pub fn new(seed: u64, ratio: f64, shard: u64, shards: u64) -> Self {
        Self {
            seed,
            ratio,
            number: shard,
            stride: shards,
        }
    }

    /// Whether any connection may.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.ratio > 0.0
    }

    /// Whether the next connection may.
    pub fn draw(&mut self) -> bool {
        let number = self.number;
        self.number = number.wrapping_add(self.stride);
        rng::unit(rng::hash(self.seed, Purpose::Resumption, number)) < self.ratio
    }
}

#[derive(Debug, Default)]
struct Kept {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
}

/// What rustls asks for sessions. One lock for each endpoint of a shard, taken by the shard's thread only.
#[derive(Debug)]
struct Store {
    kept: Arc<Mutex<Kept>>,
    may_resume: bool,
    keeps: bool,
}

/// Two ways into one store of an endpoint: that of connections that may not resume, and that of those that may.
/// `keeps`: some connection may.
pub fn resumptions(keeps: bool) -> [Resumption; 2] {
    let kept = Arc::new(Mutex::new(Kept::default()));
    [false, true].map(|may_resume| {
        Resumption::store(Arc::new(Store {
            kept: kept.clone(),
            may_resume,
            keeps,
        }))
    })
}

impl ClientSessionStore for Store {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        lock(&self.kept).group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        lock(&self.kept).group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        if self.keeps {
            lock(&self.kept).tls12 = Some(value);
        }
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        if !self.may_resume {
            return None;
        }
        lock(&self.kept).tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        if self.may_resume {
            lock(&self.kept).tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        if !self.keeps {
            return;
        }
        let tickets = &mut lock(&self.kept).tls13;
        if tickets.len() == TICKETS_MAX {
            tickets.pop_front();
        }
        tickets.push_back(value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        if !self.may_resume {
            return None;
        }
        lock(&self.kept).tls13.pop_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_pure_and_keeps_its_ratio_over_any_number_of_shards() {
        let draws = |shards: u64| {
            let mut all: Vec<(u64, bool)> = (0..shards)
                .flat_map(|shard| {
                    let mut chance = Chance::new(9, 0.3, shard, shards);
                    (0..12_000 / shards).map(move |turn| (shard + turn * shards, chance.draw()))
                })
                .collect();
            all.sort_unstable();
            all
        };
        let one = draws(1);
        assert_eq!(one, draws(3));
        let may = one.iter().filter(|(_, may)| *may).count();
        assert!(may.abs_diff(3600) < 200, "{may}");
        let never = (0..1000).any(|_| Chance::new(9, 0.0, 0, 1).draw());
        let mut always = Chance::new(9, 1.0, 0, 1);
        assert!(!never && (0..1000).all(|_| always.draw()));
    }
}

//! The source ports of legs that come from an address of ours: a pool for every list of addresses that a service or a
//! network names, and each way packets of a port find their worker.
//!
//! Invariant: pools are made between packets, when services are exchanged, and never go away: their ports may be out.

use super::super::network::Side;
use crate::proxy::source_ports::Limits;
use crate::proxy::{Endpoint, Ownership, ProxyLimits, ProxySpec, Source, SourcePorts, TakeError};
use crate::settings::Steering;
use crate::steer::{Reta, Toeplitz};
use l3l4::Addr;
use std::sync::Arc;

/// A source port that is out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pool: u16,
    endpoint: Endpoint,
    pub(crate) own: (Addr, u16),
}

struct Pool {
    own: Box<[Addr]>,
    /// Whether replies are brought home by their hash.
    hashed: bool,
    ports: SourcePorts,
}

/// See the module.
pub(crate) struct Pools {
    pools: Vec<Pool>,
    limits: Limits,
    secret: [u8; 16],
    toeplitz: Arc<Toeplitz>,
    reta: Arc<Reta>,
    workers: u16,
    worker: u16,
}

/// Whether the packets of a port come to the worker that their hash names.
pub(crate) fn is_hashed(steering: Steering, workers: u16) -> bool {
    workers > 1 && matches!(steering, Steering::Rss | Steering::Software)
}

impl Pools {
    pub(crate) fn new(
        limits: &ProxyLimits,
        toeplitz: Arc<Toeplitz>,
        reta: Arc<Reta>,
        (worker, workers): (u16, u16),
    ) -> Self {
        let secret = limits.secret;
        let limits = Limits {
            range: limits.source_ports.clone(),
            endpoints: limits.endpoints,
            pool: usize::from(u16::MAX),
        };
        Self { pools: Vec::new(), limits, secret, toeplitz, reta, workers, worker }
    }

    /// Makes the pools that a service needs, and those of the networks' own addresses.
    pub(crate) fn prepare(&mut self, sides: &[Side], spec: &ProxySpec) {
        let Source::Own(addresses) = &spec.source else { return };
        self.prepare_own(sides);
        if !addresses.is_empty() {
            sides.iter().for_each(|side| self.make(addresses, is_hashed(side.steering, self.workers)));
        }
    }

    /// Makes the pools of the networks' own addresses, one for each address.
    pub(crate) fn prepare_own(&mut self, sides: &[Side]) {
        for side in sides {
            for own in side.segments.iter().flat_map(|segment| segment.owned.addresses()) {
                self.make(&[*own], is_hashed(side.steering, self.workers));
            }
        }
    }

    fn make(&mut self, own: &[Addr], hashed: bool) {
        if self.find(own, hashed).is_some() || self.pools.len() >= usize::from(u16::MAX) {
            return;
        }
        let ownership = match hashed {
            false if self.workers == 1 => Ownership::All,
            false => Ownership::Share { workers: self.workers, worker: self.worker },
            true => Ownership::Hashed {
                toeplitz: Arc::clone(&self.toeplitz),
                reta: Arc::clone(&self.reta),
                workers: self.workers,
                worker: self.worker,
            },
        };
        // The range was checked where it was read.
        if let Ok(ports) = SourcePorts::new(own, ownership, &self.limits, self.secret) {
            self.pools.push(Pool { own: own.into(), hashed, ports });
        }
    }

    fn find(&self, own: &[Addr], hashed: bool) -> Option<usize> {
        self.pools.iter().position(|pool| pool.hashed == hashed && *pool.own == *own)
    }

    /// Whether legs go from this address of ours to this server.
    pub(crate) fn goes_to(&self, own: Addr, endpoint: Endpoint) -> bool {
        self.pools.iter().any(|pool| pool.own.contains(&own) && pool.ports.knows(endpoint))
    }

    /// An address and port towards `endpoint`.
    pub(crate) fn take(
        &mut self,
        own: &[Addr],
        hashed: bool,
        endpoint: Endpoint,
    ) -> Result<Taken, TakeError> {
        let at = self.find(own, hashed).ok_or(TakeError::NoAddress)?;
        let pool = self.pools.get_mut(at).ok_or(TakeError::NoAddress)?;
        Ok(Taken { pool: at as u16, endpoint, own: pool.ports.take(endpoint)? })
    }

    pub(crate) fn give_back(&mut self, taken: Taken) {
        if let Some(pool) = self.pools.get_mut(usize::from(taken.pool)) {
            pool.ports.give_back(taken.endpoint, taken.own);
        }
    }

    /// Another one instead of one whose five-tuple is in use.
    pub(crate) fn exchange(&mut self, taken: Taken) -> Result<Taken, TakeError> {
        let pool = self.pools.get_mut(usize::from(taken.pool)).ok_or(TakeError::NoAddress)?;
        Ok(Taken { own: pool.ports.exchange(taken.endpoint, taken.own)?, ..taken })
    }
}

#[cfg(test)]
impl Pools {
    /// Ports that are out towards these, and what came back that was not out.
    pub(super) fn out(&self, endpoints: &[Endpoint]) -> (u64, u64) {
        let out =
            self.pools.iter().flat_map(|pool| endpoints.iter().map(|end| u64::from(pool.ports.out(*end))));
        (out.sum(), self.pools.iter().map(|pool| pool.ports.refused().strays).sum())
    }
}

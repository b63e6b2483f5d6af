//! What `Context` hears of flows that no application is behind: legs of sessions, and health checks.
//!
//! Invariant: a leg goes by the services that its session was begun under, whatever is reloaded meanwhile.

use super::{CHECK, Of, UPSTREAM_LEG};
use crate::worker::context::{Companion, Context, Edition};
use crate::worker::network::Side;
use crate::worker::states::Kept;
use l3l4::{Conn, Datagram, FlowId, FlowKey};

impl Context {
    /// What is kept of a flow that was opened from here, or whose SYN waits for its answer.
    #[cold]
    pub(crate) fn begin_companion(
        &mut self,
        companion: &mut Companion,
        id: FlowId,
        key: &FlowKey,
        user: u64,
    ) {
        if user & CHECK != 0 {
            if let Some((at, mac)) = self.proxies.check_opened(id) {
                (companion.mac, companion.state) = (mac, Kept::Check(at));
            }
        } else if user & UPSTREAM_LEG != 0 {
            if let Some((at, mac)) = self.proxies.opening() {
                (companion.mac, companion.state) = (mac, Kept::Session(at));
                companion.edition = self.proxies.opened(at, id).unwrap_or(companion.edition);
            }
        } else if let Some(of) = of(&self.sides, &self.editions, companion) {
            match self.proxies.open(id, key, user, of) {
                Some(at) => {
                    companion.state = Kept::Session(at);
                    self.proxies.begin_held(at);
                }
                None => self.proxies.turn_away(id),
            }
        }
    }

    /// Something changed for a connection that no application is behind.
    pub(crate) fn proxy_rx(&mut self, conn: &mut Conn<'_>) {
        let id = conn.id();
        if self.companions[id.index()].state == Kept::Blank && self.is_old(id) {
            let key = *conn.key();
            self.renew(id, &key);
        }
        let Self { companions, editions, sides, proxies, .. } = self;
        let companion = &mut companions[id.index()];
        if let Kept::Check(at) = companion.state {
            return proxies.on_check(at, conn);
        }
        let Some(of) = of(sides, editions, companion) else { return conn.abort() };
        if let Kept::Session(at) = companion.state {
            return proxies.on_conn(at, conn, of);
        }
        let (key, user) = (*conn.key(), conn.user());
        match proxies.open(id, &key, user, of) {
            Some(at) => {
                companion.state = Kept::Session(at);
                proxies.greet(at, conn, of);
            }
            None => conn.abort(),
        }
    }

    pub(crate) fn proxy_datagram(&mut self, datagram: &mut Datagram<'_>) {
        let id = datagram.id();
        if self.companions[id.index()].state == Kept::Blank && self.is_old(id) {
            self.renew(id, datagram.key());
        }
        let Self { companions, editions, sides, proxies, .. } = self;
        let companion = &mut companions[id.index()];
        let Some(of) = of(sides, editions, companion) else { return };
        if let Kept::Session(at) = companion.state {
            return proxies.on_datagram(at, datagram, of);
        }
        if let Some(at) = proxies.open(id, datagram.key(), datagram.user(), of) {
            companion.state = Kept::Session(at);
            proxies.greet_datagram(at, datagram, of);
        }
    }
}

/// How a flow is proxied.
pub(crate) fn of<'a>(
    sides: &'a [Side],
    editions: &'a [Option<Edition>],
    companion: &Companion,
) -> Option<Of<'a>> {
    let edition = editions[usize::from(companion.edition)].as_ref()?;
    let spec = edition.proxies.get(usize::from(companion.service))?.as_deref()?;
    Some(Of { sides, spec, service: companion.service, edition: companion.edition })
}

//! Health checks, made by the worker from its own ports like any connection of ours.
//!
//! Invariant: each server is checked by one worker, the one that its number names, and its verdict is told to all through
//! its [`ServerStatus`]. A check holds one flow and one source port, until that flow is gone.

use super::pools::{Taken, is_hashed};
use super::route::{self, Way};
use super::{CHECK, Proxies, Todo};
use crate::neighbour::{Mac, Probe};
use crate::proxy::health::{Check, Checker, Due, HttpProgress, HttpStatus, Plan};
use crate::proxy::{CheckKind, Endpoint, Health, ServerStatus};
use crate::worker::Worker;
use core::ops::RangeInclusive;
use l3l4::{Conn, FlowId, FlowKey, Instant, Protocol};
use std::sync::Arc;

/// Checks begun or given up in one step.
const PER_STEP: usize = 32;

/// What a server is asked.
#[derive(Clone)]
enum Question {
    /// Whether it accepts a connection.
    Tcp,
    /// An HTTP request, and the statuses that are fine.
    Http(Arc<[u8]>, RangeInclusive<u16>),
}

/// A server that this worker looks after.
struct Target {
    endpoint: Endpoint,
    status: Arc<ServerStatus>,
    question: Question,
    plan: Plan,
}

/// A check that has begun; it stays until its flow is gone, whatever its result.
struct Asked {
    check: Check,
    way: Way,
    flow: Option<FlowId>,
    source: Option<Taken>,
    said: bool,
    answer: HttpStatus,
    /// The station is known or has been asked for.
    probed: bool,
}

/// The checks of one worker.
pub(super) struct Checks {
    checker: Checker,
    /// By number of the server, as is the next.
    targets: Vec<Option<Target>>,
    asked: Vec<Option<Asked>>,
    /// Servers whose station is not known yet.
    pending: Vec<u16>,
    opening: Option<(Check, Mac)>,
}

impl Checks {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            checker: Checker::new(Instant::default(), seed),
            targets: Vec::new(),
            asked: Vec::new(),
            pending: Vec::new(),
            opening: None,
        }
    }

    fn target(&self, server: u16) -> Option<&Target> {
        self.targets.get(usize::from(server))?.as_ref()
    }

    fn asked(&mut self, check: Check) -> Option<&mut Asked> {
        let asked = self.asked.get_mut(usize::from(check.server()))?.as_mut()?;
        (asked.check == check).then_some(asked)
    }
}

impl Proxies {
    /// Looks after the servers of the groups as they are now, between packets.
    pub(super) fn prepare_checks(&mut self) {
        let now = self.now;
        let mut targets: Vec<Option<Target>> = Vec::new();
        for balance in &self.upstreams.groups {
            let Some(health) = &balance.health else { continue };
            for (at, server) in balance.servers.iter().enumerate() {
                if server.number % self.workers != self.worker {
                    continue;
                }
                let question = match &health.kind {
                    CheckKind::Tcp => Question::Tcp,
                    CheckKind::Http { requests, expect } => {
                        let Some(request) = requests.get(at) else { continue };
                        Question::Http(Arc::clone(request), expect.clone())
                    }
                };
                let number = usize::from(server.number);
                targets.resize_with(targets.len().max(number + 1), || None);
                targets[number] = Some(Target {
                    endpoint: server.endpoint,
                    status: Arc::clone(&server.status),
                    question,
                    plan: Plan::from(health),
                });
            }
        }
        let formers = core::mem::take(&mut self.checks.targets);
        for (number, former) in (0_u16..).zip(&formers) {
            let Some(former) = former else { continue };
            let stays = targets.get(usize::from(number)).and_then(Option::as_ref);
            if !stays.is_some_and(|target| Arc::ptr_eq(&target.status, &former.status)) {
                // It is gone, or has another address: what is known of it counts no more.
                self.checks.checker.forget(number);
                former.status.set_health(Health::Unknown);
                self.drop_check(usize::from(number));
            }
        }
        for (number, target) in (0_u16..).zip(&targets) {
            if let Some(target) = target {
                self.checks.checker.watch(number, target.plan, now);
            }
        }
        self.checks.asked.resize_with(targets.len().max(self.checks.asked.len()), || None);
        self.checks.targets = targets;
    }

    /// Nobody waits for the result of a check any more: its place is for checks to come.
    fn drop_check(&mut self, server: usize) {
        match self.checks.asked.get_mut(server) {
            Some(Some(Asked { flow: Some(flow), .. })) => self.todo.push_back(Todo::Abort(*flow)),
            Some(asked) => *asked = None,
            None => {}
        }
    }

    /// Servers are not looked after any more; what is said of them stands.
    pub(super) fn end_checks(&mut self) {
        for number in 0..core::mem::take(&mut self.checks.targets).len() {
            self.checks.checker.forget(number as u16);
            self.drop_check(number);
        }
        self.checks.pending.clear();
    }

    /// A check has its result.
    fn checked(&mut self, check: Check, good: bool) {
        let (checker, now) = (&mut self.checks.checker, self.now);
        let change = if good { checker.succeeded(check, now) } else { checker.failed(check, now) };
        let counters = self.server_counters(check.server());
        *(if good { &mut counters.checks_passed } else { &mut counters.checks_failed }) += 1;
        self.judge(check.server(), change);
    }

    fn judge(&mut self, server: u16, change: Option<Health>) {
        if let Some((target, health)) = self.checks.target(server).zip(change) {
            target.status.set_health(health);
            if health == Health::Up {
                // Whatever made sessions fail is over.
                target.status.eject_until(0);
            }
        }
    }

    /// The flow of a check was opened.
    pub(crate) fn check_opened(&mut self, id: FlowId) -> Option<(u32, Mac)> {
        let (check, mac) = self.checks.opening?;
        self.checks.asked(check)?.flow = Some(id);
        Some((check.to_bits(), mac))
    }

    /// Something changed for the flow of a check.
    pub(crate) fn on_check(&mut self, bits: u32, conn: &mut Conn<'_>) {
        let check = Check::from_bits(bits);
        let question = self.checks.target(check.server()).map(|target| target.question.clone());
        let (Some(question), Some(asked)) = (question, self.checks.asked(check)) else { return conn.abort() };
        let good = match question {
            Question::Tcp => true,
            Question::Http(request, expect) => {
                if !core::mem::replace(&mut asked.said, true) {
                    conn.send(&request);
                }
                let mut progress = HttpProgress::Pending;
                while conn.pending() > 0 {
                    let part = conn.data();
                    let len = part.len();
                    progress = asked.answer.push(part);
                    conn.take(len);
                }
                match progress {
                    HttpProgress::Pending if !conn.peer_closed() => return,
                    HttpProgress::Status(status) => expect.contains(&status),
                    HttpProgress::Pending | HttpProgress::Invalid => false,
                }
            }
        };
        conn.abort();
        self.checked(check, good);
    }

    /// The flow of a check is gone; without a result by then it has failed.
    pub(crate) fn on_check_closed(&mut self, bits: u32) {
        let check = Check::from_bits(bits);
        if self.checks.asked(check).is_none() {
            return;
        }
        let asked = self.checks.asked.get_mut(usize::from(check.server())).and_then(Option::take);
        if let Some(taken) = asked.and_then(|asked| asked.source) {
            self.pools.give_back(taken);
        }
        // Nothing comes of it where the result is known.
        if self.checks.checker.is_under_way(check) {
            self.checked(check, false);
        }
    }
}

impl Worker {
    /// Begins checks that are due, and gives up those that take too long.
    pub(super) fn run_checks(&mut self) {
        if !self.engine.is_accepting() {
            // No flow is opened any more, which says nothing of any server.
            return self.cx.proxies.end_checks();
        }
        for _ in 0..PER_STEP {
            match self.cx.proxies.checks.checker.due(self.now) {
                None => break,
                Some(Due::Start(check)) => self.begin_check(check),
                Some(Due::GiveUp { check, change }) => {
                    let proxies = &mut self.cx.proxies;
                    proxies.server_counters(check.server()).checks_failed += 1;
                    proxies.judge(check.server(), change);
                    match proxies.checks.asked(check).map(|asked| asked.flow) {
                        Some(Some(flow)) => {
                            let _ = self.engine.abort_flow(flow);
                        }
                        Some(None) => proxies.checks.asked[usize::from(check.server())] = None,
                        None => {}
                    }
                }
            }
        }
        for _ in 0..self.cx.proxies.checks.pending.len() {
            let server = self.cx.proxies.checks.pending.remove(0);
            let asked = self.cx.proxies.checks.asked.get(usize::from(server));
            if let Some(Some(asked)) = asked
                && asked.flow.is_none()
            {
                self.open_check(asked.check);
            }
        }
    }

    fn begin_check(&mut self, check: Check) {
        let proxies = &mut self.cx.proxies;
        let slot = usize::from(check.server());
        let to = proxies.checks.target(check.server()).map(|target| target.endpoint.address);
        let way = to.and_then(|to| route::way(&self.cx.sides, to, None));
        // A flow of an earlier check that is not gone yet is as bad as no way.
        let (Some(way), Some(None)) = (way, proxies.checks.asked.get(slot)) else {
            return proxies.checked(check, false);
        };
        proxies.checks.asked[slot] = Some(Asked {
            check,
            way,
            flow: None,
            source: None,
            said: false,
            answer: HttpStatus::new(),
            probed: false,
        });
        self.open_check(check);
    }

    /// Opens the flow of a check, if the station is known; else that is asked for, and it is tried again.
    fn open_check(&mut self, check: Check) {
        let proxies = &mut self.cx.proxies;
        let Some(asked) = proxies.checks.asked(check) else { return };
        let (way, probed) = (asked.way, core::mem::replace(&mut asked.probed, true));
        let Some(mac) = proxies.station(way) else {
            proxies.checks.pending.push(check.server());
            if !probed {
                let (port, vlan) = (way.link as u16, (way.link >> 16) as u16);
                self.probe(&Probe { port, vlan, addr: way.next_hop, unicast: None });
            }
            return;
        };
        let Some(target) = proxies.checks.target(check.server()) else { return };
        let (endpoint, timeout) = (target.endpoint, target.plan.timeout);
        let steering = self.cx.sides.get((way.link & 0xffff) as usize).map(|side| side.steering);
        let hashed = steering.is_some_and(|steering| is_hashed(steering, proxies.workers));
        let Ok(taken) = proxies.pools.take(&[way.own], hashed, endpoint) else {
            proxies.server_counters(check.server()).exhausted += 1;
            proxies.checks.asked[usize::from(check.server())] = None;
            return proxies.checked(check, false);
        };
        let key = FlowKey {
            remote: endpoint.address,
            remote_port: endpoint.port,
            local: taken.own.0,
            local_port: taken.own.1,
            protocol: Protocol::TCP,
            link: way.link,
        };
        if let Some(asked) = proxies.checks.asked(check) {
            asked.source = Some(taken);
        }
        proxies.checks.opening = Some((check, mac));
        let opened = self.engine.connect(&mut self.cx, self.now, &key, CHECK | 0xffff, timeout);
        self.cx.proxies.checks.opening = None;
        if opened.is_err() {
            // A five-tuple in use, or no room: the next check has another port.
            self.cx.proxies.on_check_closed(check.to_bits());
        }
    }
}

#[cfg(test)]
impl Checks {
    /// Begins every check that is due, as if with the flow given.
    pub(super) fn pretend(&mut self, now: Instant, flow: impl Fn(u16) -> Option<FlowId>) {
        while let Some(due) = self.checker.due(now) {
            let Due::Start(check) = due else { continue };
            self.asked[usize::from(check.server())] = Some(Asked {
                check,
                way: Way::default(),
                flow: flow(check.server()),
                source: None,
                said: false,
                answer: HttpStatus::new(),
                probed: true,
            });
        }
    }

    /// Which servers have a check.
    pub(super) fn under_way(&self) -> Vec<bool> {
        self.asked.iter().map(Option::is_some).collect()
    }

    /// The check of a server as its flow names it.
    pub(super) fn bits(&self, server: usize) -> u32 {
        self.asked[server].as_ref().map_or(0, |asked| asked.check.to_bits())
    }
}

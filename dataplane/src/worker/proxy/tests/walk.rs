//! Whatever happens in whatever order, what sessions hold is what they are counted for.

use super::*;
use crate::worker::proxy::session::Phase;
use proptest::prelude::*;

/// Servers that rosters are drawn from: name, address, maximum. One has no station, one moves.
const SERVERS: [(&str, &str, Option<u32>); 6] = [
    ("a", "10.0.0.2", Some(2)),
    ("b", "10.0.0.3", None),
    ("b", "10.0.0.4", Some(1)),
    ("c", "10.9.0.5", Some(3)),
    ("d", "10.0.0.6", Some(1)),
    ("e", "10.0.0.7", Some(2)),
];

#[derive(Clone, Debug)]
enum Step {
    Come { original: bool },
    Serve,
    Resolve { late: bool },
    Establish(usize),
    Refuse(usize, bool),
    InUse(usize),
    CloseClient(usize, bool),
    CloseUpstream(usize, bool),
    Exchange(u8),
    Judge(usize, u8),
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0_usize..16;
    prop_oneof![
        4 => any::<bool>().prop_map(|original| Step::Come { original }),
        2 => Just(Step::Serve),
        2 => any::<bool>().prop_map(|late| Step::Resolve { late }),
        2 => at.clone().prop_map(Step::Establish),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, silent)| Step::Refuse(at, silent)),
        1 => at.clone().prop_map(Step::InUse),
        2 => (at.clone(), any::<bool>()).prop_map(|(at, well)| Step::CloseClient(at, well)),
        2 => (at, any::<bool>()).prop_map(|(at, well)| Step::CloseUpstream(at, well)),
        1 => any::<u8>().prop_map(Step::Exchange),
        1 => (0_usize..6, 0_u8..3).prop_map(|(server, how)| Step::Judge(server, how)),
    ]
}

struct Walk {
    bench: Bench,
    statuses: Vec<Arc<ServerStatus>>,
}

impl Walk {
    fn new() -> Self {
        let all: Vec<_> = SERVERS.iter().map(|(_, address, maximum)| (*address, 1, *maximum)).collect();
        let bench = Bench::new(&all);
        let changes = &bench.services.upstreams.changes;
        let statuses = SERVERS.iter().map(|_| Arc::new(ServerStatus::new(Arc::clone(changes)))).collect();
        let mut walk = Self { bench, statuses };
        walk.exchange(0b11_1011);
        walk
    }

    /// The servers named by the bits; of two with one name the first.
    fn exchange(&mut self, bits: u8) {
        let mut chosen: Vec<usize> = (0..6).filter(|at| bits >> at & 1 != 0).collect();
        chosen.dedup_by_key(|at| SERVERS[*at].0);
        let written =
            |at: &usize| Written { name: SERVERS[*at].0.into(), weight: 1, maximum: SERVERS[*at].2 };
        let spec = |at: &usize| ServerSpec {
            // As many numbers as names.
            number: u16::from(SERVERS[*at].0.as_bytes()[0] - b'a'),
            endpoint: Endpoint { address: addr(SERVERS[*at].1), port: 8080 },
            status: Arc::clone(&self.statuses[*at]),
        };
        let members = chosen.iter().map(written).collect();
        let servers = chosen.iter().map(spec).collect();
        let group = &mut self.bench.services.upstreams.groups[0];
        group.roster = Arc::new(Roster::new(members, Balancing::LeastConnections, [1; 16]).unwrap());
        group.servers = servers;
        self.bench.proxies.exchange(&self.bench.sides, &self.bench.services);
    }

    fn of(&self, at: u32) -> (ProxySpec, u16) {
        let edition = self.bench.proxies.sessions.scan(at as usize, 1).0.next().map_or(0, |(_, s)| s.edition);
        let target = if edition == 1 { Target::Original } else { Target::Upstream(0) };
        (ProxySpec { target, ..self.bench.spec.clone() }, edition)
    }

    /// The sessions in a phase, in the order of their slots.
    fn those(&self, fits: impl Fn(&Session) -> bool) -> Vec<u32> {
        let (found, _) = self.bench.proxies.sessions.scan(0, usize::MAX / 2);
        found.filter(|(_, session)| fits(session)).map(|(at, _)| at).collect()
    }

    fn pick(&self, at: usize, fits: impl Fn(&Session) -> bool) -> Option<u32> {
        let those = self.those(fits);
        (!those.is_empty()).then(|| those[at % those.len()])
    }

    /// What `Worker::proceed` and `Worker::open_leg` do.
    fn proceed(&mut self, at: u32, choice: Choice) {
        let (spec, _) = self.of(at);
        let why = match choice {
            Choice::Open(..) => {
                self.bench.flows += 1;
                self.bench.proxies.opened(at, flow(self.bench.flows));
                return;
            }
            Choice::Resolve => return,
            Choice::Wait if self.bench.proxies.wait(at, &spec) => return,
            Choice::Wait => super::super::choose::Why::QueueFull,
            Choice::Refuse(why) => why,
        };
        self.bench.proxies.give_up(at, why);
        self.close(at, true, CloseReason::Aborted);
    }

    fn close(&mut self, at: u32, client: bool, reason: CloseReason) {
        let Some(session) = self.bench.proxies.sessions.at(at) else { return };
        let leg = if client { session.client } else { session.upstream };
        if let Some(leg) = leg {
            self.bench.proxies.on_closed(at, leg, reason);
        }
    }

    fn abort_what_is_to_be(&mut self) {
        while let Some(todo) = self.bench.proxies.next_todo() {
            let Todo::Abort(id) = todo else { continue };
            let owner = self.pick(0, |session| session.client == Some(id) || session.upstream == Some(id));
            if let Some(at) = owner {
                self.bench.proxies.on_closed(at, id, CloseReason::Aborted);
            }
        }
    }

    fn go(&mut self, step: &Step) {
        self.bench.pass(Duration::from_millis(100));
        match *step {
            Step::Come { original } => {
                if self.bench.proxies.sessions.len() < 16 {
                    let (at, _) = self.bench.client();
                    if let Some(session) = self.bench.proxies.sessions.at(at).filter(|_| original) {
                        session.edition = 1;
                        session.ends.dialled = (addr("10.0.0.3"), 8080);
                    }
                    let (spec, _) = self.of(at);
                    let choice = self.bench.proxies.begin(&self.bench.sides, at, &spec);
                    self.proceed(at, choice);
                }
            }
            Step::Serve => {
                for at in self.those(|session| session.phase == Phase::Waiting) {
                    let (spec, _) = self.of(at);
                    self.bench.proxies.counters(0).waiting -= 1;
                    self.bench.proxies.waiting[0].retain(|id| id.index != at);
                    let choice = self.bench.proxies.choose(&self.bench.sides, at, &spec, true);
                    self.proceed(at, choice);
                }
            }
            Step::Resolve { late } => {
                if late {
                    self.bench.pass(Duration::from_secs(1));
                }
                for at in self.those(|session| session.phase == Phase::Resolving) {
                    let (spec, _) = self.of(at);
                    if let Some(choice) = self.bench.proxies.resolved(&self.bench.sides, at, &spec) {
                        self.proceed(at, choice);
                    }
                }
            }
            Step::Establish(n) => {
                if let Some(at) = self.pick(n, |session| session.phase == Phase::Connecting) {
                    self.bench.proxies.arrived(at);
                }
            }
            Step::Refuse(n, silent) => {
                let reason = if silent { CloseReason::Unanswered } else { CloseReason::Refused };
                self.again(n, reason, |proxies, at, of| proxies.on_refused(at, reason, of));
            }
            Step::InUse(n) => self.again(n, CloseReason::Refused, Proxies::on_in_use),
            Step::CloseClient(n, well) => self.end(n, true, well),
            Step::CloseUpstream(n, well) => self.end(n, false, well),
            Step::Exchange(bits) => self.exchange(bits),
            Step::Judge(server, how) => {
                let admin = [Admin::Enabled, Admin::Draining, Admin::Disabled][usize::from(how)];
                self.statuses[server].set_admin(admin);
                self.bench.proxies.apply_status();
            }
        }
        self.abort_what_is_to_be();
    }

    fn again(
        &mut self,
        n: usize,
        reason: CloseReason,
        f: impl FnOnce(&mut Proxies, u32, Of<'_>) -> Option<(FlowKey, Mac)>,
    ) {
        let Some(at) = self.pick(n, |session| session.phase == Phase::Connecting) else { return };
        let (spec, edition) = self.of(at);
        let of = Of { sides: &self.bench.sides, spec: &spec, service: 0, edition };
        if f(&mut self.bench.proxies, at, of).is_none() {
            self.close(at, false, reason);
        }
    }

    fn end(&mut self, n: usize, client: bool, well: bool) {
        let leg = |session: &Session| if client { session.client } else { session.upstream };
        let Some(at) = self.pick(n, |session| leg(session).is_some()) else { return };
        let joined = self.bench.proxies.sessions.at(at).is_some_and(|session| session.joined);
        let reason = if well && joined { CloseReason::Finished } else { CloseReason::PeerReset };
        self.close(at, client, reason);
    }

    fn check(&mut self) {
        let sessions = self.those(|_| true);
        let counters = self.bench.proxies.services[0];
        assert_eq!(counters.open, sessions.len() as u64);
        assert_eq!(counters.waiting, self.those(|session| session.phase == Phase::Waiting).len() as u64);
        let (mut places, mut sources) = (vec![], 0);
        for at in sessions {
            let session = self.bench.proxies.sessions.at(at).unwrap();
            assert!(session.client.is_some() || session.upstream.is_some(), "nobody is left");
            places.extend(session.place);
            sources += u64::from(session.source.is_some());
        }
        for (number, server) in (0..).zip(&self.bench.proxies.servers) {
            let held = places.iter().filter(|place| place.number == number).count();
            assert_eq!(server.open, held as u64, "server {number}");
        }
        let group = &self.bench.proxies.groups[0].group;
        let known = group.servers().iter().copied().chain(places.iter().map(|place| place.server));
        for server in known {
            let held = places.iter().filter(|place| place.server == server).count();
            assert_eq!(group.open(server) as usize, held, "{server:?}");
        }
        let ends: Vec<Endpoint> =
            SERVERS.iter().map(|(_, address, _)| Endpoint { address: addr(address), port: 8080 }).collect();
        assert_eq!(self.bench.proxies.pools.out(&ends), (sources, 0));
    }
}

proptest! {
    #[test]
    fn what_is_held_is_what_is_counted(steps in prop::collection::vec(step(), 1..200)) {
        let mut walk = Walk::new();
        for step in &steps {
            walk.go(step);
            walk.check();
        }
        for at in walk.those(|_| true) {
            walk.close(at, true, CloseReason::PeerReset);
            walk.abort_what_is_to_be();
            walk.close(at, false, CloseReason::PeerReset);
            walk.abort_what_is_to_be();
        }
        walk.check();
        prop_assert_eq!(walk.bench.proxies.sessions.len(), 0);
    }
}

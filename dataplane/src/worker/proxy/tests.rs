//! Sessions without an engine: what is taken and given back, who comes first, and who is to blame.

mod walk;

use super::choose::{Choice, Failure};
use super::*;
use crate::neighbour::{NeighbourTable, Owned};
use crate::policy::Policy;
use crate::proxy::{
    Admin, Changes, CheckKind, Choice as Balancing, Endpoint, Member as Written, ProxySpec, Roster,
    SendHeader, ServerName, ServerStatus, Source, State, Target, Upstream,
};
use crate::settings::Steering;
use crate::steer::SYMMETRIC_KEY;
use crate::worker::network::Segment;
use core::time::Duration;
use l3l4::{Addr, CloseReason, FlowId, FlowKey, Protocol};

fn addr(text: &str) -> Addr {
    text.parse::<core::net::IpAddr>().unwrap().into()
}

fn flow(number: u32) -> FlowId {
    format!("{number}.0").parse().unwrap()
}

/// One service, one group, one worker.
struct Bench {
    proxies: Proxies,
    sides: Vec<Side>,
    spec: ProxySpec,
    services: Services,
    flows: u32,
}

impl Bench {
    /// Servers by address, weight and maximum; the stations of those at `10.0.0.x` are known.
    fn new(servers: &[(&str, u16, Option<u32>)]) -> Self {
        let owned = Owned::new(vec![(addr("10.0.0.1"), 8)], false, vec![], vec![]).unwrap();
        let segment = Segment { vlan: 0, owned, any_ip: false };
        let sides = vec![Side {
            mac: Mac::default(),
            steering: Steering::Queue,
            mirror: false,
            segments: vec![segment],
            checksum_offload: false,
            vlan_insert: false,
        }];
        let neighbours = Arc::new(NeighbourTable::new(1024, 1));
        for (server, ..) in servers.iter().filter(|(server, ..)| server.starts_with("10.0.0.")) {
            neighbours.add_permanent(0, 0, addr(server), Mac([2, 0, 0, 0, 0, 9]), 1);
        }
        let services = services(servers, &Arc::default());
        let means = Means {
            limits: ProxyLimits { sessions: 16, ..ProxyLimits::default() },
            neighbours,
            toeplitz: Arc::new(Toeplitz::new(&SYMMETRIC_KEY).unwrap()),
            reta: Arc::new(Reta::spread(1)),
            worker: 0,
            workers: 1,
            passes: false,
        };
        let proxies = Proxies::new(means, &sides, &services);
        Self { proxies, sides, spec: spec(), services, flows: 0 }
    }

    fn status(&self, at: usize) -> &ServerStatus {
        &self.services.upstreams.groups[0].servers[at].status
    }

    /// A client's session, and its flow.
    fn client(&mut self) -> (u32, FlowId) {
        self.flows += 1;
        let key = FlowKey {
            remote: addr("192.0.2.7"),
            remote_port: self.flows as u16,
            local: addr("10.0.0.1"),
            local_port: 80,
            protocol: Protocol::TCP,
            link: 0,
        };
        let of = Of { sides: &self.sides, spec: &self.spec, service: 0, edition: 0 };
        (self.proxies.open(flow(self.flows), &key, 0, of).unwrap(), flow(self.flows))
    }

    fn begin(&mut self, at: u32) -> Choice {
        self.proxies.begin(&self.sides, at, &self.spec)
    }

    /// Where a leg goes, and its flow.
    fn sent(&mut self, at: u32, choice: Choice) -> (FlowKey, FlowId) {
        let Choice::Open(key, _) = choice else { panic!("{choice:?}") };
        self.flows += 1;
        self.proxies.opened(at, flow(self.flows));
        (key, flow(self.flows))
    }

    fn pass(&mut self, time: Duration) {
        self.proxies.now = self.proxies.now + time;
    }
}

fn spec() -> ProxySpec {
    ProxySpec {
        target: Target::Upstream(0),
        source: Source::Own(Arc::new([])),
        egress: None,
        send_header: SendHeader::None,
        accept_header: false,
        wait_for_upstream: false,
        connect_timeout: Duration::from_secs(1),
        retries: 2,
        maximum: None,
        queue: 4,
        queue_timeout: Duration::from_secs(5),
        idle_timeout: Duration::from_secs(60),
    }
}

fn services(servers: &[(&str, u16, Option<u32>)], changes: &Arc<Changes>) -> Services {
    let name = |at: usize| format!("s{at}");
    let written = servers.iter().enumerate().map(|(at, (_, weight, maximum))| Written {
        name: name(at).as_str().into(),
        weight: *weight,
        maximum: *maximum,
    });
    let specs = servers.iter().enumerate().map(|(at, (server, ..))| ServerSpec {
        number: at as u16,
        endpoint: Endpoint { address: addr(server), port: 8080 },
        status: Arc::new(ServerStatus::new(Arc::clone(changes))),
    });
    let check = HealthCheck {
        kind: CheckKind::Tcp,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        rise: 1,
        fall: 1,
    };
    let names =
        (0..servers.len()).map(|at| ServerName { upstream: "g".into(), server: name(at).as_str().into() });
    Services {
        version: 1,
        policy: Policy::new(vec![]),
        services: vec![Service {
            name: "web".into(),
            application: None,
            proxy: Some(Arc::new(spec())),
            observe: crate::observe::Level::None,
        }],
        upstreams: Upstreams {
            servers: names.collect(),
            groups: vec![Upstream {
                name: "g".into(),
                roster: Arc::new(Roster::new(written.collect(), Balancing::RoundRobin, [1; 16]).unwrap()),
                servers: specs.collect(),
                health: Some(check),
                eject: Some(Eject { failures: 1, time: Duration::from_secs(10) }),
            }],
            changes: Arc::clone(changes),
        },
    }
}

#[test]
fn who_waits_comes_before_who_has_just_come() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, Some(1))]);
    let (first, second, third) = (bench.client(), bench.client(), bench.client());
    let choice = bench.begin(first.0);
    let (_, leg) = bench.sent(first.0, choice);
    assert_eq!(bench.begin(second.0), Choice::Wait);
    assert!(bench.proxies.wait(second.0, &bench.spec));
    bench.proxies.on_closed(first.0, leg, CloseReason::Aborted);
    bench.proxies.on_closed(first.0, first.1, CloseReason::Aborted);
    assert_eq!(bench.begin(third.0), Choice::Wait, "there is room, but it is another's");
    // What others wait for whose services were exchanged meanwhile is not what this one waits for.
    bench.proxies.sessions.at(third.0).unwrap().edition = 1;
    assert!(matches!(bench.begin(third.0), Choice::Open(..)));
    bench.proxies.leave(third.0);
    bench.proxies.sessions.at(third.0).unwrap().edition = 0;
    // That one leaves without having been served.
    bench.proxies.on_closed(second.0, second.1, CloseReason::PeerReset);
    assert!(matches!(bench.begin(third.0), Choice::Open(..)));
    let counters = bench.proxies.services[0];
    assert_eq!((counters.open, counters.waiting, bench.proxies.servers[0].open), (1, 0, 1));
}

#[test]
fn a_five_tuple_in_use_is_no_fault_of_the_servers() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, None), ("10.0.0.3", 1, None)]);
    let (at, client) = bench.client();
    let choice = bench.begin(at);
    let (first, leg) = bench.sent(at, choice);
    let of = Of { sides: &bench.sides, spec: &bench.spec, service: 0, edition: 0 };
    let (second, _) = bench.proxies.on_refused(at, CloseReason::Refused, of).unwrap();
    assert_ne!(first.remote, second.remote);
    let (third, _) = bench.proxies.on_in_use(at, of).unwrap();
    assert_eq!(third, FlowKey { local_port: third.local_port, ..second });
    assert_ne!(third.local_port, second.local_port);
    let refused = bench.proxies.servers.iter().map(|server| server.refused).sum::<u64>();
    let ejections = bench.proxies.servers.iter().map(|server| server.ejections).sum::<u64>();
    assert_eq!((refused, ejections, bench.proxies.services[0].retries), (1, 1, 1));
    // The engine has tried all it was told.
    bench.proxies.on_closed(at, leg, CloseReason::Refused);
    assert_eq!(bench.proxies.services[0].refused_source_port, 1);
    assert!(matches!(bench.proxies.next_todo(), Some(Todo::Abort(id)) if id == client));
    bench.proxies.on_closed(at, client, CloseReason::Aborted);
    assert!(bench.proxies.servers.iter().all(|server| server.open == 0));
    assert_eq!((bench.proxies.services[0].open, bench.proxies.sessions.len()), (0, 0));
}

#[test]
fn a_transparent_leg_whose_five_tuple_is_in_use_goes_to_another_server() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, None), ("10.0.0.3", 1, None), ("10.0.0.4", 1, None)]);
    bench.spec.source = Source::Client;
    let (at, _) = bench.client();
    let choice = bench.begin(at);
    let (first, _) = bench.sent(at, choice);
    let of = Of { sides: &bench.sides, spec: &bench.spec, service: 0, edition: 0 };
    let (second, _) = bench.proxies.on_refused(at, CloseReason::Unanswered, of).unwrap();
    let (third, _) = bench.proxies.on_in_use(at, of).unwrap();
    assert!(first.remote != third.remote && second.remote != third.remote, "{first} {second} {third}");
    assert_eq!(bench.proxies.servers.iter().map(|server| server.open).sum::<u64>(), 1);
    assert_eq!(bench.proxies.servers.iter().map(|server| server.unanswered).sum::<u64>(), 1);
}

/// One of weight 0 takes no sessions, so it is no reason to eject the other.
#[test]
fn the_last_server_that_takes_sessions_is_not_ejected() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, None), ("10.0.0.3", 0, None)]);
    for _ in 0..3 {
        let (at, _) = bench.client();
        let choice = bench.begin(at);
        assert_eq!(bench.sent(at, choice).0.remote, addr("10.0.0.2"));
        bench.proxies.fail(at, Failure::Refused);
    }
    assert_eq!((bench.proxies.servers[0].refused, bench.proxies.servers[0].ejections), (3, 0));
    assert_eq!(bench.status(0).state(bench.proxies.now.micros()), State::InService);
}

#[test]
fn a_server_that_is_disabled_meanwhile_gets_no_leg() {
    let mut bench = Bench::new(&[("10.9.0.2", 1, None), ("10.0.0.3", 1, None)]);
    let (at, _) = bench.client();
    assert_eq!(bench.begin(at), Choice::Resolve);
    assert_eq!(bench.proxies.servers[0].open, 1);
    bench.status(0).set_admin(Admin::Disabled);
    bench.proxies.apply_status();
    bench.proxies.neighbours.add_permanent(0, 0, addr("10.9.0.2"), Mac([2, 0, 0, 0, 0, 9]), 1);
    let choice = bench.proxies.resolved(&bench.sides, at, &bench.spec).unwrap();
    assert_eq!(bench.sent(at, choice).0.remote, addr("10.0.0.3"));
    let servers = &bench.proxies.servers;
    assert_eq!((servers[0].open, servers[0].unreachable, servers[1].open), (0, 0, 1));
}

/// Else it would never reach those at the end, where servers come and go often enough.
#[test]
fn other_changes_do_not_begin_the_search_for_sessions_of_disabled_servers_anew() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, None), ("10.0.0.3", 1, None)]);
    bench.status(0).set_admin(Admin::Disabled);
    bench.proxies.apply_status();
    assert_eq!(bench.proxies.sweep, Some(0));
    bench.proxies.sweep = Some(512);
    bench.status(1).eject_until(u64::MAX);
    bench.proxies.apply_status();
    assert_eq!(bench.proxies.sweep, Some(512));
    bench.status(1).set_admin(Admin::Disabled);
    bench.proxies.apply_status();
    assert_eq!(bench.proxies.sweep, Some(0), "this one's sessions may have been passed by");
}

#[test]
fn stations_of_many_servers_are_not_looked_up_in_one_step() {
    let addresses: Vec<String> = (0..200).map(|n| format!("10.9.0.{}", n + 1)).collect();
    let servers: Vec<_> = addresses.iter().map(|address| (&**address, 1, None)).collect();
    let mut bench = Bench::new(&servers);
    let group = &bench.proxies.upstreams.groups[0];
    let moved = |to: u8| {
        let mut group = group.clone();
        for server in &mut group.servers {
            let [.., last] = server.endpoint.address.v4_octets();
            server.endpoint.address = addr(&format!("10.9.{to}.{last}"));
        }
        group
    };
    bench.proxies.upstreams.groups = (0..3).map(moved).collect();
    bench.proxies.keep_stations(&bench.sides);
    assert_eq!(bench.proxies.look, 2);
    bench.pass(Duration::from_millis(1));
    bench.proxies.keep_stations(&bench.sides);
    assert_eq!(bench.proxies.look, 3, "all had their turn");
    let asked = bench.proxies.neighbours.snapshot(0);
    assert!(asked.iter().any(|one| one.addr == addr("10.9.0.1")));
    bench.pass(Duration::from_secs(1));
    bench.proxies.keep_stations(&bench.sides);
    assert_eq!(bench.proxies.look, 2, "and another one");
}

/// A check of a server that is gone for now must not stand in the way of its checks when it comes back.
#[test]
fn a_server_that_is_gone_leaves_no_check_behind() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, None), ("10.0.0.3", 1, None)]);
    bench.pass(Duration::from_secs(1));
    let now = bench.proxies.now;
    bench.proxies.checks.pretend(now, |server| (server == 1).then(|| flow(7)));
    assert_eq!(bench.proxies.checks.under_way(), [true, true]);
    let gone = services(&[], &bench.services.upstreams.changes);
    bench.proxies.exchange(&bench.sides, &gone);
    assert_eq!(bench.proxies.checks.under_way(), [false, true], "one waits until its flow is gone");
    let Some(Todo::Abort(id)) = bench.proxies.next_todo() else { panic!("nobody ends it") };
    let check = bench.proxies.checks.bits(1);
    assert_eq!(id, flow(7));
    bench.proxies.on_check_closed(check);
    assert_eq!(bench.proxies.checks.under_way(), [false, false]);
    assert_eq!(bench.proxies.servers[1].checks_failed, 0, "nobody asked any more");
}

#[test]
fn who_stops_checking_says_nothing_of_servers() {
    let mut bench = Bench::new(&[("10.0.0.2", 1, None), ("10.0.0.3", 1, None)]);
    bench.pass(Duration::from_secs(1));
    let now = bench.proxies.now;
    bench.proxies.checks.pretend(now, |_| Some(flow(7)));
    bench.proxies.end_checks();
    for server in 0..2 {
        let check = bench.proxies.checks.bits(server);
        bench.proxies.on_check_closed(check);
        assert_eq!(bench.status(server).state(0), State::InService);
    }
    assert_eq!(bench.proxies.checks.under_way(), [false, false]);
    bench.proxies.end_checks();
    assert!(bench.proxies.todo.len() == 2, "once for each");
}

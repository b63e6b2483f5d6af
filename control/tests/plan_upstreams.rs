//! Upstreams and proxies, from configuration to data plane, and what of them lasts over reloads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use control::config::{Loaded, parse};
use control::plan::{Fixed, services, settings};
use dataplane::policy::Action;
use dataplane::proxy::{
    Admin, CheckKind, Choice, Egress, Eject, Endpoint, Health, SendHeader, ServerSpec, Source, Target,
    Upstreams,
};
use dataplane::settings::{Services, Steering};
use l3l4::Addr;

const SECRET: [u8; 32] = [9; 32];

fn config(upstreams: &str, services: &str) -> Loaded {
    let text = format!(
        "workers: [1, 2, 3]\nports:\n  \
         - {{name: lan, device: net_null0, addresses: [10.1.0.2/24], any_ip: true}}\n  \
         - {{name: wan, device: net_null1, addresses: [10.2.0.2/24, \"fd00:2::2/64\"], gateway: [10.2.0.1], \
         vlans: [{{id: 7, addresses: [10.7.0.2/24]}}]}}\nupstreams: [{upstreams}]\nservices: [{services}]\n"
    );
    parse("test.yaml", &text).unwrap_or_else(|problems| panic!("{problems}"))
}

fn group(name: &str, servers: &str) -> String {
    format!("{{name: {name}, servers: [{servers}]}}")
}

fn front(proxy: &str) -> String {
    format!("{{name: front, match: {{protocol: tcp, port: 80}}, action: proxy, proxy: {{{proxy}}}}}")
}

fn fixed(loaded: &Loaded) -> Fixed {
    Fixed::new(&loaded.config, &SECRET)
}

fn start(loaded: &Loaded) -> Services {
    services(loaded, None, &fixed(loaded)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn addr(text: &str) -> Addr {
    text.parse::<core::net::IpAddr>().unwrap().into()
}

fn names(upstreams: &Upstreams) -> Vec<String> {
    upstreams.servers.iter().map(|name| format!("{}/{}", name.upstream, name.server)).collect()
}

fn server<'a>(upstreams: &'a Upstreams, group: usize, name: &str) -> &'a ServerSpec {
    let group = &upstreams.groups[group];
    let at = group.roster.members().iter().position(|member| *member.name == *name).unwrap();
    &group.servers[at]
}

#[test]
fn a_group_comes_with_everything_that_was_written() {
    let text = "{name: web, balance: least_connections, servers: [\
                {name: z, address: \"10.2.0.11:80\", weight: 3, max_connections: 100}, \
                {address: \"[fd00:2::12]:81\"}], \
                health_check: {http: {path: \"/up?x=1\", expect: 204}, interval: 3s, rise: 4, fall: 5}, \
                eject: {failures: 2, time: 30s}}, {name: plain, servers: [{address: \"10.2.0.9:9\"}], \
                health_check: {}, eject: {failures: 0}}";
    let loaded = config(text, &front("upstream: web"));
    let made = start(&loaded).upstreams;
    let web = &made.groups[0];
    assert_eq!((&*web.name, web.roster.choice()), ("web", Choice::LeastConnections));
    let members = web.roster.members().iter().map(|member| (&*member.name, member.weight, member.maximum));
    // A third of 100, rounded up, for each of three workers.
    assert_eq!(members.collect::<Vec<_>>(), [("[fd00:2::12]:81", 1, None), ("z", 3, Some(34))]);
    assert_eq!(server(&made, 0, "z").endpoint, Endpoint { address: addr("10.2.0.11"), port: 80 });
    assert_eq!(web.eject, Some(Eject { failures: 2, time: Duration::from_secs(30) }));
    let health = web.health.as_ref().unwrap();
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(3), Duration::from_secs(1)));
    assert_eq!((health.rise, health.fall), (4, 5));
    let CheckKind::Http { requests, expect } = &health.kind else { panic!("{health:?}") };
    assert_eq!((expect, requests.len()), (&(204..=204), 2));
    let request = std::str::from_utf8(&requests[0]).unwrap();
    assert!(request.starts_with("GET /up?x=1 HTTP/1.1\r\nHost: [fd00:2::12]:81\r\n"), "{request}");
    assert!(request.ends_with("\r\nConnection: close\r\n\r\n"), "{request}");
    let plain = &made.groups[1];
    assert_eq!(
        (plain.health.as_ref().map(|health| &health.kind), plain.eject),
        (Some(&CheckKind::Tcp), None)
    );
    assert_eq!(names(&made), ["web/[fd00:2::12]:81", "web/z", "plain/10.2.0.9:9"]);
}

#[test]
fn a_request_fits_what_the_data_plane_allows() {
    let long = format!(
        "{{name: web, servers: [{{address: \"10.2.0.11:80\"}}], health_check: {{http: {{path: /{}, host: {}}}}}}}",
        "p".repeat(1023),
        "h".repeat(255)
    );
    let made = start(&config(&long, &front("upstream: web"))).upstreams;
    let CheckKind::Http { requests, .. } = &made.groups[0].health.as_ref().unwrap().kind else { panic!() };
    assert!(requests[0].len() <= 2048, "{}", requests[0].len());
}

#[test]
fn a_service_proxies_as_it_was_told() {
    let text = "upstream: web, source_addresses: [10.2.0.100, 10.2.0.101], egress: wan, egress_vlan: 0, \
                send_proxy: v2, wait_for_upstream: true, connect_timeout: 300ms, retries: 7, \
                max_connections: 10, queue: 5, queue_timeout: 6s, idle_timeout: 8m";
    let loaded = config(&group("web", "{address: \"10.2.0.11:80\"}"), &front(text));
    let made = start(&loaded);
    let spec = made.services[0].proxy.as_ref().unwrap();
    assert_eq!(spec.target, Target::Upstream(0));
    assert_eq!(spec.source, Source::Own([addr("10.2.0.100"), addr("10.2.0.101")].into()));
    assert_eq!(spec.egress, Some(Egress { port: 1, vlan: Some(0) }));
    assert_eq!((spec.send_header, spec.accept_header, spec.wait_for_upstream), (SendHeader::V2, false, true));
    assert_eq!((spec.connect_timeout, spec.retries), (Duration::from_millis(300), 7));
    assert_eq!((spec.maximum, spec.queue, spec.queue_timeout), (Some(4), 5, Duration::from_secs(6)));
    assert_eq!(spec.idle_timeout, Duration::from_secs(480));
    assert_eq!(made.policy.rules()[0].action, Action::Proxy { hold: true });
    assert!(made.services[0].application.is_none());

    let loaded = config("", &front("source: client, accept_proxy: true"));
    let made = start(&loaded);
    let spec = made.services[0].proxy.as_ref().unwrap();
    assert_eq!((spec.target, &spec.source, spec.egress), (Target::Original, &Source::Client, None));
    assert!(spec.accept_header);
    assert_eq!(made.policy.rules()[0].action, Action::Proxy { hold: false });
}

#[test]
fn numbers_and_status_outlive_reloads() {
    let web = group("web", "{name: a, address: \"10.2.0.11:80\"}, {name: b, address: \"10.2.0.12:80\"}");
    let first = config(&web, &front("upstream: web"));
    let kept = fixed(&first);
    let one = start(&first);
    let status =
        |services: &Services, group, name: &str| Arc::clone(&server(&services.upstreams, group, name).status);
    status(&one, 0, "b").set_admin(Admin::Draining);
    status(&one, 0, "b").set_health(Health::Down);

    // Another group before it, another server before it, `a` somewhere else, `b` heavier.
    let text = [
        group("api", "{name: b, address: \"10.2.0.31:80\"}"),
        group(
            "web",
            "{name: 0, address: \"10.2.0.10:80\"}, {name: a, address: \"10.2.0.99:80\"}, \
             {name: b, address: \"10.2.0.12:80\", weight: 9}",
        )
        .replace("name: 0", "name: \"0\""),
    ];
    let second = config(&text.join(", "), &front("upstream: web"));
    let two = services(&second, Some((&one, &first.config)), &kept).unwrap();
    assert_eq!(names(&two.upstreams), ["web/a", "web/b", "api/b", "web/0"]);
    assert_eq!(two.upstreams.groups.iter().map(|group| &*group.name).collect::<Vec<_>>(), ["web", "api"]);
    let numbers = ["0", "a", "b"].map(|name| server(&two.upstreams, 0, name).number);
    assert_eq!((numbers, server(&two.upstreams, 1, "b").number), ([3, 0, 1], 2));
    assert!(
        Arc::ptr_eq(&status(&one, 0, "b"), &status(&two, 0, "b")),
        "what an operator says goes on to apply"
    );
    assert!(!Arc::ptr_eq(&status(&one, 0, "a"), &status(&two, 0, "a")), "another machine, maybe");
    assert!(Arc::ptr_eq(&one.upstreams.changes, &two.upstreams.changes));
    assert_eq!(two.services[0].proxy.as_ref().unwrap().target, Target::Upstream(0));

    // Gone, and back again.
    let third = config("", "{name: other, match: {}, action: drop}");
    let three = services(&third, Some((&two, &second.config)), &kept).unwrap();
    assert!(three.upstreams.groups.iter().all(|group| group.servers.is_empty()));
    assert!(three.upstreams.groups.iter().all(|group| group.roster.members().is_empty()));
    let four = services(&first, Some((&three, &third.config)), &kept).unwrap();
    assert_eq!(names(&four.upstreams), names(&two.upstreams));
    assert_eq!(["a", "b"].map(|name| server(&four.upstreams, 0, name).number), [0, 1]);
}

#[test]
fn an_operators_word_stays_with_a_server_that_moves() {
    let at = |address: &str| {
        config(&group("web", &format!("{{name: a, address: \"{address}\"}}")), &front("upstream: web"))
    };
    let first = at("10.2.0.11:80");
    let one = start(&first);
    let before = &server(&one.upstreams, 0, "a").status;
    before.set_admin(Admin::Disabled);
    before.set_health(Health::Down);
    let second = at("10.2.0.12:80");
    let two = services(&second, Some((&one, &first.config)), &fixed(&first)).unwrap();
    let after = &server(&two.upstreams, 0, "a").status;
    assert_eq!((after.admin(), after.health()), (Admin::Disabled, Health::Unknown));
}

#[test]
fn a_source_address_goes_to_the_same_server_after_a_reload_and_on_every_worker() {
    let servers: Vec<_> = (1..=9).map(|n| format!("{{name: s{n}, address: \"10.2.0.{n}1:80\"}}")).collect();
    let web = group("web", &servers.join(", ")).replace("name: web", "name: web, balance: source");
    let loaded = config(&web, &front("upstream: web"));
    let one = start(&loaded);
    let two = services(&loaded, Some((&one, &loaded.config)), &fixed(&loaded)).unwrap();
    let table = |services: &Services| services.upstreams.groups[0].roster.table().unwrap().clone();
    assert_eq!(table(&one), table(&two));
    let other = services(&loaded, None, &Fixed::new(&loaded.config, &[8; 32])).unwrap();
    assert_ne!(table(&one), table(&other), "another start, another secret");
    let settings = settings(&loaded, SECRET).unwrap();
    assert_eq!(table(&settings.services), table(&one));
    assert_ne!(settings.proxy.secret, fixed(&loaded).balance, "one secret for one purpose");
    assert_ne!(settings.proxy.secret[..], SECRET[..16]);
}

/// The pool of each (port, VLAN), by number.
fn pools(loaded: &Loaded) -> Vec<(usize, u16, Vec<Addr>)> {
    let settings = settings(loaded, SECRET).unwrap();
    let ports = settings.ports.iter().enumerate();
    let networks = ports.flat_map(|(port, settings)| {
        settings.networks.iter().map(move |network| (port, network.vlan, network.pool.clone()))
    });
    networks.filter(|(_, _, pool)| !pool.is_empty()).collect()
}

#[test]
fn addresses_that_legs_come_from_are_answered_for_where_the_legs_leave() {
    let web = group("web", "{address: \"10.2.0.11:80\"}, {address: \"10.7.0.11:80\"}");
    let (one, two) = (addr("10.2.0.100"), addr("10.2.0.101"));
    let both = config(&web, &front("upstream: web, source_addresses: [10.2.0.100, 10.2.0.101]"));
    assert_eq!(pools(&both), [(1, 0, vec![one, two]), (1, 7, vec![one, two])]);
    let own = config(&web, &front("upstream: web, source_addresses: [10.2.0.2]"));
    assert_eq!(pools(&own), [(1, 7, vec![addr("10.2.0.2")])], "on the first it is the port's own");
    let remote = config(
        &group("far", "{address: \"192.0.2.1:80\"}"),
        &front("upstream: far, source_addresses: [192.0.2.100]"),
    );
    assert_eq!(pools(&remote), [(1, 0, vec![addr("192.0.2.100")])], "by the gateway");
    let original = config("", &front("source_addresses: [10.2.0.100], egress: wan"));
    assert_eq!(pools(&original), [(1, 0, vec![one]), (1, 7, vec![one])]);
    assert_eq!(pools(&config(&web, &front("upstream: web"))), []);
}

#[test]
fn a_reload_may_use_the_addresses_of_the_start_and_no_others() {
    let web = group("web", "{address: \"10.2.0.11:80\"}");
    let with =
        |addresses: &str| config(&web, &front(&format!("upstream: web, source_addresses: {addresses}")));
    let first = with("[10.2.0.100]");
    let (kept, one) = (fixed(&first), start(&first));
    let none = with("[]");
    let two = services(&none, Some((&one, &first.config)), &kept).unwrap();
    assert!(services(&with("[10.2.0.2, 10.2.0.100]"), Some((&two, &none.config)), &kept).is_ok());
    let problems =
        services(&with("[10.2.0.100, 10.2.0.101]"), Some((&two, &none.config)), &kept).err().unwrap();
    let text = problems.to_string();
    assert!(
        text.contains(
            "services[0].proxy.source_addresses[1]: 10.2.0.101 is not answered for on the port `wan`: \
             that needs a restart: "
        ),
        "{text}"
    );
}

#[test]
fn the_first_transparent_service_with_a_group_needs_workers_that_pass_packets_on() {
    let web = group("web", "{address: \"10.2.0.11:80\"}");
    let (own, client) =
        (config(&web, &front("upstream: web")), config(&web, &front("upstream: web, source: client")));
    let one = start(&own);
    let with = |workers, steering: &[Steering], begun: &Services, loaded: &Loaded| {
        let kept = fixed(&own).running(workers, steering, begun);
        services(loaded, Some((&one, &own.config)), &kept).map(|made| made.version)
    };
    let (rss, queue) = ([Steering::Rss, Steering::Software], [Steering::Rss, Steering::Queue]);
    let problems = with(3, &rss, &one, &client).unwrap_err().to_string();
    assert!(
        problems.contains("services[0].proxy.source: ") && problems.contains("needs a restart"),
        "{problems}"
    );
    for (workers, steering, begun, loaded) in [
        (1, rss, &one, &client),
        (3, queue, &one, &client),
        (3, rss, &start(&client), &client),
        (3, rss, &one, &own),
        // Both legs have one five-tuple, and so one worker.
        (3, rss, &one, &config("", &front("source: client"))),
    ] {
        assert_eq!(with(workers, &steering, begun, loaded), Ok(2), "{workers} {steering:?}");
    }
}

#[test]
fn what_is_said_of_proxying_as_a_whole_reaches_the_settings() {
    let loaded = config("", "");
    let text = format!(
        "{}proxy: {{sessions: 100, source_ports: \"2000-2999\", endpoints: 3}}\ntcp: {{keepalive: 20s, \
         keepalive_interval: 2s, keepalive_probes: 5}}\n",
        loaded.text
    );
    let made = settings(&parse("test.yaml", &text).unwrap(), SECRET).unwrap();
    assert_eq!((made.proxy.sessions, made.proxy.source_ports, made.proxy.endpoints), (100, 2000..=2999, 3));
    assert_eq!(made.tcp_keepalive, Some(Duration::from_secs(20)));
    assert_eq!((made.tcp_keepalive_interval, made.tcp_keepalive_probes), (Duration::from_secs(2), 5));
    assert_eq!(settings(&loaded, SECRET).unwrap().tcp_keepalive, None, "0 s is never");
}

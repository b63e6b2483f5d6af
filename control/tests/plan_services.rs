//! From configuration to data plane: the quickstart, and service numbers over reloads.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::time::Duration;

use control::config::{Loaded, load_for, parse};
use control::plan::{Fixed, MOST_SERVICES, service_list, services, settings};
use dataplane::observe::Level;
use dataplane::policy::Action;
use dataplane::settings::{Service, Services, Steering};
use l3l4::{Addr, FlowKey, Protocol};

fn text(services: &str) -> String {
    format!(
        "workers: [1]\nports: [{{name: lan, device: net_null0, addresses: [10.0.0.1/24]}}]\nservices: [{services}]\n"
    )
}

fn config(services: &str) -> Loaded {
    parse("test.yaml", &text(services)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn names(services: &Services) -> Vec<&str> {
    services.services.iter().map(|service| service.name.as_str()).collect()
}

fn echo(name: &str, port: u16) -> String {
    format!("{{name: {name}, match: {{protocol: tcp, port: {port}}}, action: terminate, application: echo}}")
}

fn key(protocol: Protocol, port: u16) -> FlowKey {
    let (remote, local) = (Addr::v4([10, 0, 0, 9]), Addr::v4([10, 0, 0, 1]));
    FlowKey { remote, local, remote_port: 1, local_port: port, protocol, link: 0 }
}

#[test]
fn the_quickstart_becomes_settings() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../conf/quickstart.yaml");
    let loaded = load_for(&path, &control::config::Host::lenient(&path)).unwrap();
    let settings = settings(&loaded, [7; 32]).unwrap();
    assert_eq!(settings.cpus, [1]);
    assert_eq!(settings.eal.vdevs, ["net_tap0,iface=mill0"]);
    assert!(settings.eal.pci.is_empty() && !settings.eal.main_cpus.contains(&1));
    let port = &settings.ports[0];
    assert_eq!((port.name.as_str(), port.device.as_str()), ("lan", "net_tap0"));
    assert_eq!((port.mtu, port.steering, port.checksum_offload), (1500, Steering::Auto, true));
    let [network] = &port.networks[..] else { panic!("{:?}", port.networks) };
    assert_eq!(network.vlan, 0);
    assert_eq!(network.addresses[0], (Addr::v4([10, 64, 0, 2]), 24));
    let except: Vec<_> = network.except.iter().map(ToString::to_string).collect();
    assert_eq!((network.any_ip, except), (true, vec!["10.64.0.1/32".into(), "fd00:64::1/128".into()]));
    assert_eq!((settings.limits.flows, settings.limits.udp_flows), (65_536, 32_768));
    assert_eq!((settings.max_sleep, settings.data_room), (Duration::from_micros(100), 0));
    assert_eq!(settings.secret, [7; 32]);
    let services = &settings.services;
    assert_eq!((services.version, names(services)), (1, vec!["web", "echo"]));
    let action = |protocol, port| services.policy.lookup(&key(protocol, port), 0, 0).map(|rule| rule.action);
    assert_eq!(action(Protocol::TCP, 80), Some(Action::Terminate { application: 0 }));
    assert_eq!(action(Protocol::UDP, 80), None);
    assert_eq!(action(Protocol::TCP, 7), Some(Action::Terminate { application: 1 }));
    assert_eq!(action(Protocol::UDP, 7), Some(Action::Terminate { application: 1 }), "any protocol");
    let applications: Vec<_> =
        services.services.iter().map(|s| s.application.as_ref().unwrap().name()).collect();
    assert_eq!(applications, ["http", "echo"]);
}

#[test]
fn service_numbers_keep_their_meaning_over_reloads() {
    let first = config(&[echo("a", 1), echo("b", 2)].join(", "));
    let one = services(&first, None, &Fixed::default()).unwrap();
    let second = config(&[echo("c", 3), echo("b", 2)].join(", "));
    let two = services(&second, Some((&one, &first.config)), &Fixed::default()).unwrap();
    assert_eq!((two.version, names(&two)), (2, vec!["a", "b", "c"]));
    let number = |services: &Services, port| {
        services.policy.lookup(&key(Protocol::TCP, port), 0, 0).map(|rule| rule.service)
    };
    assert_eq!([1, 2, 3].map(|port| number(&two, port)), [None, Some(1), Some(2)]);
    assert!(two.services[0].application.is_some(), "what is gone still serves its running flows");
    let list = service_list(&second.config, &two);
    assert_eq!(list.iter().map(|service| service.order).collect::<Vec<_>>(), [None, Some(1), Some(0)]);
    // And back again, in another role.
    let third = config("{name: a, match: {port: 9}, action: reject}");
    let three = services(&third, Some((&two, &second.config)), &Fixed::default()).unwrap();
    assert_eq!((three.version, names(&three)), (3, vec!["a", "b", "c"]));
    assert_eq!((number(&three, 9), number(&three, 2)), (Some(0), None));
    assert!(three.services[0].application.is_none());
}

#[test]
fn the_first_rule_that_fits_wins_over_split_protocols() {
    let loaded =
        config(&format!("{{name: no, match: {{port: [7, \"20-90\"]}}, action: drop}}, {}", echo("e", 7)));
    let services = services(&loaded, None, &Fixed::default()).unwrap();
    for (protocol, port, expected) in [
        (Protocol::TCP, 7, Some(0)),
        (Protocol::UDP, 55, Some(0)),
        (Protocol::TCP, 19, None),
        (Protocol::TCP, 90, Some(0)),
    ] {
        let rule = services.policy.lookup(&key(protocol, port), 0, 0);
        assert_eq!(rule.map(|rule| rule.service), expected, "{protocol} {port}");
    }
}

#[test]
fn an_application_that_cannot_be_built_is_a_problem_at_its_place() {
    let directory = std::env::temp_dir().join(format!("millrace-empty-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let http = format!("application: {{http: {{directory: {}}}}}", directory.display());
    let loaded = config(&format!("{}, {{name: web, match: {{}}, action: terminate, {http}}}", echo("e", 1)));
    let problems = services(&loaded, None, &Fixed::default()).err().unwrap().0;
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    let line = loaded.text.lines().nth(2).unwrap();
    let column = line.find(directory.to_str().unwrap()).unwrap() + 1;
    let place = format!("test.yaml:3:{column}: services[1].application.http.directory: ");
    assert!(problem.to_string().starts_with(&place), "{problem}");
    std::fs::remove_dir(directory).unwrap();
}

#[test]
fn a_reload_cannot_name_a_port_that_is_not_running() {
    let running = config("");
    let now = services(&running, None, &Fixed::default()).unwrap();
    let renamed = text("{name: s, match: {ingress: wan}, action: drop}").replace("name: lan", "name: wan");
    let renamed = parse("test.yaml", &renamed).unwrap();
    let problems = services(&renamed, Some((&now, &running.config)), &Fixed::default()).err().unwrap();
    assert!(
        problems
            .to_string()
            .starts_with("test.yaml:3:39: services[0].match.ingress: the port `wan` is not running: "),
        "{problems}"
    );
    assert!(services(&renamed, None, &Fixed::default()).is_ok(), "at a start it is");
}

#[test]
fn names_run_out_after_a_bounded_number() {
    let named = |name: String| Service { name, application: None, proxy: None, observe: Level::None };
    let known = (0..MOST_SERVICES).map(|number| named(format!("s{number}"))).collect();
    let now =
        Services { version: 8, policy: Default::default(), services: known, upstreams: Default::default() };
    let running = config("");
    let old = config("{name: s64999, match: {}, action: drop}");
    let next = services(&old, Some((&now, &running.config)), &Fixed::default()).unwrap();
    assert_eq!((next.version, next.policy.rules()[0].service), (9, 64_999));
    let new = config("{name: new, match: {}, action: drop}");
    let problems = services(&new, Some((&now, &running.config)), &Fixed::default()).err().unwrap();
    assert!(problems.to_string().contains("services[0].name: 65000 different services"), "{problems}");
}

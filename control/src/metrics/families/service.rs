//! Metrics of services: what their applications took and gave.
//!
//! Invariant: a service that a reload took away keeps its numbers, so that its counters never jump.

use dataplane::application::AppCounters;

use super::family;
use crate::metrics::family::{Family, Samples};
use crate::snapshot::Snapshot;

pub(super) const FAMILIES: &[Family] = &[
    family!(Gauge "service_active" ["service", "application"] "",
    "1 while the service is configured, 0 once a reload took it away.",
    |s, out| for (service, application) in applications(s) {
        out.count(&[&service.name, application], u64::from(service.order.is_some()));
    }),
    family!(Counter "service_tcp_received_bytes_total" ["service", "application"] "bytes",
        "TCP payload the application took.", |s, out| each(s, out, |c| c.tcp_bytes_in)),
    family!(Counter "service_tcp_sent_bytes_total" ["service", "application"] "bytes",
        "TCP payload the application queued.", |s, out| each(s, out, |c| c.tcp_bytes_out)),
    family!(Counter "service_udp_received_datagrams_total" ["service", "application"] "packets",
        "Datagrams the application was given.", |s, out| each(s, out, |c| c.udp_datagrams_in)),
    family!(Counter "service_udp_received_bytes_total" ["service", "application"] "bytes",
        "Payload of those.", |s, out| each(s, out, |c| c.udp_bytes_in)),
    family!(Counter "service_udp_sent_datagrams_total" ["service", "application"] "packets",
        "Datagrams the application answered with.", |s, out| each(s, out, |c| c.udp_datagrams_out)),
    family!(Counter "service_udp_sent_bytes_total" ["service", "application"] "bytes",
        "Payload of those.", |s, out| each(s, out, |c| c.udp_bytes_out)),
    family!(Counter "service_udp_refused_total" ["service", "application"] "packets",
        "Answers that could not be sent: no buffer, or longer than the path carries.",
        |s, out| each(s, out, |c| c.udp_replies_refused)),
    family!(Counter "service_http_requests_total" ["service"] "requests",
        "HTTP requests whose head was complete and well formed.", |s, out| http(s, out, |c| c.http_requests)),
    family!(Counter "service_http_responses_total" ["service", "class"] "responses",
    "HTTP responses begun, by class: `1xx` to `5xx`.",
    |s, out| for (number, service) in s.services.iter().enumerate() {
        if service.application == Some("http") {
            for (class, name) in ["1xx", "2xx", "3xx", "4xx", "5xx"].into_iter().enumerate() {
                let value = s.service(number, |c| c.http_responses.get(class).copied().unwrap_or(0));
                out.count(&[&service.name, name], value);
            }
        }
    }),
    family!(Counter "service_http_bad_requests_total" ["service"] "requests",
        "HTTP requests refused with an error that ends the connection: syntax, limits, unknown framing, time.",
        |s, out| http(s, out, |c| c.http_bad_requests)),
    family!(Counter "service_http_truncated_requests_total" ["service"] "requests",
        "Connections on which the peer ended in the middle of a request.",
        |s, out| http(s, out, |c| c.http_truncated_requests)),
    family!(Counter "service_http_drain_aborts_total" ["service"] "flows",
        "Connections reset because the peer kept sending long after it was refused.",
        |s, out| http(s, out, |c| c.http_drain_aborts)),
    family!(Counter "service_http_timeouts_total" ["service"] "requests",
        "HTTP requests whose head or body did not come in time: status 408. They are bad requests, too.",
        |s, out| http(s, out, |c| c.http_timeouts)),
    family!(Counter "service_http_idle_closes_total" ["service"] "flows",
        "Connections closed because no request came for `keep_alive_timeout`.",
        |s, out| http(s, out, |c| c.http_idle_closes)),
];

fn applications<'s>(
    snapshot: &'s Snapshot<'_>,
) -> impl Iterator<Item = (&'s crate::snapshot::Service, &'static str)> {
    snapshot.services.iter().filter_map(|service| Some((service, service.application?)))
}

fn each(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&AppCounters) -> u64) {
    for (index, service) in snapshot.services.iter().enumerate() {
        if let Some(application) = service.application {
            out.count(&[&service.name, application], snapshot.service(index, number));
        }
    }
}

fn http(snapshot: &Snapshot<'_>, out: &mut Samples, number: fn(&AppCounters) -> u64) {
    for (index, service) in snapshot.services.iter().enumerate() {
        if service.application == Some("http") {
            out.count(&[&service.name], snapshot.service(index, number));
        }
    }
}

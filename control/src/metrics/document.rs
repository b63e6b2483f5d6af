//! docs/metrics.md, written from the catalogue.
//!
//! Invariant: the document says nothing about a family that the catalogue does not.

use std::fmt::Write;

use super::subjects;

const HEAD: &str = "# Metrics

Millrace serves its metrics in the Prometheus text format at `http://127.0.0.1:9464/metrics` (`metrics.listen`).
They are encoded when they are asked for, from reports that each worker leaves ten times a second.

All names begin with `millrace_`; units are base units (seconds, bytes, packets); counters end in `_total` and only grow
until the process ends. No address or port number of a flow is ever a label. A family without samples (no service,
no application) is left out.

Besides `/metrics` there are `/healthz` (200 while every worker gives signs of life, else 503) and `/readyz` (200 while
new flows are taken and at least one link is up, else 503). Both say in plain text what is wrong.

For every moment, each summed over its labels: `millrace_port_rx_packets_total` = `millrace_delivered_total` +
`millrace_drops_total` + `millrace_fragments_held` + (`millrace_worker_steered_out_total` -
`millrace_worker_steered_in_total`). The difference in brackets is what lies in the rings between workers. Reports of
different workers are up to a tenth of a second apart, so while packets flow the two sides may differ by what came in that
time.

For every worker and topic, `millrace_events_produced_total` = `millrace_events_sent_total` + `millrace_events_dropped_total`
(both values of `at`) + what is on the way: at rest, and while `export` is configured, nothing.

This file is written by `millrace metrics`; a test keeps it so.
";

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for (subject, families) in subjects() {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n## {subject}\n\n| name | type | labels | unit | meaning |\n|---|---|---|---|---|\n"
        );
        for family in *families {
            let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                family.name,
                family.kind.name(),
                labels.join(", "),
                family.unit,
                family.help
            );
        }
    }
    text.push_str(&reasons());
    text
}

/// The values of `reason` that are not spelled out anywhere else.
fn reasons() -> String {
    let mut text = "\n## Drop reasons\n\n| reason | the packet is dropped because |\n|---|---|\n".to_owned();
    for (name, meaning) in dataplane::drop::all_reasons() {
        let _ = writeln!(text, "| `{name}` | {meaning} |");
    }
    text
}

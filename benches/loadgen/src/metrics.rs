//! What the appliance counts, as its metrics listener tells it.
//!
//! Invariant: a metric that is not there counts as zero, so a rig older or newer than the appliance still runs.

use std::collections::BTreeMap;

/// All metrics at one time: each by name and the value of its last label that differs, and summed by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metrics {
    sums: BTreeMap<String, f64>,
    series: BTreeMap<(String, String), f64>,
}

impl Metrics {
    /// Reads the text format, HTTP head and all.
    pub(crate) fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines().filter_map(|line| line.strip_prefix("millrace_")) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let value = line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).unwrap_or(0.0);
            let label = line.rsplit('"').nth(1).unwrap_or_default();
            *metrics.sums.entry(name.to_owned()).or_default() += value;
            *metrics.series.entry((name.to_owned(), label.to_owned())).or_default() += value;
        }
        metrics
    }

    /// How much a number, named without `millrace_`, has grown since `earlier`.
    pub(crate) fn grown(&self, earlier: &Self, name: &str) -> f64 {
        let of = |metrics: &Self| metrics.sums.get(name).copied().unwrap_or(0.0);
        of(self) - of(earlier)
    }

    /// The same by the value of its last label, without those that did not change.
    pub(crate) fn grown_by(&self, earlier: &Self, name: &str) -> BTreeMap<String, f64> {
        let of = |label: &str| earlier.of(name, label);
        let mine = self.series.iter().filter(|((own, _), _)| own == name);
        mine.map(|((_, label), value)| (label.clone(), value - of(label)))
            .filter(|(_, grown)| *grown != 0.0)
            .collect()
    }

    /// A number by the value of its last label.
    pub(crate) fn of(&self, name: &str, label: &str) -> f64 {
        self.series.get(&(name.to_owned(), label.to_owned())).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_labels_and_told_apart() {
        let text = "HTTP/1.1 200 OK\r\n\r\n# TYPE millrace_drops_total counter\nmillrace_drops_total{reason=\"a b\"} 3\n\
                    millrace_drops_total{reason=\"c\"} 4\nmillrace_up 1\nother 9\n\
                    millrace_flows{worker=\"0\",kind=\"tcp\"} 5\nmillrace_flows{worker=\"1\",kind=\"tcp\"} 6\n";
        let (metrics, none) = (Metrics::parse(text), Metrics::default());
        assert_eq!(metrics.grown(&none, "drops_total"), 7.0);
        assert_eq!(metrics.grown(&metrics, "drops_total"), 0.0);
        assert_eq!(metrics.grown(&none, "other"), 0.0);
        assert_eq!((metrics.of("flows", "tcp"), metrics.of("flows", "udp")), (11.0, 0.0));
        assert_eq!((metrics.of("drops_total", "a b"), metrics.of("up", "")), (3.0, 1.0));
        let grown = metrics.grown_by(&none, "drops_total");
        assert_eq!(grown.into_iter().collect::<Vec<_>>(), [("a b".into(), 3.0), ("c".into(), 4.0)]);
        assert!(metrics.grown_by(&metrics, "drops_total").is_empty());
    }
}

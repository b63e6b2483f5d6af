//! One family of metrics: its name, type, labels and meaning, and how its samples are read from a snapshot.
//!
//! Invariant: every sample has exactly the labels its family declares.

use dataplane::proxy::Times;
use dataplane::proxy::counters::BOUNDS_US;
use dataplane::report::Report;
use hdrhistogram::Histogram as Recorded;
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};

use crate::snapshot::Snapshot;

/// The type of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// Its name in the exposition format.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A family of metrics.
pub struct Family {
    /// Name with prefix and unit.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// Unit; empty for a plain number.
    pub unit: &'static str,
    /// What it means, in one sentence.
    pub help: &'static str,
    pub(super) read: fn(&Snapshot<'_>, &mut Samples),
}

impl Family {
    /// Its samples now; none where there are no samples.
    pub(super) fn collect(&'static self, snapshot: &Snapshot<'_>) -> Option<MetricFamily> {
        let mut samples = Samples { family: self, metrics: Vec::new() };
        (self.read)(snapshot, &mut samples);
        if samples.metrics.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(match self.kind {
            Kind::Counter => MetricType::COUNTER,
            Kind::Gauge => MetricType::GAUGE,
            Kind::Histogram => MetricType::HISTOGRAM,
        });
        family.set_metric(samples.metrics);
        Some(family)
    }
}

/// The samples of a family, as they are read.
pub(super) struct Samples {
    family: &'static Family,
    metrics: Vec<Metric>,
}

impl Samples {
    /// A sample with the values of the family's labels, in their order.
    pub(super) fn put(&mut self, labels: &[&str], value: f64) {
        let mut metric = self.metric(labels);
        match self.family.kind {
            Kind::Gauge => {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            Kind::Counter | Kind::Histogram => {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            }
        }
        self.metrics.push(metric);
    }

    /// A whole number.
    pub(super) fn count(&mut self, labels: &[&str], value: u64) {
        self.put(labels, value as f64);
    }

    /// One sample for each worker that has reported.
    pub(super) fn workers(&mut self, snapshot: &Snapshot<'_>, number: impl Fn(&Report) -> u64) {
        for (worker, report) in snapshot.reports() {
            self.count(&[&worker.to_string()], number(report));
        }
    }

    /// A histogram of recorded nanoseconds, in seconds.
    pub(super) fn nanoseconds(&mut self, labels: &[&str], recorded: &Recorded<u64>) {
        let mut metric = self.metric(labels);
        metric.set_histogram(seconds(recorded));
        self.metrics.push(metric);
    }

    /// Durations by class, in seconds.
    pub(super) fn times(&mut self, labels: &[&str], times: &Times) {
        let mut below = 0;
        let buckets = BOUNDS_US.iter().zip(times.classes).map(|(bound, count)| {
            below += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound as f64 / 1e6);
            bucket.set_cumulative_count(below);
            bucket
        });
        let mut histogram = Histogram::default();
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_sum(times.sum_us as f64 / 1e6);
        histogram.set_sample_count(times.classes.iter().sum());
        let mut metric = self.metric(labels);
        metric.set_histogram(histogram);
        self.metrics.push(metric);
    }

    fn metric(&self, labels: &[&str]) -> Metric {
        debug_assert_eq!(labels.len(), self.family.labels.len(), "labels of {}", self.family.name);
        let pairs = self.family.labels.iter().zip(labels).map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        });
        Metric::from_label(pairs.collect())
    }
}

/// Upper bounds of the buckets of durations, in nanoseconds and in seconds: 1 µs to 1 s.
pub const LATENCY_BOUNDS: [(u64, f64); 19] = [
    (1_000, 0.000_001),
    (2_000, 0.000_002),
    (5_000, 0.000_005),
    (10_000, 0.000_01),
    (20_000, 0.000_02),
    (50_000, 0.000_05),
    (100_000, 0.000_1),
    (200_000, 0.000_2),
    (500_000, 0.000_5),
    (1_000_000, 0.001),
    (2_000_000, 0.002),
    (5_000_000, 0.005),
    (10_000_000, 0.01),
    (20_000_000, 0.02),
    (50_000_000, 0.05),
    (100_000_000, 0.1),
    (200_000_000, 0.2),
    (500_000_000, 0.5),
    (1_000_000_000, 1.0),
];

/// Recorded values are told apart to about 1 %, so a value just above a bound may be counted below it; the buckets and
/// the sum still only grow.
fn seconds(recorded: &Recorded<u64>) -> Histogram {
    let mut counts = [0_u64; LATENCY_BOUNDS.len()];
    let mut sum_ns = 0.0;
    for step in recorded.iter_recorded() {
        let (value, count) = (step.value_iterated_to(), step.count_since_last_iteration());
        sum_ns += value as f64 * count as f64;
        let lowest = recorded.lowest_equivalent(value);
        let bucket = LATENCY_BOUNDS.iter().position(|(bound, _)| lowest <= *bound);
        if let Some(slot) = bucket.and_then(|bucket| counts.get_mut(bucket)) {
            *slot += count;
        }
    }
    let mut below = 0;
    let buckets = LATENCY_BOUNDS.iter().zip(counts).map(|((_, bound), count)| {
        below += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(below);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_sum(sum_ns / 1e9);
    histogram.set_sample_count(recorded.len());
    histogram
}

//! Time per operation of the flow table and the timer wheel, the two structures every packet may touch.

#![allow(missing_docs)] // criterion's macro makes a public function.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use l3l4::Instant;
use l3l4::table::Table;
use l3l4::wheel::Wheel;
use std::hint::black_box;

const FLOWS: u32 = 50_000;

/// Spreads small numbers over 32 bits.
fn hash(n: u32) -> u32 {
    (u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
}

fn table(c: &mut Criterion) {
    let mut full = Table::new(FLOWS as usize);
    (0..FLOWS).for_each(|n| assert!(full.insert(hash(n), n)));
    let mut n = 0;
    c.bench_function("table/find", |b| {
        b.iter(|| {
            n = (n + 7919) % FLOWS;
            full.find(black_box(hash(n)), |slot| slot == n)
        });
    });
    c.bench_function("table/miss", |b| {
        b.iter(|| {
            n += 1;
            full.find(black_box(hash(n.wrapping_add(FLOWS))), |_| false)
        });
    });
    c.bench_function("table/remove and insert", |b| {
        b.iter(|| {
            n = (n + 7919) % FLOWS;
            full.remove(hash(n), n) && full.insert(hash(n), n)
        });
    });
}

fn wheel(c: &mut Criterion) {
    let at = |ms: u64| Instant::from_millis(ms);
    let mut wheel = Wheel::new(FLOWS as usize, at(0));
    let mut n = 0u32;
    c.bench_function("wheel/set", |b| {
        b.iter(|| {
            n = (n + 7919) % FLOWS;
            wheel.set(n, at(1000 + u64::from(n)));
        });
    });
    c.bench_function("wheel/idle turn", |b| {
        b.iter(|| wheel.advance(black_box(at(0)), 128, |_, _| ()));
    });
    c.bench_function("wheel/fire 10,000 spread over 5 s", |b| {
        b.iter_batched_ref(
            || {
                let mut wheel = Wheel::new(10_000, at(0));
                (0..10_000).for_each(|n| wheel.set(n, at(u64::from(hash(n)) % 5000)));
                wheel
            },
            |wheel| {
                let mut fired = 0;
                (0..=5000).for_each(|ms| {
                    wheel.advance(at(ms), usize::MAX, |_, _| fired += 1);
                });
                assert_eq!(fired, 10_000);
            },
            BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, table, wheel);
criterion_main!(benches);

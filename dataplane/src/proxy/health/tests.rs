//! Checks begin on time and one at a time, end once, and it takes as many results as planned to change a verdict.

mod http;
mod properties;

use std::collections::BTreeMap;

use super::*;

const PLAN: Plan =
    Plan { interval: Duration::from_secs(2), timeout: Duration::from_millis(500), rise: 2, fall: 3 };

fn ms(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

fn watching(plan: Plan) -> Checker {
    let mut checker = Checker::new(ms(0), 1);
    checker.watch(3, plan, ms(0));
    checker
}

/// Goes on by milliseconds until something is due.
fn until_due(checker: &mut Checker, now: &mut u64) -> Due {
    for _ in 0..10_000_000 {
        if let Some(due) = checker.due(ms(*now)) {
            return due;
        }
        *now += 1;
    }
    panic!("nothing is due");
}

fn start(checker: &mut Checker, now: &mut u64) -> Check {
    match until_due(checker, now) {
        Due::Start(check) => check,
        due => panic!("{due:?}"),
    }
}

/// The changes that results in this order bring: `+` a success, `-` a failure.
fn changes(checker: &mut Checker, results: &str) -> Vec<Option<Health>> {
    let mut now = 0;
    let one = |result| {
        let check = start(checker, &mut now);
        if result == '+' { checker.succeeded(check, ms(now)) } else { checker.failed(check, ms(now)) }
    };
    results.chars().map(one).collect()
}

#[test]
fn the_first_result_decides_and_then_rise_and_fall_count() {
    const UP: Option<Health> = Some(Health::Up);
    const DOWN: Option<Health> = Some(Health::Down);
    let mut checker = watching(PLAN);
    assert_eq!(checker.health(3), Health::Unknown);
    // Results in a row: one of the other kind begins anew.
    let expected = [UP, None, None, None, None, None, DOWN, None, None, None, None, UP, None, None, DOWN];
    assert_eq!(changes(&mut checker, "+--+----+-++---"), expected);
    assert_eq!(checker.health(3), Health::Down);

    assert_eq!(changes(&mut watching(PLAN), "-+++"), [DOWN, None, UP, None]);
    let hasty = Plan { rise: 0, fall: 1, ..PLAN };
    assert_eq!(changes(&mut watching(hasty), "+-+"), [UP, DOWN, UP]);
    let slow = Plan { rise: 255, fall: 255, ..PLAN };
    let results = changes(&mut watching(slow), &format!("+{}", "-".repeat(256)));
    assert_eq!((results[254], results[255], results[256]), (None, DOWN, None));
}

#[test]
fn a_check_that_is_not_answered_fails_once() {
    let mut checker = watching(PLAN);
    let mut now = 0;
    let check = start(&mut checker, &mut now);
    let begun = now;
    let due = until_due(&mut checker, &mut now);
    assert_eq!(due, Due::GiveUp { check, change: Some(Health::Down) });
    assert_eq!(now, begun + 500);
    // What is said of it now comes too late, also when the next one is under way.
    assert_eq!((checker.succeeded(check, ms(now)), checker.failed(check, ms(now))), (None, None));
    let next = start(&mut checker, &mut now);
    assert_eq!(now, begun + 2000, "from start to start");
    assert_ne!(next, check);
    assert_eq!(Check::from_bits(next.to_bits()), next);
    for _ in 0..5 {
        assert_eq!(checker.succeeded(check, ms(now)), None);
    }
    assert_eq!(checker.succeeded(next, ms(now)), None, "the first of two");
    assert_eq!(checker.succeeded(next, ms(now)), None, "counts once");
    assert_eq!(checker.health(3), Health::Down);
}

#[test]
fn a_slow_check_is_not_joined_by_another() {
    let slow = Plan { timeout: Duration::from_secs(7), ..PLAN };
    let mut checker = watching(slow);
    let mut now = 0;
    let check = start(&mut checker, &mut now);
    let begun = now;
    assert_eq!(until_due(&mut checker, &mut now), Due::GiveUp { check, change: Some(Health::Down) });
    assert_eq!(now, begun + 7000);
    let check = start(&mut checker, &mut now);
    assert_eq!(now, begun + 7001, "it is late already");
    // Answered after more than an interval, and then after less.
    now += 3000;
    assert_eq!((checker.due(ms(now)), checker.succeeded(check, ms(now))), (None, None));
    let check = start(&mut checker, &mut now);
    assert_eq!(now, begun + 10_002);
    assert_eq!(checker.succeeded(check, ms(now + 10)), Some(Health::Up));
    start(&mut checker, &mut now);
    assert_eq!(now, begun + 12_002);
}

#[test]
fn first_checks_are_spread() {
    let starts = |seed, interval| {
        let mut checker = Checker::new(ms(0), seed);
        for server in 0..1000 {
            checker.watch(server, Plan { interval, ..PLAN }, ms(0));
        }
        let mut turns = BTreeMap::<u64, Vec<u16>>::new();
        for now in 0..=1000 {
            while let Some(due) = checker.due(ms(now)) {
                let Due::Start(check) = due else { continue };
                checker.succeeded(check, ms(now));
                turns.entry(now).or_default().push(check.server());
            }
        }
        turns
    };
    let minute = starts(1, Duration::from_secs(60));
    assert_eq!(minute.values().map(Vec::len).sum::<usize>(), 1000);
    assert!(minute.values().all(|turn| turn.len() < 10), "one a millisecond on the average");
    assert!(minute.len() > 500);
    assert_ne!(minute, starts(2, Duration::from_secs(60)));
    let short = starts(1, Duration::from_millis(100));
    let first: usize = short.range(..=100).map(|(_, turn)| turn.len()).sum();
    assert!((1000..1100).contains(&first), "all of them in the first interval: {first}");
}

#[test]
fn a_reload_keeps_verdicts_and_applies_plans() {
    let mut checker = watching(PLAN);
    let mut now = 0;
    let check = start(&mut checker, &mut now);
    let begun = now;
    // Less patience for the check under way.
    checker.watch(3, Plan { timeout: Duration::from_millis(100), fall: 1, ..PLAN }, ms(now + 10));
    assert_eq!(until_due(&mut checker, &mut now), Due::GiveUp { check, change: Some(Health::Down) });
    assert_eq!(now, begun + 100);
    // A longer interval, then a shorter one: from the last start.
    let hourly = Plan { interval: Duration::from_secs(3600), ..PLAN };
    checker.watch(3, hourly, ms(now));
    assert_eq!(checker.health(3), Health::Down);
    checker.watch(3, Plan { interval: Duration::from_secs(5), rise: 1, ..PLAN }, ms(now));
    let check = start(&mut checker, &mut now);
    assert_eq!(now, begun + 5000);
    assert_eq!(checker.succeeded(check, ms(now)), Some(Health::Up));
    let begun = now;
    // An hour is beyond the wheel's horizon.
    checker.watch(3, hourly, ms(now));
    let check = start(&mut checker, &mut now);
    assert_eq!(now, begun + 3_600_000);
    checker.failed(check, ms(now));
    // Due long ago by the new plan: soon, but not together with all others.
    now += 1_800_000;
    assert_eq!(checker.due(ms(now)), None);
    checker.watch(3, PLAN, ms(now));
    let told = now;
    start(&mut checker, &mut now);
    assert!(now - told <= 1000);
    // The same again changes nothing.
    let next = checker.next();
    checker.watch(3, PLAN, ms(now));
    assert_eq!(checker.next(), next);
}

#[test]
fn a_server_that_is_forgotten_begins_anew() {
    let mut checker = watching(PLAN);
    let mut now = 0;
    let check = start(&mut checker, &mut now);
    assert_eq!(checker.failed(check, ms(now)), Some(Health::Down));
    assert_eq!(checker.forget(3), None, "no check was under way");
    assert_eq!((checker.health(3), checker.next()), (Health::Unknown, None));
    checker.watch(3, PLAN, ms(now));
    let check = start(&mut checker, &mut now);
    assert_eq!(checker.forget(3), Some(check));
    assert_eq!(checker.failed(check, ms(now)), None);
    assert!(!checker.is_due(ms(now + 10_000)) && checker.due(ms(now + 10_000)).is_none());
    now += 10_000;
    checker.watch(3, PLAN, ms(now));
    let next = start(&mut checker, &mut now);
    assert_eq!(
        (checker.failed(check, ms(now)), checker.health(3)),
        (None, Health::Unknown),
        "of another time"
    );
    assert_eq!(checker.succeeded(next, ms(now)), Some(Health::Up));
    let never = Check::from_bits(9 << 16);
    assert_eq!((never.server(), checker.forget(9), checker.failed(never, ms(now))), (9, None, None));
    assert_eq!(checker.health(u16::MAX), Health::Unknown);
}

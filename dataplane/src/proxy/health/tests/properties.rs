//! Any course of events, followed by a plain model.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Watch(u16, Plan),
    Forget(u16),
    /// A result of the last check of the server, be it over or not.
    Result(u16, bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let millis = |range: core::ops::Range<u64>| range.prop_map(Duration::from_millis);
    let plan = (millis(1..3000), millis(1..3000), 1..4u8, 1..4u8)
        .prop_map(|(interval, timeout, rise, fall)| Plan { interval, timeout, rise, fall });
    prop_oneof![
        1 => (0..6u16, plan).prop_map(|(server, plan)| Step::Watch(server, plan)),
        1 => (0..6u16).prop_map(Step::Forget),
        8 => (0..6u16, any::<bool>()).prop_map(|(server, good)| Step::Result(server, good)),
        8 => (0..800u64).prop_map(Step::Wait),
    ]
}

/// What is known of one server from outside.
#[derive(Default)]
struct Model {
    plan: Option<Plan>,
    /// Plan changes blur from when the interval counts.
    fresh_plan: bool,
    last: Option<(Check, u64)>,
    under_way: bool,
    /// Since the verdict changed.
    results: Vec<bool>,
    health: Health,
}

impl Model {
    fn result(&mut self, good: bool) -> Option<Health> {
        self.under_way = false;
        self.results.push(good);
        let plan = self.plan.unwrap();
        let row = self.results.iter().rev().take_while(|result| **result == good).count();
        let (needed, verdict) = match good {
            true => (plan.rise, Health::Up),
            false => (plan.fall, Health::Down),
        };
        let decides = self.health == Health::Unknown || row >= usize::from(needed);
        if self.health == verdict || !decides {
            return None;
        }
        self.health = verdict;
        self.results.clear();
        Some(verdict)
    }
}

fn turn(checker: &mut Checker, models: &mut [Model], now: u64) {
    let mut turns = 0;
    while let Some(due) = checker.due(ms(now)) {
        turns += 1;
        assert!(turns <= 4 * models.len(), "a turn ends");
        match due {
            Due::Start(check) => {
                let model = &mut models[usize::from(check.server())];
                let plan = model.plan.expect("only who is watched is checked");
                assert!(!model.under_way, "one at a time");
                if let Some((last, begun)) = model.last {
                    assert_ne!(last, check);
                    assert!(model.fresh_plan || now - begun >= plan.interval.as_millis() as u64);
                }
                model.last = Some((check, now));
                (model.under_way, model.fresh_plan) = (true, false);
            }
            Due::GiveUp { check, change } => {
                let model = &mut models[usize::from(check.server())];
                let (last, begun) = model.last.unwrap();
                assert!(model.under_way && last == check);
                assert!(now - begun >= model.plan.unwrap().timeout.as_millis() as u64);
                assert_eq!(model.result(false), change);
            }
        }
    }
    // Nobody waits longer than planned, if turns are a millisecond apart.
    for model in models.iter().filter(|model| model.under_way) {
        let (_, begun) = model.last.unwrap();
        // A shorter plan is heard with the next turn.
        assert!(now - begun <= model.plan.unwrap().timeout.as_millis() as u64 || model.fresh_plan);
    }
    for model in models.iter().filter(|model| !model.under_way && !model.fresh_plan) {
        let (Some((_, begun)), Some(plan)) = (model.last, model.plan) else { continue };
        let interval = plan.interval.max(plan.timeout).as_millis() as u64;
        assert!(now - begun <= interval + 1, "the next check is late");
    }
}

proptest! {
    #[test]
    fn checks_keep_to_their_plan(steps in prop::collection::vec(step(), 1..120), seed: u64) {
        let mut checker = Checker::new(ms(0), seed);
        let mut models: Vec<Model> = (0..6).map(|_| Model::default()).collect();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Watch(server, plan) => {
                    checker.watch(server, plan, ms(now));
                    let model = &mut models[usize::from(server)];
                    model.fresh_plan |= model.plan != Some(plan);
                    model.plan = Some(plan);
                    turn(&mut checker, &mut models, now);
                }
                Step::Forget(server) => {
                    let model = &mut models[usize::from(server)];
                    let expected = model.last.filter(|_| model.under_way).map(|(check, _)| check);
                    prop_assert_eq!(checker.forget(server), expected);
                    *model = Model { last: model.last, fresh_plan: true, ..Model::default() };
                }
                Step::Result(server, good) => {
                    let model = &mut models[usize::from(server)];
                    let Some((check, _)) = model.last else { continue };
                    let expected = if model.under_way { model.result(good) } else { None };
                    let change = match good {
                        true => checker.succeeded(check, ms(now)),
                        false => checker.failed(check, ms(now)),
                    };
                    prop_assert_eq!(change, expected);
                }
                Step::Wait(millis) => {
                    for _ in 0..millis {
                        now += 1;
                        if checker.next().is_some_and(|next| next <= ms(now)) {
                            prop_assert!(checker.is_due(ms(now)));
                        }
                        turn(&mut checker, &mut models, now);
                    }
                }
            }
            for (server, model) in models.iter().enumerate() {
                prop_assert_eq!(checker.health(server as u16), model.health);
            }
        }
    }
}

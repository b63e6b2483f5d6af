//! Nobody who may not take a flow is picked, and somebody is picked whenever there is one who may.

use proptest::prelude::*;

use super::super::super::roster::MAX_WEIGHT;
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Pick { source: u128, avoid: Vec<usize>, keep: bool },
    Close(usize),
    State(usize, State),
    Update(Vec<(u8, u16, Option<u32>)>),
}

fn any_state() -> impl Strategy<Value = State> {
    prop_oneof![2 => Just(State::InService), 1 => Just(State::Draining), 1 => Just(State::Out)]
}

fn any_members() -> impl Strategy<Value = Vec<(u8, u16, Option<u32>)>> {
    let weight = prop_oneof![1 => Just(0), 4 => 1..=MAX_WEIGHT];
    let member = (weight, proptest::option::of(0_u32..4));
    proptest::collection::btree_map(0_u8..12, member, 0..8)
        .prop_map(|members| members.into_iter().map(|(name, (weight, most))| (name, weight, most)).collect())
}

fn any_step() -> impl Strategy<Value = Step> {
    let pick = (any::<u128>(), proptest::collection::vec(0_usize..12, 0..5), any::<bool>());
    prop_oneof![
        12 => pick.prop_map(|(source, avoid, keep)| Step::Pick { source, avoid, keep }),
        3 => (0_usize..64).prop_map(Step::Close),
        4 => (0_usize..12, any_state()).prop_map(|(server, state)| Step::State(server, state)),
        1 => any_members().prop_map(Step::Update),
    ]
}

fn made(members: &[(u8, u16, Option<u32>)], choice: Choice) -> Arc<Roster> {
    let member = |(name, weight, maximum): &(u8, u16, Option<u32>)| Member {
        name: format!("server {name}").into(),
        weight: *weight,
        maximum: *maximum,
    };
    Arc::new(Roster::new(members.iter().map(member).collect(), choice, [1; 16]).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn only_who_may_and_always_if_one_may(
        choice in proptest::sample::select(&CHOICES[..]),
        members in any_members(),
        worker in 0_u16..9,
        steps in proptest::collection::vec(any_step(), 1..60),
    ) {
        let mut group = Group::new(made(&members, choice), worker);
        // The flows there are: the server's name and what the group calls it.
        let mut flows: Vec<(Arc<str>, Server)> = Vec::new();
        let mut states = std::collections::HashMap::<Arc<str>, State>::new();
        for step in steps {
            match step {
                Step::Pick { source, avoid, keep } => {
                    let avoid: ServerSet =
                        avoid.iter().filter_map(|at| group.servers().get(*at)).copied().collect();
                    let may = |group: &Group, member: &Member| {
                        let open = flows.iter().filter(|(name, _)| *name == member.name).count() as u32;
                        member.weight > 0
                            && states.get(&member.name).is_none_or(|state| *state == State::InService)
                            && member.maximum.is_none_or(|most| open < most)
                            && !avoid.contains(group.server(&member.name).unwrap())
                    };
                    let able: Vec<_> =
                        group.roster().members().iter().filter(|member| may(&group, member)).cloned().collect();
                    let picked = group.pick(Addr(source), &avoid);
                    prop_assert_eq!(picked.is_none(), able.is_empty());
                    let Some(server) = picked else { continue };
                    let member = able.iter().find(|member| group.server(&member.name) == Some(server));
                    prop_assert!(member.is_some(), "{server:?} of {able:?}");
                    if keep {
                        group.opened(server);
                        flows.push((Arc::clone(&member.unwrap().name), server));
                    }
                }
                Step::Close(flow) if flow < flows.len() => group.closed(flows.swap_remove(flow).1),
                Step::Close(_) => {}
                Step::State(at, state) => {
                    if let Some(server) = group.servers().get(at).copied() {
                        group.set_state(server, state);
                        states.insert(Arc::clone(&group.roster().members()[at].name), state);
                    }
                }
                Step::Update(members) => {
                    group.update(made(&members, choice)).unwrap();
                    states.retain(|name, _| group.server(name).is_some());
                }
            }
            for member in group.roster().members() {
                let server = group.server(&member.name).unwrap();
                let open = flows.iter().filter(|(name, _)| *name == member.name).count();
                prop_assert_eq!(group.open(server) as usize, open);
            }
        }
    }
}

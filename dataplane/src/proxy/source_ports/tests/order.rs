//! First in, first out, whatever is taken, given back and exchanged.

use std::collections::VecDeque;

use super::*;

fn one_list(ownership: Ownership, pool: usize) -> (SourcePorts, Endpoint) {
    let limits = Limits { range: 40_000..=40_099, endpoints: 1, pool };
    (SourcePorts::new(&[addr("10.0.0.1")], ownership, &limits, SECRET).unwrap(), endpoint("10.0.0.2", 80))
}

#[test]
fn a_port_comes_again_after_all_others() {
    let (mut ports, upstream) = one_list(Ownership::All, 100);
    // One connection at a time still goes through all ports before one comes again.
    let mut rounds = Vec::new();
    for _ in 0..300 {
        let source = ports.take(upstream).unwrap();
        ports.give_back(upstream, source);
        rounds.push(source);
    }
    assert_eq!(rounds[..100].iter().collect::<BTreeSet<_>>().len(), 100);
    assert_eq!(rounds[..100], rounds[100..200]);
    assert_eq!(rounds[..100], rounds[200..]);
}

#[test]
fn ports_come_again_in_the_order_they_came_back() {
    let (mut ports, upstream) = one_list(hashed(&MICROSOFT, 3, 1), 100);
    let mut taken = all(&mut ports, upstream);
    taken.sort_by_key(|(_, port)| port % 7);
    for source in &taken {
        ports.give_back(upstream, *source);
    }
    assert_eq!(all(&mut ports, upstream), taken);
}

#[test]
fn a_small_pool_bounds_what_is_out() {
    let (mut ports, upstream) = one_list(Ownership::All, 3);
    let taken = all(&mut ports, upstream);
    assert_eq!((taken.len(), ports.out(upstream)), (3, 3));
    for source in [taken[2], taken[0]] {
        ports.give_back(upstream, source);
    }
    assert_eq!(all(&mut ports, upstream), [taken[2], taken[0]]);
    let (mut none, upstream) = one_list(Ownership::All, 0);
    assert_eq!(none.take(upstream), Err(TakeError::Exhausted));
}

#[test]
fn an_exchanged_port_goes_to_the_end_and_is_not_lost() {
    let (mut ports, upstream) = one_list(hashed(&SYMMETRIC_KEY, 2, 0), 100);
    let taken = all(&mut ports, upstream);
    for source in &taken {
        ports.give_back(upstream, *source);
    }
    let busy = ports.take(upstream).unwrap();
    assert_eq!(busy, taken[0]);
    assert_eq!(ports.exchange(upstream, busy), Ok(taken[1]));
    let mut rest = taken[2..].to_vec();
    rest.push(busy);
    assert_eq!(all(&mut ports, upstream), rest);
    // The last one is all there is.
    assert_eq!(ports.exchange(upstream, busy), Ok(busy));
}

#[derive(Clone, Debug)]
enum Step {
    Take,
    GiveBack(usize),
    Exchange(usize),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Take),
        3 => (0_usize..40).prop_map(Step::GiveBack),
        1 => (0_usize..40).prop_map(Step::Exchange),
    ]
}

proptest! {
    #[test]
    fn a_list_is_a_queue(
        workers in 1_u16..9,
        worker in 0_u16..8,
        pool in 1_usize..40,
        port: u16,
        steps in proptest::collection::vec(any_step(), 0..200),
    ) {
        let worker = worker % workers;
        let upstream = Endpoint { port, ..endpoint("10.0.0.2", 0) };
        // What a list holds in the end is known by emptying one of the same secret.
        let mut queue: VecDeque<_> = {
            let (mut whole, _) = one_list(hashed(&MICROSOFT, workers, worker), pool);
            all(&mut whole, upstream).into()
        };
        let toeplitz = Toeplitz::new(&MICROSOFT).unwrap();
        for source in &queue {
            let hash = toeplitz.hash(&reply(upstream, *source));
            prop_assert_eq!(Reta::spread(workers).owner(hash, workers), worker);
        }
        let (mut ports, _) = one_list(hashed(&MICROSOFT, workers, worker), pool);
        let mut out = Vec::new();
        for step in steps {
            let taken = match step {
                Step::Take => ports.take(upstream),
                Step::GiveBack(at) | Step::Exchange(at) if at >= out.len() => continue,
                Step::GiveBack(at) => {
                    let source = out.swap_remove(at);
                    ports.give_back(upstream, source);
                    queue.push_back(source);
                    continue;
                }
                Step::Exchange(at) => {
                    let source = out.swap_remove(at);
                    queue.push_back(source);
                    ports.exchange(upstream, source)
                }
            };
            prop_assert_eq!(taken, queue.pop_front().ok_or(TakeError::Exhausted));
            out.extend(taken);
            prop_assert_eq!(ports.out(upstream) as usize, out.len());
        }
        prop_assert_eq!(ports.refused().strays, 0);
    }
}

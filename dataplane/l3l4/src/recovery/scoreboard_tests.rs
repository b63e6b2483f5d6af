use super::*;

#[test]
fn sacked_lost_and_sent_again() {
    let (mut pool, mut rack) = (Pool::new(4, 32), Rack::default());
    let mut board = Scoreboard::default();
    board.clear(&mut pool, 1000);
    board.push(&mut pool, 11_000, 8_000);
    rack.begin(20_000, 1_000);
    let mut news = News::default();
    board.sack(&mut pool, 3000, 4000, &mut rack, &mut news);
    assert_eq!((news.delivered, board.sacked, board.pipe()), (1000, 1000, 9000));
    assert_eq!(board.detect(&mut pool, &rack, 0, 20_000), (2000, None));
    assert_eq!((board.first_lost(&mut pool, 0), board.pipe()), (Some(1000), 7000));
    assert_eq!(board.resend(&mut pool, 1000, 2000, 20_000), 1000);
    assert_eq!(board.resend(&mut pool, 1000, 2000, 20_000), 0, "once is enough");
    assert_eq!(board.first_lost(&mut pool, 1000), Some(2000));
    assert_eq!(board.list(&mut pool), [(2000, RESENT), (3000, LOST), (4000, SACKED), (11_000, 0)]);
    let mut news = News::default();
    board.ack(&mut pool, 4000, &mut rack, &mut news);
    assert_eq!((news.acked, news.delivered, news.resent), (3000, 2000, true));
    assert_eq!((board.sacked, board.lost, board.flight()), (0, 0, 7000));
    board.ack(&mut pool, 11_000, &mut rack, &mut news);
    assert!(board.is_empty() && pool.used() == 0);
}

#[test]
fn a_pool_that_is_empty_costs_detail_and_nothing_else() {
    let mut pool = Pool::new(0, 32);
    let mut board = Scoreboard::default();
    for n in 1..100 {
        board.push(&mut pool, n * 100, n * 1000);
    }
    assert_eq!((board.flight(), board.pipe()), (9900, 9900));
    assert!(pool.refused > 0);
    let (mut rack, mut news) = (Rack::default(), News::default());
    board.sack(&mut pool, 150, 250, &mut rack, &mut news);
    board.lose(&mut pool, 1000, 1100);
    assert!(board.lost >= 100, "more than asked for, not less");
    board.lose_all(&mut pool);
    assert_eq!(board.lost + board.sacked, 9900);
}

/// What the board should say, byte by byte.
struct Model {
    start: u32,
    bytes: Vec<u32>,
}

#[derive(Clone, Debug)]
enum Step {
    Push(u32),
    Ack(u32),
    Sack(u32, u32),
    Lose(u32, u32),
    LoseAll,
    Resend(u32, u32),
}

fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
    use proptest::prelude::*;
    let part = || (0u32..1000, 1u32..1000);
    proptest::collection::vec(
        prop_oneof![
            3 => (1u32..300).prop_map(Step::Push),
            2 => (0u32..1000).prop_map(Step::Ack),
            3 => part().prop_map(|(a, b)| Step::Sack(a, b)),
            1 => part().prop_map(|(a, b)| Step::Lose(a, b)),
            1 => Just(Step::LoseAll),
            3 => part().prop_map(|(a, b)| Step::Resend(a, b)),
        ],
        1..120,
    )
}

/// A part of what is in flight, from thousandths.
fn part(board: &Scoreboard, from: u32, len: u32) -> (u32, u32) {
    let flight = board.flight();
    let from = flight * from / 1000;
    let to = (from + flight * len / 1000).min(flight);
    (board.start.wrapping_add(from), board.start.wrapping_add(to))
}

proptest::proptest! {
    #[test]
    fn agrees_with_a_map_of_bytes(steps in steps(), first: u32, blocks in 0usize..2) {
        let (mut pool, mut rack) = (Pool::new(blocks, 256), Rack::default());
        let mut board = Scoreboard::default();
        board.clear(&mut pool, first);
        let mut model = Model { start: first, bytes: vec![] };
        let mut now = 0;
        for step in steps {
            now += 1000;
            rack.begin(now, 100);
            let mut news = News::default();
            let (from, to) = match step {
                Step::Sack(a, b) | Step::Lose(a, b) | Step::Resend(a, b) => part(&board, a, b),
                _ => (board.start, board.start),
            };
            let at = |seq: u32| seq.wrapping_sub(board.start) as usize;
            let span = at(from)..at(to).max(at(from));
            match step {
                Step::Push(len) => {
                    board.push(&mut pool, board.end.wrapping_add(len), now);
                    model.bytes.extend(vec![0; len as usize]);
                }
                Step::Ack(part) => {
                    let len = board.flight() * part / 1000;
                    board.ack(&mut pool, board.start.wrapping_add(len), &mut rack, &mut news);
                    model.start = model.start.wrapping_add(len);
                    let fresh = model.bytes.drain(..len as usize).filter(|b| b & SACKED == 0).count();
                    if blocks > 0 {
                        proptest::prop_assert_eq!(news.delivered, fresh as u32);
                    }
                }
                Step::Sack(..) if from != to => {
                    board.sack(&mut pool, from, to, &mut rack, &mut news);
                    for byte in &mut model.bytes[span] {
                        *byte = *byte & !LOST | SACKED;
                    }
                }
                Step::Lose(..) if from != to => {
                    board.lose(&mut pool, from, to);
                    for byte in &mut model.bytes[span] {
                        *byte |= if *byte & SACKED == 0 { LOST } else { 0 };
                    }
                }
                Step::LoseAll if !board.is_empty() => {
                    board.lose_all(&mut pool);
                    if blocks == 0 || model.bytes[0] & SACKED != 0 {
                        model.bytes.iter_mut().for_each(|b| *b &= !SACKED);
                    }
                    for byte in &mut model.bytes {
                        *byte |= if *byte & SACKED == 0 { LOST } else { 0 };
                    }
                }
                Step::Resend(..) if from != to => {
                    let sent = board.resend(&mut pool, from, to, now);
                    let mut lost = 0;
                    for byte in &mut model.bytes[span] {
                        lost += *byte & LOST;
                        *byte &= !LOST;
                    }
                    if blocks > 0 {
                        proptest::prop_assert_eq!(sent, lost / LOST);
                    }
                }
                _ => {}
            }
            // The sums are right, whatever detail was given up.
            let mut start = board.start;
            let (mut sacked, mut lost) = (0, 0);
            for (end, flags) in board.list(&mut pool) {
                let len = end.wrapping_sub(start);
                proptest::prop_assert!(len > 0 && len < 1 << 20);
                sacked += if flags & SACKED != 0 { len } else { 0 };
                lost += if flags & LOST != 0 { len } else { 0 };
                proptest::prop_assert!(flags & (SACKED | LOST) != SACKED | LOST);
                start = end;
            }
            proptest::prop_assert_eq!((start, sacked, lost), (board.end, board.sacked, board.lost));
            proptest::prop_assert_eq!(board.flight() as usize, model.bytes.len());
            if blocks > 0 {
                let count = |flag| model.bytes.iter().filter(|b| **b & flag != 0).count() as u32;
                proptest::prop_assert_eq!((sacked, lost), (count(SACKED), count(LOST)));
            }
        }
        board.clear(&mut pool, 0);
        proptest::prop_assert_eq!(pool.used(), 0);
    }
}

//! Every target on some thousand inputs: random bytes, and seeds with a few bytes changed.
//!
//! Invariant: the same inputs in every run, so that a failure here is one everywhere; the input that fails is kept
//! in a file, and `FUZZ_INPUT=FILE` runs that one alone.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    let places = [root.join("seeds").join(target), root.join("../conf"), root.join("../conf/examples")];
    for place in if target == "config" { &places[..] } else { &places[..1] } {
        let Ok(entries) = std::fs::read_dir(place) else { continue };
        let mut files: Vec<_> =
            entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
        files.sort();
        found.extend(files.iter().map(|file| std::fs::read(file).expect("a seed can be read")));
    }
    found
}

fn play(target: &str, inputs: usize, longest: usize, run: fn(&[u8])) {
    if let Ok(file) = std::env::var("FUZZ_INPUT") {
        return run(&std::fs::read(file).expect("the input can be read"));
    }
    let mut random = Random(1);
    let seeds = seeds(target);
    for seed in &seeds {
        run(seed);
    }
    for number in 0..inputs {
        let input = match seeds.len() {
            count if count > 0 && number % 4 != 0 => {
                let mut input = seeds[random.below(count)].clone();
                for _ in 0..1 + random.below(4) {
                    mutate(&mut input, &mut random);
                }
                input
            }
            _ => {
                let len = random.below(longest);
                random.bytes(len)
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(&input))) {
            let file = std::env::temp_dir().join(format!("millrace-fuzz-{target}-{number}"));
            let kept = std::fs::write(&file, &input);
            eprintln!("{target}: input {number} (in {}: {kept:?})", file.display());
            std::panic::resume_unwind(panic);
        }
    }
}

fn mutate(input: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(input.len());
    match random.below(4) {
        0 if !input.is_empty() => input[at] = random.next() as u8,
        1 if !input.is_empty() => {
            let end = (at + 1 + random.below(20)).min(input.len());
            input.drain(at..end);
        }
        2 => {
            let len = 1 + random.below(8);
            let more = random.bytes(len);
            input.splice(at..at, more);
        }
        _ => {
            let end = (at + random.below(40)).min(input.len());
            let piece = input[at..end].to_vec();
            let to = random.below(input.len());
            input.splice(to..to, piece);
        }
    }
}

#[test]
fn engine() {
    play("engine", 2000, 600, millrace_fuzz::engine::run);
}

#[test]
fn two_peers() {
    play("two_peers", 500, 200, millrace_fuzz::two_peers::run);
}

#[test]
fn config() {
    play("config", 3000, 200, millrace_fuzz::config::run);
}

#[test]
fn admin() {
    play("admin", 5000, 200, millrace_fuzz::admin::run);
}

#[test]
fn packets() {
    play("packets", 5000, 1000, millrace_fuzz::packets::run);
}

#[test]
fn monitor() {
    play("monitor", 5000, 1500, millrace_fuzz::monitor::run);
}

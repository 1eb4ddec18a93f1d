//! Two threads that are always somewhere else: deep, in inlined code, in the
//! allocator, in formatting, in sorting, behind dynamic calls, in system calls.

use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::{Mutex, mpsc};

trait Step {
    fn take(&self, depth: u32, state: &mut Vec<u64>) -> u64;
}

struct Even(Box<dyn Fn(u64) -> u64>);
struct Odd;

impl Step for Even {
    fn take(&self, depth: u32, state: &mut Vec<u64>) -> u64 {
        let mixed = (self.0)(u64::from(depth));
        state.push(mixed);
        down(depth.saturating_sub(1), state) ^ mixed
    }
}

impl Step for Odd {
    fn take(&self, depth: u32, state: &mut Vec<u64>) -> u64 {
        state.sort_unstable_by_key(|value| value.rotate_left(7));
        down(depth.saturating_sub(1), state).wrapping_mul(3)
    }
}

#[inline(never)]
fn down(depth: u32, state: &mut Vec<u64>) -> u64 {
    if depth == 0 {
        return leaf(state);
    }
    let step: &dyn Step = if depth.is_multiple_of(2) {
        &Even(Box::new(|value| value.wrapping_mul(0x9e37_79b9)))
    } else {
        &Odd
    };
    black_box(step).take(depth, state)
}

#[inline(never)]
fn leaf(state: &mut Vec<u64>) -> u64 {
    let mut map = HashMap::new();
    for (index, value) in state.iter().enumerate() {
        *map.entry(value % 17).or_insert(0u64) += index as u64;
    }
    let tree: BTreeMap<String, u64> = map.iter().map(|(k, v)| (format!("{k:>8}"), *v)).collect();
    let text: String = tree.iter().map(|(k, v)| format!("{k}={v:?};")).collect();
    let caught = std::panic::catch_unwind(|| black_box(text.len()) + black_box(3));
    let big = [black_box(state.len() as u64); 2000];
    state.truncate(8);
    big.iter().fold(caught.unwrap_or(0) as u64, |sum, value| sum ^ value.rotate_left(11))
}

fn main() {
    let total = Mutex::new(0u64);
    let (send, receive) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let send = send;
            let mut state = Vec::new();
            for round in 0.. {
                let value = down(round % 40, &mut state);
                *total.lock().unwrap() ^= value;
                if round % 64 == 0 {
                    send.send(value).unwrap();
                }
            }
        });
        scope.spawn(|| {
            for value in receive {
                *total.lock().unwrap() ^= value;
            }
        });
        let mut state = Vec::new();
        for round in 0.. {
            *total.lock().unwrap() ^= down(round % 12, &mut state);
            if round % 1000 == 0 {
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        }
    });
}

//! walks LENGTH PART/PARTS: counts the self-avoiding walks of LENGTH steps on the square lattice whose first steps are of
//! part PART, from 0. The counts of all parts add up to the number of walks (sequence A001411 of the OEIS).

use std::process::exit;

/// Steps in each direction that a walk may go: the grid is a square of twice that, and 1.
const REACH: usize = 40;
const SIDE: usize = 2 * REACH + 1;
const STEPS: [isize; 4] = [1, -1, SIDE as isize, -(SIDE as isize)];
/// Steps that name a part: 4 x 3^7 beginnings at most, dealt to the parts in turn.
const BEGINNING: u32 = 8;

struct Walker {
    visited: Vec<bool>,
    part: u64,
    parts: u64,
    /// Beginnings seen so far; the same in every unit.
    beginnings: u64,
}

impl Walker {
    fn count(&mut self, at: usize, taken: u32, length: u32) -> u64 {
        if taken == BEGINNING.min(length) {
            let mine = self.beginnings % self.parts == self.part;
            self.beginnings += 1;
            if !mine {
                return 0;
            }
        }
        if taken == length {
            return 1;
        }
        self.visited[at] = true;
        let mut walks = 0;
        for step in STEPS {
            let next = (at as isize + step) as usize;
            if !self.visited[next] {
                walks += self.count(next, taken + 1, length);
            }
        }
        self.visited[at] = false;
        walks
    }
}

fn parse(arguments: &[String]) -> Option<(u32, u64, u64)> {
    let length = arguments.get(1)?.parse().ok()?;
    let (part, parts) = arguments.get(2)?.split_once('/')?;
    let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
    (length as usize <= REACH && part < parts).then_some((length, part, parts))
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let (length, part, parts) = parse(&arguments).unwrap_or_else(|| {
        eprintln!("walks takes LENGTH (at most {REACH}) and PART/PARTS");
        exit(2)
    });
    let mut walker = Walker { visited: vec![false; SIDE * SIDE], part, parts, beginnings: 0 };
    println!("{}", walker.count(REACH * SIDE + REACH, 0, length));
}

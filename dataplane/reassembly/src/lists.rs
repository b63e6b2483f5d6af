//! Doubly linked lists of numbers: a number is in one of them or in none.
//!
//! Invariant: taking a number out, or putting it at the end, costs the same however long the list is, and allocates
//! nothing but room for the highest number ever used.

const NONE: u32 = u32::MAX;

#[derive(Clone, Copy)]
struct Link {
    previous: u32,
    next: u32,
    list: u8,
}

const LOOSE: Link = Link { previous: NONE, next: NONE, list: u8::MAX };

#[derive(Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
    len: usize,
}

/// `N` lists.
pub(crate) struct Lists<const N: usize> {
    links: Vec<Link>,
    ends: [Ends; N],
}

impl<const N: usize> Lists<N> {
    pub(crate) fn new(most: usize) -> Self {
        Self { links: Vec::with_capacity(most), ends: [Ends { first: NONE, last: NONE, len: 0 }; N] }
    }

    pub(crate) fn len(&self, list: usize) -> usize {
        self.ends[list].len
    }

    pub(crate) fn first(&self, list: usize) -> Option<u32> {
        Some(self.ends[list].first).filter(|first| *first != NONE)
    }

    /// Whether a number is in one of them.
    pub(crate) fn holds(&self, number: u32) -> bool {
        self.links.get(number as usize).is_some_and(|link| usize::from(link.list) < N)
    }

    /// Puts a number at the end of a list, out of the one it is in.
    pub(crate) fn append(&mut self, list: usize, number: u32) {
        self.remove(number);
        let at = number as usize;
        if at >= self.links.len() {
            self.links.resize(at + 1, LOOSE);
        }
        let last = self.ends[list].last;
        self.links[at] = Link { previous: last, next: NONE, list: list as u8 };
        match self.links.get_mut(last as usize) {
            Some(link) => link.next = number,
            None => self.ends[list].first = number,
        }
        self.ends[list].last = number;
        self.ends[list].len += 1;
    }

    /// Takes a number out of the list it is in, if it is in one.
    pub(crate) fn remove(&mut self, number: u32) {
        let Some(link) = self.links.get_mut(number as usize) else { return };
        let Link { previous, next, list } = core::mem::replace(link, LOOSE);
        if usize::from(list) >= N {
            return;
        }
        let ends = &mut self.ends[usize::from(list)];
        ends.len -= 1;
        match self.links.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => ends.first = next,
        }
        match self.links.get_mut(next as usize) {
            Some(link) => link.previous = previous,
            None => ends.last = previous,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_move_between_lists_and_keep_their_order() {
        let mut lists = Lists::<2>::new(4);
        for number in [3, 0, 2, 1] {
            lists.append(0, number);
        }
        lists.append(1, 0);
        lists.append(0, 3);
        lists.remove(9);
        let mut drain = |list| {
            std::iter::from_fn(|| {
                let first = lists.first(list)?;
                lists.remove(first);
                Some(first)
            })
            .collect::<Vec<_>>()
        };
        assert_eq!((drain(0), drain(1)), (vec![2, 1, 3], vec![0]));
        assert_eq!((lists.len(0), lists.len(1)), (0, 0));
    }
}

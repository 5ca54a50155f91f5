//! Packets under way, by the time at which they are due; equal times leave in the order in which they came.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A queue ordered by time, bounded in number.
#[derive(Debug)]
pub struct DelayQueue<T> {
    heap: BinaryHeap<Reverse<Entry<T>>>,
    capacity: usize,
    count: u64,
}

#[derive(Debug)]
struct Entry<T> {
    due_ns: u64,
    number: u64,
    item: T,
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.due_ns, self.number) == (other.due_ns, other.number)
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due_ns, self.number).cmp(&(other.due_ns, other.number))
    }
}

impl<T> DelayQueue<T> {
    /// A queue of at most `capacity` items.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { heap: BinaryHeap::new(), capacity, count: 0 }
    }

    /// Puts an item in.
    ///
    /// # Errors
    /// Gives the item back when the queue is full.
    pub fn push(&mut self, due_ns: u64, item: T) -> Result<(), T> {
        if self.heap.len() >= self.capacity {
            return Err(item);
        }
        self.count += 1;
        self.heap.push(Reverse(Entry { due_ns, number: self.count, item }));
        Ok(())
    }

    /// Takes the next item that is due.
    pub fn pop(&mut self, now_ns: u64) -> Option<T> {
        if self.due_ns()? > now_ns {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry.item)
    }

    /// When the next item is due.
    #[must_use]
    pub fn due_ns(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.due_ns)
    }

    /// How many are under way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_leaves_first_and_equals_keep_their_order() {
        let mut queue = DelayQueue::new(10);
        for (due, item) in [(30, 'd'), (10, 'a'), (20, 'b'), (20, 'c')] {
            queue.push(due, item).expect("there is room");
        }
        assert_eq!(queue.pop(9), None, "nothing is due yet");
        assert_eq!(queue.due_ns(), Some(10));
        let left: String = std::iter::from_fn(|| queue.pop(20)).collect();
        assert_eq!(left, "abc");
        assert_eq!(queue.len(), 1);
    }

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let mut queue = DelayQueue::new(1);
        queue.push(1, 'a').expect("there is room");
        assert_eq!(queue.push(1, 'b'), Err('b'));
    }

    #[test]
    fn a_thousand_times_leave_sorted() {
        let mut chance = crate::chance::Chance::new(4);
        let mut queue = DelayQueue::new(1000);
        for _ in 0..1000 {
            let due = chance.below(500);
            queue.push(due, due).expect("there is room");
        }
        let left: Vec<u64> = std::iter::from_fn(|| queue.pop(u64::MAX)).collect();
        assert!(left.is_sorted() && left.len() == 1000);
    }
}

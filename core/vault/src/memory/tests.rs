use super::long::LOCKED_LEN_MAX;
use super::*;
use crate::{Secret, SecretBytes};
use std::panic::{AssertUnwindSafe, catch_unwind};

#[test]
fn a_slot_is_zero_when_it_is_new_and_the_next_owner_sees_nothing_of_the_last() {
    for len in [0, 1, 32, 33, 600, 4096] {
        let mut slot = Slot::new(len);
        assert!(slot.len() >= len && slot.iter().all(|byte| *byte == 0));
        assert_eq!(slot.as_ptr().addr() % slot.len(), 0, "aligned to its length");
        slot.fill(0xa5);
    }
    for len in [1, 32, 33, 600, 4096] {
        assert!((0..50).map(|_| Slot::new(len)).all(|slot| slot.iter().all(|byte| *byte == 0)));
    }
}

#[test]
fn long_pages_come_back_zero_whether_they_are_kept_or_not() {
    for len in [4097, 8192, 8193, 70_000, LOCKED_LEN_MAX, LOCKED_LEN_MAX + 1] {
        for _ in 0..3 {
            let mut held: Vec<Long> = (0..6).map(|_| Long::new(len)).collect();
            assert!(held.iter().all(|pages| pages.len() >= len && pages.iter().all(|byte| *byte == 0)));
            held.iter_mut().for_each(|pages| pages.fill(0x5a));
        }
    }
}

#[test]
fn slots_never_overlap_across_threads() {
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                for round in 0..200 {
                    let mut held: Vec<Slot> = (0..40).map(|n| Slot::new(32 << (n % 5))).collect();
                    for slot in &mut held {
                        slot.fill(thread);
                    }
                    assert!(held.iter().all(|slot| slot.iter().all(|byte| *byte == thread)), "round {round}");
                }
            });
        }
    });
}

#[test]
fn a_pinned_value_is_dropped_and_a_panic_while_it_is_made_drops_nothing() {
    struct Counted<'a>(&'a std::cell::Cell<u32>, [u64; 40]);
    impl Drop for Counted<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = std::cell::Cell::new(0);
    let pinned = Pinned::new::<HASH_DEPTH>(|| Counted(&drops, [7; 40]));
    assert_eq!(pinned.1, [7; 40]);
    drop(pinned);
    assert_eq!(drops.get(), 1);
    let made =
        catch_unwind(AssertUnwindSafe(|| Pinned::<Counted>::new::<HASH_DEPTH>(|| panic!("in the making"))));
    assert!(made.is_err() && drops.get() == 1);
}

#[test]
fn secrets_lie_in_reported_ranges_and_the_status_counts_them() {
    let secret = Secret::<32>::generate(|out| out.fill(3));
    let bytes = SecretBytes::take(vec![4; 100]);
    let status = status();
    assert!(status.used_len >= 32 + 128, "{status:?}");
    if !status.is_pinned() || status.pinned_len == 0 {
        eprintln!("SKIPPED: this system does not let the tests lock memory: {status:?}");
        return;
    }
    for address in [secret.expose_secret().as_ptr().addr(), bytes.expose_secret().as_ptr().addr()] {
        assert!(pinned_ranges().iter().any(|range| range.contains(&address)));
    }
}

#[test]
fn errors_say_what_to_do() {
    let error = MemoryError::Limit { wanted_kib: 1024, limit_kib: Some(64) }.to_string();
    for word in
        ["1024 KiB", "64 KiB", "ulimit -l", "LimitMEMLOCK", "--allow-unpinned-keys", "TERACHAT_UNPINNED_KEYS"]
    {
        assert!(error.contains(word), "{error}");
    }
}

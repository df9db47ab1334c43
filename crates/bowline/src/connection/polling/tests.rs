//! When a driver polls.

use std::time::{Duration, Instant};

use super::{ADAPTIVE, BusyPoll, COMPARE, COMPARE_FIRST, Polling, SELDOM};

/// One wait in which nothing comes until the driver gives up: whether it polled.
fn in_vain(polling: &mut Polling, now: &mut Instant) -> bool {
    let began = polling.again(true, *now);
    *now += 2 * ADAPTIVE;
    if began {
        assert!(!polling.again(true, *now), "polls for longer than it may");
    }
    began
}

#[test]
fn a_driver_that_is_told_not_to_never_polls() {
    let mut polling = Polling::new(BusyPoll::Off);
    assert!(!polling.is_willing());
    assert!(!polling.again(true, Instant::now()));
}

#[test]
fn a_driver_that_is_told_for_how_long_polls_so_long_each_time() {
    let mut now = Instant::now();
    let mut polling = Polling::new(BusyPoll::For(Duration::from_millis(3)));
    for _ in 0..100 {
        assert!(polling.again(true, now));
        now += Duration::from_millis(2);
        assert!(polling.again(true, now));
        now += Duration::from_millis(2);
        assert!(!polling.again(true, now));
    }
    assert!(!polling.again(false, now), "nothing is due");
}

// One test, since all adaptive drivers of a process share what they may take of its processors.
#[test]
fn an_adaptive_driver_polls_where_it_pays() {
    let mut now = Instant::now();
    let mut polling = Polling::new(BusyPoll::Adaptive);
    assert!(!polling.again(false, now), "nothing is due");
    // In vain, and ever more seldom.
    let polled: Vec<bool> = (0..400).map(|_| in_vain(&mut polling, &mut now)).collect();
    assert_eq!(polled[..8], [true, false, true, false, false, false, true, false]);
    assert_eq!(polled[200..].iter().filter(|polled| **polled).count(), 200 / SELDOM as usize);
    // What comes in time makes it poll each time again.
    let mut polling = Polling::new(BusyPoll::Adaptive);
    assert!(in_vain(&mut polling, &mut now));
    while !polling.again(true, now) {}
    polling.came(now);
    for _ in 0..10 {
        assert!(polling.is_willing());
        assert!(polling.again(true, now));
        now += ADAPTIVE / 2;
        assert!(polling.again(true, now));
        polling.came(now);
    }
    // What comes late is as good as nothing: others had the processor.
    assert!(polling.again(true, now));
    now += 10 * ADAPTIVE;
    polling.came(now);
    assert!(!polling.is_willing());
    polls_where_waits_are_shorter_for_it(now);
    // What is due no longer ends it, and is nobody's fault.
    let mut polling = Polling::new(BusyPoll::Adaptive);
    assert!(polling.again(true, now));
    assert!(!polling.again(false, now));
    assert!(polling.is_willing());
    // Not more at a time than there are processors.
    let mut all: Vec<Polling> = (0..1000).map(|_| Polling::new(BusyPoll::Adaptive)).collect();
    let many = all.iter_mut().filter_map(|polling| polling.again(true, now).then_some(())).count();
    assert_eq!(many, std::thread::available_parallelism().map_or(1, usize::from));
    drop(all);
    assert!(polling.again(true, now), "they were given back");
}

/// A connection where a wait takes so long with polling, and so long without: how many of so many
/// waits it polls.
fn polls(tried: Duration, parked: Duration, waits: usize, now: &mut Instant) -> usize {
    let mut polling = Polling::new(BusyPoll::Adaptive);
    let mut count = 0;
    for _ in 0..waits {
        let polled = polling.again(true, *now);
        *now += if polled { tried } else { parked };
        polling.came(*now);
        count += usize::from(polled);
    }
    count
}

fn polls_where_waits_are_shorter_for_it(mut now: Instant) {
    let (short, long) = (ADAPTIVE / 10, ADAPTIVE / 2);
    let seldom_parks = 10_000 / COMPARE as usize + 10;
    assert!(polls(short, long, 10_000, &mut now) >= 10_000 - seldom_parks);
    // It has to find out first.
    let seldom_polls = 10_000 / SELDOM as usize + COMPARE_FIRST as usize + 10;
    assert!(polls(long, short, 10_000, &mut now) <= seldom_polls);
}

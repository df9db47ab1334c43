//! Which buffers come back, and that none does while it is in use.

use bytes::BytesMut;

use super::{KEPT_MAX, KEPT_TO, SpareBuffers};

const LEAST: usize = SpareBuffers::LEAST;

fn filled(length: usize, byte: u8) -> BytesMut {
    BytesMut::from(&vec![byte; length][..])
}

#[test]
fn memory_comes_back_once_it_is_not_in_use() {
    let mut spares = SpareBuffers::new();
    let message = spares.freeze(filled(LEAST, 1));
    let place = message.as_ptr();
    let part = message.slice(100..200);
    drop(message);
    assert!(spares.take(1).is_none(), "a part of it is still in use");
    assert!(part.iter().all(|byte| *byte == 1));
    drop(part);
    assert!(spares.take(LEAST + 1).is_none(), "it is too small");
    let again = spares.take(LEAST).expect("it is in use no more");
    assert_eq!((again.len(), again.as_ptr()), (0, place));
    assert!(spares.take(1).is_none(), "it was taken");
}

#[test]
fn neither_small_nor_huge_nor_many_buffers_are_kept() {
    let mut spares = SpareBuffers::new();
    drop(spares.freeze(filled(LEAST - 1, 1)));
    drop(spares.freeze(filled(KEPT_TO + 1, 1)));
    assert!(spares.take(1).is_none());
    for _ in 0..2 * KEPT_MAX {
        drop(spares.freeze(filled(LEAST, 1)));
    }
    for _ in 0..KEPT_MAX {
        assert!(spares.take(1).is_some());
    }
    assert!(spares.take(1).is_none());
    drop(spares.freeze(filled(LEAST, 1)));
    spares.clear();
    assert!(spares.take(1).is_none());
}

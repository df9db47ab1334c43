//! Edges that are right and edges that are not.

use super::{Edge, verdict};

fn edge(from: &str, to: &str) -> Edge {
    let to_member = to.starts_with("bowline") || to == "xtask";
    let (from, to) = (from.to_owned(), to.to_owned());
    Edge { from, to, to_member, dev: false, optional: false, features: Vec::new() }
}

fn dev(from: &str, to: &str) -> Edge {
    Edge { dev: true, ..edge(from, to) }
}

fn behind(from: &str, to: &str, feature: &str) -> Edge {
    Edge { optional: true, features: vec![feature.to_owned()], ..edge(from, to) }
}

#[test]
fn the_right_direction_passes() {
    for edge in [
        edge("bowline", "bowline-protocol"),
        edge("bowline-cli", "bowline-bench"),
        edge("bowline-unix", "bowline-transport"),
        edge("bowline-tests", "bowline-cli"),
        edge("xtask", "bowline-build"),
        behind("bowline", "bowline-unix", "unix"),
        dev("bowline-build", "bowline"),
        dev("bowline", "bowline-build"),
    ] {
        assert_eq!(verdict(&edge), None, "{} → {}", edge.from, edge.to);
    }
}

#[test]
fn the_wrong_direction_is_named() {
    for edge in [
        edge("bowline-protocol", "bowline-transport"),
        edge("bowline-transport", "bowline-protocol"),
        edge("bowline-build", "bowline"),
        edge("bowline", "bowline-build"),
        edge("bowline-bench", "bowline-protocol"),
        dev("bowline-protocol", "bowline"),
        dev("bowline-unix", "bowline-tests"),
    ] {
        let what = verdict(&edge).unwrap();
        assert!(what.starts_with("wrong direction"), "{what}");
    }
}

#[test]
fn transports_stand_behind_their_own_feature() {
    assert!(verdict(&edge("bowline", "bowline-tcp")).unwrap().contains("`tcp`"));
    assert!(verdict(&behind("bowline", "bowline-tcp", "unix")).unwrap().contains("`tcp`"));
    assert_eq!(verdict(&behind("bowline", "bowline-tcp", "tcp")), None);
}

#[test]
fn the_core_takes_little_from_outside() {
    assert_eq!(verdict(&edge("bowline-protocol", "bytes")), None);
    assert_eq!(verdict(&dev("bowline-protocol", "proptest")), None);
    assert_eq!(verdict(&edge("bowline-transport", "tokio")), None);
    assert!(verdict(&edge("bowline-protocol", "tokio")).unwrap().contains("thiserror"));
}

//! Numbers for names, on both sides.

use super::{OwnMethods, PeerMethods};
use crate::limits::METHOD_NUMBER_MAX;

#[test] // [MTH-001] [MTH-002]
fn what_one_side_names_the_other_resolves() {
    let (mut own, mut peer) = (OwnMethods::new(), PeerMethods::new());
    for round in 0..2 {
        for i in 0..2_000_usize {
            let method = format!("pkg.S/{i}");
            let (name, number) = own.name(method.clone().into());
            let numbered = i < METHOD_NUMBER_MAX.into();
            assert_eq!(name.is_empty(), round == 1 && numbered, "{i}");
            let (resolved, number) = peer.resolve(&name, number).unwrap();
            assert_eq!((&*resolved, number > 0), (&*method, numbered));
        }
    }
}

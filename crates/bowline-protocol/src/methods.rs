//! Methods by number: each direction of a connection binds numbers to names as it goes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::PeerMisbehaved;
use crate::limits::{METHOD_NAME_MAX, METHOD_NUMBER_MAX};

/// The numbers that the peer has bound.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct PeerMethods {
    names: Vec<Option<Arc<str>>>,
}

impl PeerMethods {
    pub(crate) const fn new() -> Self {
        Self { names: Vec::new() }
    }

    /// The method that a REQUEST means, binding its number if it gives both.
    // [MTH-001] [MTH-002]
    pub(crate) fn resolve(
        &mut self,
        name: &str,
        number: u32,
    ) -> Result<(Arc<str>, u16), PeerMisbehaved> {
        if name.len() > METHOD_NAME_MAX {
            return Err(PeerMisbehaved::MethodNameTooLong { length: name.len() });
        }
        if number == 0 {
            return match name {
                "" => Err(PeerMisbehaved::MethodMissing),
                name => Ok((name.into(), 0)),
            };
        }
        let Some(short) = u16::try_from(number).ok().filter(|n| *n <= METHOD_NUMBER_MAX) else {
            return Err(PeerMisbehaved::MethodNumber { number, why: "above 1,023" });
        };
        let slot = usize::from(short);
        let bound = self.names.get(slot).cloned().flatten();
        match (bound, name) {
            (Some(bound), "") => Ok((bound, short)),
            (None, "") => Err(PeerMisbehaved::MethodNumber { number, why: "not bound" }),
            (Some(_), _) => Err(PeerMisbehaved::MethodNumber { number, why: "bound already" }),
            (None, name) => {
                if self.names.is_empty() {
                    // Many connections never name more than one method.
                    self.names.reserve_exact(slot + 1);
                }
                if self.names.len() <= slot {
                    self.names.resize(slot + 1, None);
                }
                let name: Arc<str> = name.into();
                self.names[slot] = Some(Arc::clone(&name));
                Ok((name, short))
            }
        }
    }
}

/// The numbers that this side has bound.
#[derive(Debug, Clone)]
#[cfg_attr(feature = "hash", derive(PartialEq, Eq, Hash))]
pub(crate) struct OwnMethods {
    numbers: BTreeMap<Cow<'static, str>, u16>,
}

impl OwnMethods {
    pub(crate) const fn new() -> Self {
        Self { numbers: BTreeMap::new() }
    }

    /// How the next REQUEST names this method: name and number.
    pub(crate) fn name(&mut self, method: Cow<'static, str>) -> (String, u32) {
        if let Some(number) = self.numbers.get(&method) {
            return (String::new(), (*number).into());
        }
        let next = u16::try_from(self.numbers.len() + 1).unwrap_or(u16::MAX);
        if next > METHOD_NUMBER_MAX {
            return (method.into_owned(), 0);
        }
        self.numbers.insert(method.clone(), next);
        (method.into_owned(), next.into())
    }
}

#[cfg(test)]
mod tests;

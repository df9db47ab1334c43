//! Which service answers each method: the same for services that wait as futures and for those that
//! block.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::method::{Method, MethodKind};

/// Which service answers a method, and at which index of its methods.
pub(crate) struct Route<S: ?Sized> {
    pub(crate) service: Arc<S>,
    pub(crate) index: usize,
    pub(crate) kind: MethodKind,
}

impl<S: ?Sized> Clone for Route<S> {
    fn clone(&self) -> Self {
        Self { service: Arc::clone(&self.service), index: self.index, kind: self.kind }
    }
}

/// Stands for a route of a router.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteId(usize);

/// All methods of a server.
pub(crate) struct Router<S: ?Sized> {
    ids: HashMap<&'static str, RouteId>,
    routes: Vec<Route<S>>,
}

impl<S: ?Sized> Router<S> {
    /// Answers all methods of this service with it.
    pub(crate) fn add(&mut self, service: Arc<S>, methods: &'static [Method]) {
        for (index, method) in methods.iter().enumerate() {
            let id = RouteId(self.routes.len());
            self.routes.push(Route { service: Arc::clone(&service), index, kind: method.kind() });
            if self.ids.insert(method.path(), id).is_some() {
                tracing::warn!(method = method.path(), "a later service replaces the earlier one");
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn find(&self, method: &str) -> Option<RouteId> {
        self.ids.get(method).copied()
    }

    /// The route that this router gave this id.
    pub(crate) fn route(&self, id: RouteId) -> &Route<S> {
        &self.routes[id.0]
    }
}

impl<S: ?Sized> Default for Router<S> {
    fn default() -> Self {
        Self { ids: HashMap::new(), routes: Vec::new() }
    }
}

impl<S: ?Sized> Clone for Router<S> {
    fn clone(&self) -> Self {
        Self { ids: self.ids.clone(), routes: self.routes.clone() }
    }
}

impl<S: ?Sized> fmt::Debug for Router<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.ids.keys()).finish()
    }
}

//! Waiting for things to happen, instead of waiting for time to pass.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// What has not come about by then never will.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// Waits until a condition that nobody announces holds.
///
/// # Panics
/// It does not come about.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let poll = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let came = tokio::time::timeout(WAIT_MAX, poll).await;
    assert!(came.is_ok(), "not after {WAIT_MAX:?}: {what}");
}

/// A gate at which handlers wait until the test opens it.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it, for good.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.expect("the gate is held");
    }
}

/// How many are inside something, have come in, and were inside at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Inside now.
    pub live: u64,
    /// Came in so far.
    pub entered: u64,
    /// Most that were inside at once.
    pub peak: u64,
}

/// Counts who is inside, and tells when that changes.
#[derive(Debug, Clone, Default)]
pub struct Gauge {
    counts: Arc<watch::Sender<Counts>>,
}

impl Gauge {
    /// With nobody inside.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Comes in; out again when what is returned is dropped.
    #[must_use]
    pub fn enter(&self) -> Inside {
        self.counts.send_modify(|counts| {
            counts.entered += 1;
            counts.live += 1;
            counts.peak = counts.peak.max(counts.live);
        });
        Inside(self.clone())
    }

    /// The counts of this moment.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.counts.borrow()
    }

    /// Waits until the counts are like this.
    ///
    /// # Panics
    /// That does not come about.
    pub async fn wait(&self, what: &str, condition: impl Fn(Counts) -> bool) {
        let mut counts = self.counts.subscribe();
        let came = tokio::time::timeout(WAIT_MAX, counts.wait_for(|c| condition(*c))).await;
        assert!(came.is_ok(), "not after {WAIT_MAX:?}: {what}; counts: {:?}", self.counts());
    }

    /// Waits until so many have come in.
    pub async fn entered(&self, count: u64) {
        self.wait(&format!("{count} have entered"), |counts| counts.entered >= count).await;
    }

    /// Waits until so many are inside.
    pub async fn live(&self, count: u64) {
        self.wait(&format!("{count} are inside"), |counts| counts.live == count).await;
    }
}

/// Somebody who is inside.
#[derive(Debug)]
pub struct Inside(Gauge);

impl Drop for Inside {
    fn drop(&mut self) {
        self.0.counts.send_modify(|counts| counts.live -= 1);
    }
}

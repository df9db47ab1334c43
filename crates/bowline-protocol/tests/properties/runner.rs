//! Runs a property over seeded cases, shrinks what fails, and says how to replay it.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::panic;
use std::sync::Once;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How many cases are run: `PROPTEST_CASES`, or 256.
pub(crate) fn cases() -> u64 {
    Config::default().cases.into()
}

/// Checks a property that fails by panicking.
pub(crate) fn check<S>(name: &str, strategy: S, test: impl Fn(&S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let number = |name: &str| {
        std::env::var(name).ok().map(|value| value.parse::<u64>().expect("a seed is a number"))
    };
    if let Some(seed) = number("BOWLINE_REPLAY") {
        run(name, seed, &strategy, &test);
        return;
    }
    let base = number("BOWLINE_SEED").unwrap_or(0);
    for seed in base..base + cases() {
        run(name, seed, &strategy, &test);
    }
}

/// The case that this seed makes.
pub(crate) fn generate<S: Strategy>(seed: u64, strategy: &S) -> (TestRunner, S::Tree) {
    let mut bytes = [0xb0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { failure_persistence: None, max_shrink_iters: 5_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = strategy.new_tree(&mut runner).expect("strategies do not reject");
    (runner, tree)
}

fn run<S>(name: &str, seed: u64, strategy: &S, test: &impl Fn(&S::Value))
where
    S: Strategy,
    S::Value: Debug,
{
    let (mut runner, tree) = generate(seed, strategy);
    quiet_panics();
    QUIET.set(true);
    let result = runner.run_one(tree, |value| {
        test(&value);
        Ok(())
    });
    QUIET.set(false);
    let why = match result {
        Ok(_) => return,
        Err(TestError::Fail(reason, value)) => {
            format!("{}\n(the last: {})\nsmallest case: {value:?}", reason, LAST_PANIC.take())
        }
        Err(error) => error.to_string(),
    };
    panic!(
        "{why}\nreplay: BOWLINE_REPLAY={seed} cargo test -p bowline-protocol --test properties {name}"
    );
}

/// Panics of a case that is being shrunk are kept, not printed.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                LAST_PANIC.set(info.to_string());
            } else {
                loud(info);
            }
        }));
    });
}

//! From test functions to the trials of a test binary.

mod cas;
mod crud;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use libtest_mimic::Trial;

use crate::backend::Backend;
use crate::context::Context;

/// One test.
#[derive(Clone, Copy)]
struct Test {
    name: &'static str,
    run: for<'a> fn(&'a Context) -> LocalBoxFuture<'a, ()>,
}

/// Names the tests of a module. One that is forgotten here is dead code, which the lints refuse.
macro_rules! tests {
    ($($test:ident),* $(,)?) => {
        pub(super) const TESTS: &[super::Test] =
            &[$(super::Test { name: stringify!($test), run: |cx| Box::pin($test(cx)) }),*];
    };
}
use tests;

const MODULES: &[(&str, &[Test])] = &[("crud", crud::TESTS), ("cas", cas::TESTS)];

/// Every test, against one backend.
pub fn trials(backend: impl Backend) -> Vec<Trial> {
    let backend = Arc::new(backend);
    let mut trials = Vec::new();
    for (module, tests) in MODULES {
        for test in *tests {
            let backend = Arc::clone(&backend);
            let name = format!("{}::{module}::{}", backend.name(), test.name);
            trials.push(Trial::test(name, move || {
                run(*test, &*backend);
                Ok(())
            }));
        }
    }
    trials
}

fn run(test: Test, backend: &dyn Backend) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let context = Context::new(backend).await;
        let outcome = AssertUnwindSafe((test.run)(&context)).catch_unwind().await;
        context.clean_up().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

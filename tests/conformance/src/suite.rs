//! The trials of a test binary, made from test functions.

mod aliases;
mod batch;
mod bulk;
mod cas;
mod changesets;
mod children;
mod composite;
mod coordination;
mod crud;
mod dropped;
mod errors;
mod escape;
mod fields;
mod find;
mod ghosts;
mod guard;
mod hooks;
mod keys;
mod live;
mod lossy;
mod nul;
mod objects;
mod paging;
mod parts;
mod prefixes;
mod races;
mod requests;
mod revisions;
mod rules;
mod sizes;
mod subscriptions;
mod transport;
mod typed;
mod values;

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
        pub(in crate::suite) const TESTS: &[$crate::suite::Test] =
            &[$($crate::suite::Test { name: stringify!($test), run: |cx| Box::pin($test(cx)) }),*];
    };
}
use tests;

const MODULES: &[(&str, &[Test])] = &[
    ("transport::reads", transport::reads::TESTS),
    ("transport::lists", transport::lists::TESTS),
    ("transport::writes", transport::writes::TESTS),
    ("transport::conditions", transport::conditions::TESTS),
    ("transport::batches", transport::batches::TESTS),
    ("transport::typed", transport::typed::TESTS),
    ("transport::leases", transport::leases::TESTS),
    ("crud", crud::TESTS),
    ("keys", keys::TESTS),
    ("composite", composite::TESTS),
    ("values", values::TESTS),
    ("lossy", lossy::TESTS),
    ("fields", fields::TESTS),
    ("rules", rules::TESTS),
    ("guard", guard::TESTS),
    ("objects", objects::TESTS),
    ("children", children::TESTS),
    ("cas", cas::TESTS),
    ("races", races::TESTS),
    ("ghosts", ghosts::TESTS),
    ("nul", nul::TESTS),
    ("sizes", sizes::TESTS),
    ("batch", batch::TESTS),
    ("bulk", bulk::TESTS),
    ("paging", paging::TESTS),
    ("find", find::TESTS),
    ("typed", typed::TESTS),
    ("coordination", coordination::TESTS),
    ("prefixes", prefixes::TESTS),
    ("hooks", hooks::TESTS),
    ("changesets", changesets::TESTS),
    ("subscriptions", subscriptions::TESTS),
    ("live", live::TESTS),
    ("parts", parts::TESTS),
    ("requests", requests::TESTS),
    ("revisions", revisions::TESTS),
    ("errors", errors::TESTS),
    ("escape", escape::TESTS),
    ("dropped", dropped::TESTS),
    ("aliases", aliases::TESTS),
];

/// Every test, against one backend.
pub fn trials(backend: impl Backend) -> Vec<Trial> {
    let backend = Arc::new(backend);
    let mut trials = Vec::new();
    for (module, tests) in MODULES {
        for test in *tests {
            let backend = Arc::clone(&backend);
            let name = format!("{}::{module}::{}", backend.name(), test.name);
            trials.push(Trial::test(name, move || {
                run(*test, module, &*backend);
                Ok(())
            }));
        }
    }
    trials
}

fn run(test: Test, module: &str, backend: &dyn Backend) {
    // The test itself runs on this thread; the tasks that it spawns run on others.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap();
    runtime.block_on(async {
        let context = Context::new(backend, module).await;
        let outcome = AssertUnwindSafe((test.run)(&context)).catch_unwind().await;
        context.clean_up().await;
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
}

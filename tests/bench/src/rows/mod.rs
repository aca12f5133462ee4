//! The measured rows.

mod cold_start;
mod embedded;
mod find;
mod http;
mod lists;
mod load;
mod mirror;
mod realtime;
mod subscriptions;
mod values;

use tokio::runtime::Builder;

use crate::Result;
use crate::plan::Plan;

/// Makes the rows of a plan, one after the other, on one thread; only servers and databases have threads of their own.
pub fn run(plan: &mut Plan) -> Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        http::rows(plan).await?;
        lists::rows(plan).await?;
        find::rows(plan).await?;
        realtime::rows(plan).await?;
        load::rows(plan).await?;
        mirror::rows(plan).await?;
        embedded::rows(plan).await?;
        subscriptions::rows(plan).await?;
        values::rows(plan).await?;
        cold_start::rows(plan).await
    })
}

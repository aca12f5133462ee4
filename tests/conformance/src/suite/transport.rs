//! Tests of every transport without entities.

pub(super) mod batches;
pub(super) mod conditions;
pub(super) mod leases;
pub(super) mod lists;
pub(super) mod reads;
pub(super) mod typed;
pub(super) mod writes;

use super::tests;

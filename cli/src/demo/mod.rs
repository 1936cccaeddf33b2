//! `keyward demo`
use crate::failure::Failure;
use clap::Args;
/// x
#[derive(Args)]
pub(crate) struct Arguments {}
pub(crate) fn run(_: &Arguments) -> Result<bool, Failure> {
    Ok(true)
}

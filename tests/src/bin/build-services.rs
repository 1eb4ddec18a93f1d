//! Builds all services that the tests use, in all their versions and flavours,
//! and says how long each took: so that the tests themselves need not wait.

use anyhow::Result;
use awaitscope_tests::{Flavour, ServiceBuild, TOKIO_VERSIONS};
use std::time::Instant;

fn main() -> Result<()> {
    let begin = Instant::now();
    for version in TOKIO_VERSIONS {
        for service in ["mix", "waits"] {
            timed(ServiceBuild::new(service).tokio(version))?;
        }
    }
    for flavour in Flavour::ALL {
        for service in ["mix", "shapes", "waits"] {
            timed(ServiceBuild::new(service).flavour(flavour))?;
        }
    }
    for service in [
        "single", "actix", "http", "plain", "churn", "crowd", "release",
    ] {
        timed(ServiceBuild::new(service))?;
    }
    println!("{:6.1} s in all", begin.elapsed().as_secs_f64());
    Ok(())
}

fn timed(build: ServiceBuild) -> Result<()> {
    let begin = Instant::now();
    build.build()?;
    println!("{:6.1} s  {build}", begin.elapsed().as_secs_f64());
    Ok(())
}

//! Brings every CPython that the tests need and this machine does not have, and the packages that
//! the services in Python use; says how long each took.

fn main() -> anyhow::Result<()> {
    awaitscope_tests::python::bring()
}

//! End-to-end tests of awaitscope against real services.

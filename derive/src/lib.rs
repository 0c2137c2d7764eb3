//! Derive macros of `tourbillon`; use them through that crate.

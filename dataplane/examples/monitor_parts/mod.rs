//! Parts of the example.

pub(crate) mod designs;
pub(crate) mod traffic;

//! dpdk-ffi

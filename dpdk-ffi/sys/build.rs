//! Finds the installed DPDK, compiles the shims and generates the bindings.
//!
//! Invariant: C and Rust see one and the same set of headers and flags (pkg-config's, whole), so struct layouts agree.

use std::env;
use std::path::PathBuf;
use std::process::Command;

/// The oldest release whose API this crate uses, and the ones after it where something we may care about changed.
const OLDEST: (u32, u32) = (22, 11);
const CFG_FROM: &[(u32, u32, &str)] = &[(23, 11, "dpdk_23_11"), (24, 11, "dpdk_24_11")];

const FUNCTIONS: &[&str] = &[
    "shim_rte_.*",
    "rte_dev_probe",
    "rte_eal_cleanup",
    "rte_eal_init",
    "rte_eth_.*allmulticast.*",
    "rte_eth_promiscuous_.*",
    "rte_eth_dev_adjust_nb_rx_tx_desc",
    "rte_eth_dev_(close|configure|count_avail|get_mtu|get_name_by_port|get_port_by_name|info_get|is_valid_port)",
    "rte_eth_dev_(rss_hash_conf_get|rss_hash_update|rss_reta_query|rss_reta_update)",
    "rte_eth_dev_(set_mtu|socket_id|start|stop)",
    "rte_eth_find_next",
    "rte_eth_macaddr_get",
    "rte_eth_rx_queue_setup",
    "rte_eth_tx_queue_setup",
    "rte_eth_stats_get",
    "rte_eth_xstats_get",
    "rte_eth_xstats_get_names",
    "rte_get_tsc_hz",
    "rte_log_set_level_pattern",
    "rte_mempool_(avail_count|free|in_use_count|obj_iter)",
    "rte_pktmbuf_free_bulk",
    "rte_pktmbuf_pool_create",
    "rte_ring_(create|free)",
    "rte_strerror",
    "rte_thread_(register|unregister)",
    "rte_version",
];

/// Packed or bit-heavy structs that bindgen lays out wrongly or that moved between releases; nobody reads their fields.
const OPAQUE: &[&str] = &[
    "rte_mbuf",
    "rte_mempool",
    "rte_ring",
    "rte_device",
    "rte_arp_.*",
    "rte_l2tpv2_combined_msg_hdr",
    "rte_gtp_psc_generic_hdr",
    "rte_.*_tuple",
];

fn main() {
    for file in ["build.rs", "shim.h", "shim.c"] {
        println!("cargo::rerun-if-changed={file}");
    }
    println!("cargo::rerun-if-env-changed=PKG_CONFIG");
    for (_, _, cfg) in CFG_FROM {
        println!("cargo::rustc-check-cfg=cfg({cfg})");
    }

    let library = pkg_config::Config::new().probe("libdpdk").unwrap_or_else(|error| {
        panic!("{}", pkg_config_advice(&error));
    });
    let found = version(&library.version);
    assert!(
        found >= OLDEST,
        "DPDK {} is too old: install {}.{} or later (Debian 12: apt install dpdk-dev libdpdk-dev)",
        library.version,
        OLDEST.0,
        OLDEST.1
    );
    for (year, month, cfg) in CFG_FROM {
        if found >= (*year, *month) {
            println!("cargo::rustc-cfg={cfg}");
        }
    }
    println!("cargo::metadata=version={}", library.version);

    let cflags = cflags();
    compile_shims(&cflags);
    generate_bindings(&cflags);
}

fn pkg_config_advice(error: &pkg_config::Error) -> String {
    let package = match error {
        pkg_config::Error::Command { .. } => "pkg-config",
        _ => "dpdk-dev libdpdk-dev",
    };
    format!(
        "cannot find DPDK: install it with `apt install {package}`, or point PKG_CONFIG_PATH at the directory \
         holding libdpdk.pc\n{error}"
    )
}

fn version(text: &str) -> (u32, u32) {
    let mut parts = text.split(['.', '-', '~']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The flags as pkg-config prints them: the pkg-config crate drops `-include` and `-march`, which decide layouts.
fn cflags() -> Vec<String> {
    let tool = env::var("PKG_CONFIG").unwrap_or_else(|_| "pkg-config".into());
    let output = Command::new(&tool)
        .args(["--cflags", "libdpdk"])
        .output()
        .unwrap_or_else(|error| panic!("cannot run {tool}: {error}; apt install pkg-config"));
    assert!(
        output.status.success(),
        "{tool} --cflags libdpdk failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).split_whitespace().map(str::to_owned).collect()
}

fn compile_shims(cflags: &[String]) {
    let mut build = cc::Build::new();
    // Always optimised: at -O0 the inlined packet path of a debug build would be too slow to try anything with.
    build.file("shim.c").opt_level(3).warnings(false).flag("-Wno-deprecated-declarations");
    for flag in cflags {
        build.flag(flag);
    }
    build.compile("dpdk_sys_shim");
}

fn generate_bindings(cflags: &[String]) {
    let mut builder = bindgen::Builder::default()
        .header("shim.h")
        .clang_args(cflags)
        .rust_edition(bindgen::RustEdition::Edition2024)
        .use_core()
        .prepend_enum_name(false)
        .generate_comments(false)
        .derive_default(false)
        .allowlist_var("K_.*")
        .allowlist_type("shim_mbuf_offset")
        .allowlist_type("rte_eth_(conf|dev_info|stats|xstat|xstat_name|rss_conf|rss_reta_entry64)")
        .parse_callbacks(Box::new(StripPrefix));
    for name in FUNCTIONS {
        builder = builder.allowlist_function(name);
    }
    for name in OPAQUE {
        builder = builder.opaque_type(name);
    }
    // bindgen panics when it cannot load libclang; only then is the advice below the right one.
    let generated = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| builder.generate()))
        .unwrap_or_else(|_| panic!("bindgen could not load libclang: apt install libclang-dev"))
        .unwrap_or_else(|error| panic!("bindgen could not read DPDK's headers: {error}"));
    let out = PathBuf::from(env::var("OUT_DIR").unwrap_or_default()).join("bindings.rs");
    if let Err(error) = generated.write_to_file(&out) {
        panic!("cannot write {}: {error}", out.display());
    }
}

/// Gives the constants of shim.h the names they have in DPDK.
#[derive(Debug)]
struct StripPrefix;

impl bindgen::callbacks::ParseCallbacks for StripPrefix {
    fn item_name(&self, item: bindgen::callbacks::ItemInfo<'_>) -> Option<String> {
        item.name.strip_prefix("K_").map(str::to_owned)
    }
}

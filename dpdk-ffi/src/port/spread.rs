//! RSS on a started port: set the redirection table, read table and key back.
//!
//! Invariant: never an error. A port that cannot be told or asked leaves `verified` false.

use crate::rss::RssTypes;

use super::options::RssEffective;
use super::{PortId, info};

/// Longest key DPDK's drivers know, with room to spare.
const KEY_ROOM: usize = 256;
/// Bytes of the Toeplitz key that every RSS specification starts from.
const USUAL_KEY: usize = 40;
/// Entries per group of the table, in DPDK's interface.
#[allow(clippy::cast_possible_truncation)]
const GROUP: usize = dpdk_sys::RTE_ETH_RETA_GROUP_SIZE as usize;

/// The key in the length the port wants: repeated when short (a key that repeats every 2 bytes stays symmetric), cut when
/// long. Drivers that name no length (0) get the usual 40 bytes.
pub(super) fn fit_key(key: &[u8], size: u8) -> Vec<u8> {
    let size = if size == 0 { USUAL_KEY } else { usize::from(size) };
    key.iter().copied().cycle().take(size).collect()
}

/// Spreads the table round robin over the queues and checks table and key.
pub(super) fn apply(id: PortId, rss: &mut RssEffective, queues: u16) {
    let Ok(device) = info::device_info(id) else { return };
    let size = device.reta_size;
    let wanted: Vec<u16> = (0..size).map(|i| i % queues.max(1)).collect();
    let reta_set = size > 0 && set_reta(id, &wanted);
    let reta_read = if reta_set { query_reta(id, size) } else { None };
    if device.hash_key_size == 0 && !set_key(id, rss) {
        // It names no key length and takes no key of the usual one.
        rss.key.clear();
    }
    let (key_read, types) = query_key(id, rss.key.len());
    rss.verified =
        reta_read.as_ref() == Some(&wanted) && !rss.key.is_empty() && key_read.as_ref() == Some(&rss.key);
    rss.reta = reta_read.unwrap_or_default();
    if let Some(types) = types {
        rss.types = rss.types.intersection(types);
    }
}

fn set_reta(id: PortId, table: &[u16]) -> bool {
    let mut groups = groups(table.len());
    for (i, queue) in table.iter().enumerate() {
        groups[i / GROUP].reta[i % GROUP] = *queue;
    }
    let Ok(size) = u16::try_from(table.len()) else { return false };
    // SAFETY: the groups cover `size` entries; DPDK reads them only during the call.
    unsafe { dpdk_sys::rte_eth_dev_rss_reta_update(id.0, groups.as_mut_ptr(), size) == 0 }
}

fn query_reta(id: PortId, size: u16) -> Option<Vec<u16>> {
    let mut groups = groups(usize::from(size));
    // SAFETY: the groups cover `size` entries.
    let code = unsafe { dpdk_sys::rte_eth_dev_rss_reta_query(id.0, groups.as_mut_ptr(), size) };
    (code == 0).then(|| (0..usize::from(size)).map(|i| groups[i / GROUP].reta[i % GROUP]).collect())
}

/// Groups for a table of this length, with exactly its entries selected.
fn groups(len: usize) -> Vec<dpdk_sys::rte_eth_rss_reta_entry64> {
    let mut groups = Vec::new();
    for start in (0..len).step_by(GROUP) {
        let used = (len - start).min(GROUP);
        let mask = if used == GROUP { u64::MAX } else { (1 << used) - 1 };
        groups.push(dpdk_sys::rte_eth_rss_reta_entry64 { mask, reta: [0; GROUP] });
    }
    groups
}

fn set_key(id: PortId, rss: &mut RssEffective) -> bool {
    if rss.key.is_empty() {
        return false;
    }
    // SAFETY: a plain C struct, valid when all zero.
    let mut conf: dpdk_sys::rte_eth_rss_conf = unsafe { core::mem::zeroed() };
    conf.rss_key = rss.key.as_mut_ptr();
    conf.rss_key_len = u8::try_from(rss.key.len()).unwrap_or(u8::MAX);
    conf.rss_hf = rss.types.bits();
    // SAFETY: the key has the length named (a port's key size is 8 bits wide) and outlives the call.
    unsafe { dpdk_sys::rte_eth_dev_rss_hash_update(id.0, &raw mut conf) == 0 }
}

fn query_key(id: PortId, len: usize) -> (Option<Vec<u8>>, Option<RssTypes>) {
    let mut key = [0_u8; KEY_ROOM];
    // SAFETY: a plain C struct, valid when all zero.
    let mut conf: dpdk_sys::rte_eth_rss_conf = unsafe { core::mem::zeroed() };
    conf.rss_key = key.as_mut_ptr();
    conf.rss_key_len = u8::try_from(len).unwrap_or(u8::MAX);
    // SAFETY: rss_key points at more bytes than any 8-bit length names; DPDK writes during the call only.
    if unsafe { dpdk_sys::rte_eth_dev_rss_hash_conf_get(id.0, &raw mut conf) } != 0 {
        return (None, None);
    }
    (Some(key[..len.min(KEY_ROOM)].to_vec()), Some(RssTypes::from_bits(conf.rss_hf)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_repeated_or_cut() {
        assert_eq!(fit_key(&[1, 2], 5), [1, 2, 1, 2, 1]);
        assert_eq!(fit_key(&[1, 2, 3], 2), [1, 2]);
        assert_eq!(fit_key(&[1, 2], 0).len(), USUAL_KEY);
        assert!(fit_key(&[], 40).is_empty());
    }

    #[test]
    fn groups_select_exactly_the_table() {
        let masks = |len| groups(len).iter().map(|g| g.mask.count_ones()).collect::<Vec<_>>();
        assert_eq!(masks(128), [64, 64]);
        assert_eq!(masks(65), [64, 1]);
        assert_eq!(masks(8), [8]);
        assert!(masks(0).is_empty());
    }
}

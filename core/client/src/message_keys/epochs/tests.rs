use super::*;
use proptest::prelude::*;

fn devices() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0u8..4, 0..200).prop_map(|all| all.into_iter().flat_map(|n| [n; 32]).collect())
}

proptest! {
    /// Whatever changed, what is written gives the same devices again; and it is never much longer than these.
    #[test]
    fn a_difference_gives_the_devices_again(base in devices(), devices in devices()) {
        if let Some(value) = difference(7, &base, &devices) {
            prop_assert_eq!(&value[..8], &7u64.to_le_bytes());
            prop_assert_eq!(changed(&base, &value[8..]), Some(devices));
        }
        let same = difference(7, &base, &base).unwrap();
        prop_assert_eq!(same.len(), 12);
    }

    #[test]
    fn no_bytes_make_it_panic(base in devices(), value: Vec<u8>) {
        let value = [&[value.len() as u8, 0, 0, 0][..], &value].concat();
        let _ = changed(&base, &value);
    }
}

/// At 5,000 members with somebody else in each epoch: what the bases and the differences come to.
#[test]
fn an_epoch_takes_a_few_kilobytes_in_a_large_space_that_changes() {
    let mut devices: Vec<u8> =
        (0..5_000u32).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes()).collect();
    let (mut base, mut bytes) = (Vec::new(), 0);
    for epoch in 0..1_000usize {
        let leaf = 7 * epoch % 5_000;
        devices[32 * leaf..][..32].copy_from_slice(blake3::hash(&epoch.to_be_bytes()).as_bytes());
        match difference(0, &base, &devices) {
            Some(value) => bytes += value.len(),
            None => {
                base.clone_from(&devices);
                bytes += base.len() + 12;
            }
        }
    }
    assert!((2_000..4_000).contains(&(bytes / 1_000)), "{} bytes an epoch", bytes / 1_000);
}

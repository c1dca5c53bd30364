use super::*;
use proptest::prelude::*;

/// A record of two views: a right index finger with two minutiae, a left thumb with one and extended data.
pub(crate) fn record() -> Vec<u8> {
    let mut record = MAGIC.to_vec();
    record.extend([0; 4]);
    record.extend([0x00, 0x21]);
    for number in [300u16, 400, 197, 197] {
        record.extend(number.to_be_bytes());
    }
    record.extend([2, 0]);
    record.extend([2, 0x00, 80, 2]);
    record.extend([0x40, 10, 0x00, 20, 64, 90]);
    record.extend([0x81, 0x2b, 0x01, 0x8f, 255, 0]);
    record.extend([0, 0]);
    record.extend([6, 0x18, 0, 1]);
    record.extend([0x00, 0, 0x00, 0, 0, 100]);
    record.extend([0, 3, 7, 7, 7]);
    let len = u32::try_from(record.len()).unwrap();
    record[8..12].copy_from_slice(&len.to_be_bytes());
    record
}

#[test]
fn a_record_is_read() {
    let minutiae = Minutiae::take(record()).unwrap();
    assert_eq!((minutiae.image_size(), minutiae.resolution()), ([300, 400], [197, 197]));
    let views: Vec<_> = minutiae.views().collect();
    assert_eq!(views.len(), 2);
    let facts = |view: &View<'_>| (view.finger(), view.number(), view.impression(), view.quality().value());
    assert_eq!(facts(&views[0]), (2, 0, 0, 80));
    assert_eq!(facts(&views[1]), (6, 1, 8, 0));
    let places =
        |view: &View<'_>| view.minutiae().map(|m| (m.kind, m.x, m.y, m.angle, m.quality)).collect::<Vec<_>>();
    assert_eq!(places(&views[0]), [(1, 10, 20, 64, 90), (2, 299, 399, 255, 0)]);
    assert_eq!(places(&views[1]), [(0, 0, 0, 0, 100)]);
    assert_eq!(minutiae.record(), record());
    assert_eq!(format!("{minutiae:?}"), "Minutiae(57 bytes)");
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Vec<u8>), why: &'static str) {
    let mut bytes = record();
    change(&mut bytes);
    assert_eq!(Minutiae::take(bytes), Err(Error::Minutiae(why)));
}

#[test]
fn each_broken_rule_has_its_error() {
    refused(|bytes| bytes.truncate(23), "shorter than its header");
    refused(|bytes| bytes.clear(), "shorter than its header");
    refused(|bytes| bytes.resize(MINUTIAE_LEN_MAX + 1, 0), "longer than 64 KiB");
    refused(|bytes| bytes[5] = b'3', "it does not begin with FMR and version 20");
    refused(|bytes| bytes[11] += 1, "its length is not the one that it declares");
    refused(|bytes| bytes[22] = 0, "it has no views");
    refused(|bytes| bytes[22] = 1, "bytes follow the last view");
    refused(|bytes| bytes[22] = 3, "a view is cut short");
    refused(|bytes| bytes[23] = 1, "a reserved byte is not zero");
    refused(|bytes| bytes[19] = 0, "a resolution of zero");
    refused(|bytes| bytes[24] = 11, "an unknown finger position");
    refused(|bytes| bytes[25] = 4, "an unknown impression type");
    refused(|bytes| bytes[26] = 101, "a finger quality beyond 100");
    refused(|bytes| bytes[27] = 200, "a view is cut short");
    refused(|bytes| bytes[28] = 0xc0, "an unknown type of minutia");
    refused(|bytes| bytes[15] = 43, "a minutia beyond the image");
    refused(|bytes| bytes[33] = 101, "a minutia's quality beyond 100");
    refused(|bytes| bytes[52] = 1, "a view is cut short");
    let empty = |bytes: &mut Vec<u8>| {
        bytes.truncate(28);
        bytes.extend([0, 0]);
        (bytes[11], bytes[22], bytes[27]) = (30, 1, 0);
    };
    refused(empty, "no view has a minutia");
}

proptest! {
    #[test]
    fn changed_records_never_panic(at: prop::sample::Index, flip in 1..=255u8) {
        let mut bytes = record();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(minutiae) = Minutiae::take(bytes) {
            prop_assert_eq!(minutiae.views().count(), 2);
            prop_assert!(minutiae.views().map(|view| view.minutiae().len()).sum::<usize>() > 0);
        }
    }
}

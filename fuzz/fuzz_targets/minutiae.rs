//! Finger minutiae records: what is taken can be walked whole.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_template::Minutiae;

fuzz_target!(|bytes: &[u8]| {
    let Ok(minutiae) = Minutiae::take(bytes.to_vec()) else { return };
    assert_eq!(minutiae.record(), bytes);
    assert_eq!(minutiae.views().count(), usize::from(bytes[22]));
    let [width, height] = minutiae.image_size();
    for view in minutiae.views() {
        assert!(view.finger() <= 10 && view.quality().value() <= 100);
        assert!(view.minutiae().all(|minutia| minutia.x < width && minutia.y < height));
    }
});

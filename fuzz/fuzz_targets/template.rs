//! Templates: whatever is read writes back to the very bytes it came from, and compares without a panic.
#![no_main]
use libfuzzer_sys::fuzz_target;
use terachat_template::{Body, Probe, Template, Threshold, verify};

fuzz_target!(|bytes: &[u8]| {
    let Ok(template) = Template::decode(bytes) else { return };
    assert_eq!(template.encode().as_slice(), bytes);
    if let Body::Minutiae(minutiae) = template.body() {
        assert!(minutiae.views().any(|view| view.minutiae().len() > 0));
    }
    let again = Template::decode(bytes).expect("it was read before");
    let (metadata, body) = again.into_parts();
    let vector = matches!(body, Body::Vector(_));
    let probe = Probe::new(metadata.template_type, body).expect("a template of these parts was read");
    let compared = verify(&probe, &template, Threshold::new(1.0).expect("a cosine"));
    assert_eq!(compared.is_ok_and(|compared| compared.matched), vector, "a vector is exactly like itself");
});

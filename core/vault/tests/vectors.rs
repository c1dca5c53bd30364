//! The test vectors of `docs/format/`: whoever reads a vault in another language meets these very bytes.
use terachat_vault::{
    Algorithm, Entropy, KeyPage, KeyPageAddress, RecordAddress, RecordHeader, RecordKeyId, Secret,
    open_record, seal_record,
};

const RECORD: &str = include_str!("../../../docs/format/record.md");
const KEY_PAGE: &str = include_str!("../../../docs/format/key-page.md");

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

#[track_caller]
fn case(document: &str, name: &str, bytes: &[u8]) {
    let row = format!("| {name} | `");
    let line = document.lines().find_map(|line| line.strip_prefix(&row));
    let documented = line.unwrap_or_else(|| panic!("no vector called {name:?}")).trim_end_matches("` |");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, documented, "{name}");
}

#[test]
fn records_are_sealed_as_documented() {
    let mut key = std::array::from_fn(|i| u8::try_from(i).expect("below 32"));
    let key = Secret::take(&mut key);
    let address = RecordAddress { collection: [1; 16], record: [2; 16], version: 3 };
    for (name, algorithm) in [
        ("record chacha20-poly1305", Algorithm::ChaCha20Poly1305),
        ("record aes-256-gcm", Algorithm::Aes256Gcm),
    ] {
        let id = RecordKeyId { generation: 4, page: 5, slot: 6 };
        let header = RecordHeader { algorithm, compressed: false, key: id };
        let sealed = seal_record(&key, &header, &address, b"a template", &mut Counting(0));
        case(RECORD, name, &sealed);
        let (read, plaintext) = open_record(&key, &address, &sealed).expect("it was just sealed");
        assert_eq!((read, plaintext.expose_secret()), (header, &b"a template"[..]));
    }
}

#[test]
fn a_key_page_is_sealed_as_documented() {
    let mut entropy = Counting(0);
    let page = KeyPage::generate(&mut entropy);
    let address = KeyPageAddress { collection: [1; 16], generation: 2, page: 3 };
    let root = Secret::take(&mut [7; 32]);
    let sealed = page.seal(Algorithm::ChaCha20Poly1305, &root, &address, &mut entropy);
    assert_eq!(sealed.slots, None);
    case(KEY_PAGE, "page entry", &sealed.entry);
    for slot in [0, 255] {
        case(KEY_PAGE, &format!("page slot {slot}"), page.key(slot).expect("a whole page").expose_secret());
    }
}

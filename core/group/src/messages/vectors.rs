//! The working group's vectors (`crate::testing`) through the frames and ratchets of single messages.
#![allow(clippy::cast_possible_truncation, reason = "numbers that the vectors name are small")]
use super::*;
use crate::testing::{bytes, context, each, number};
use serde_json::Value;

fn secret32(value: &Value) -> Secret<32> {
    let bytes = bytes(value);
    Secret::generate(|out| out.copy_from_slice(&bytes))
}

/// The secret tree of RFC 9420, section 9: each leaf's ratchet, gone down to in the order of the leaves and against it, so that
/// either child is once the one that is kept.
#[test]
fn secret_tree() {
    each("secret-tree.json", 3, |vector| {
        let leaves = vector["leaves"].as_array().unwrap();
        let width = u32::try_from(leaves.len().next_power_of_two()).unwrap();
        for is_reversed in [false, true] {
            let mut nodes = BTreeMap::from([(width - 1, secret32(&vector["encryption_secret"]))]);
            let mut order: Vec<_> = leaves.iter().enumerate().collect();
            if is_reversed {
                order.reverse();
            }
            for (leaf, generations) in order {
                let leaf = u32::try_from(leaf).unwrap();
                let Descent { used, beside, mut ratchet } = descend(&nodes, width, leaf).unwrap();
                nodes.remove(&used);
                nodes.extend(beside);
                for expected in generations.as_array().unwrap() {
                    while (ratchet.next as usize) < number(&expected["generation"]) {
                        ratchet.skip();
                    }
                    let key = ratchet.step();
                    let key = key.expose_secret();
                    assert_eq!(key[..32], bytes(&expected["application_key"]));
                    assert_eq!(key[32..], bytes(&expected["application_nonce"]));
                }
                assert!(descend(&nodes, width, leaf).is_none(), "a leaf is gone down to once");
            }
            assert_eq!(nodes.len(), width as usize - leaves.len(), "what is left is below nobody");
        }
        let v = &vector["sender_data"];
        let (key, nonce) = sender_key(&secret32(&v["sender_data_secret"]), &bytes(&v["ciphertext"]));
        assert_eq!(key.expose_secret()[..], bytes(&v["key"]));
        assert_eq!(nonce[..], bytes(&v["nonce"]));
    });
}

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        out.fill(self.0);
    }
}

/// Section 6.3: what the member at leaf 1 of two sealed opens, once, and what it signs and seals here opens, too.
#[test]
fn message_protection() {
    each("message-protection.json", 1, |vector| {
        let signer = DeviceSigner::new(&secret32(&vector["signature_priv"]));
        assert_eq!(signer.device().to_vec(), bytes(&vector["signature_pub"]));
        let number = vector["epoch"].as_u64().unwrap();
        let group =
            context(&vector["group_id"], number, &vector["tree_hash"], &vector["confirmed_transcript_hash"]);
        let member = |own: u32| Messages {
            epoch: Epoch {
                group_id: bytes(&vector["group_id"]),
                number,
                context: group.clone(),
                sender_data: secret32(&vector["sender_data_secret"]),
                own,
                leaves: 2,
                devices: vec![Some([9; 32]), Some(signer.device())],
            },
            nodes: BTreeMap::from([(1, secret32(&vector["encryption_secret"]))]),
            ratchets: BTreeMap::new(),
            skipped: BTreeMap::new(),
            own: None,
            changed: BTreeSet::new(),
        };
        let text = bytes(&vector["application"]);
        let mut reader = member(0);
        let sealed = bytes(&vector["application_priv"]);
        let opened = reader.open(&sealed, &signer.device()).unwrap();
        assert_eq!(opened.text.expose_secret(), text);
        let generation = opened.generation;
        assert_eq!(reader.open(&sealed, &signer.device()).err(), Some(Error::Replayed { generation }));
        for handshake in ["proposal_priv", "commit_priv"] {
            let refused = reader.open(&bytes(&vector[handshake]), &signer.device()).err();
            assert_eq!(refused, Some(Error::Unsupported("a sealed handshake")));
        }
        assert_eq!(
            reader.open(&bytes(&vector["commit_pub"]), &signer.device()).err(),
            Some(Error::Malformed("private message"))
        );

        let mut writer = member(1);
        let reserve = writer.reserve(2).unwrap();
        writer.grant(reserve);
        for generation in 0..2 {
            let sealed = writer.seal(&signer, &text, &mut Counting(0)).unwrap();
            let opened = member(0).open(&sealed, &signer.device()).unwrap();
            assert_eq!((opened.text.expose_secret(), opened.generation), (&text[..], generation));
        }
    });
}

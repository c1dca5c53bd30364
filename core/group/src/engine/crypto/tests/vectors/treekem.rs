//! TreeKEM (RFC 9420, sections 4 and 7): what a member makes of another's update path, by the key agreement and the schedule
//! that are written in this crate.
use super::*;
use crate::engine::crypto::tests::writing;
use crate::testing::{bytes, context, each, number, take};
use serde_json::Value;
use std::collections::BTreeMap;

const LEAF: u8 = 1;
/// LeafNodeSource (section 7.2).
const FROM_KEY_PACKAGE: u8 = 1;
const BY_COMMIT: u8 = 3;

/// A node that is not blank.
struct Node {
    key: Vec<u8>,
    /// Leaves below it that do not know its private key.
    unmerged: Vec<usize>,
}

/// A ratchet tree: leaf `n` is node `2n` (appendix C).
struct Tree(Vec<Option<Node>>);

impl Tree {
    fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut nodes = take(&mut rest);
        assert!(rest.is_empty());
        let mut all = Vec::new();
        while let Some((is_there, behind)) = nodes.split_first() {
            nodes = behind;
            all.push((*is_there == 1).then(|| Self::node(&mut nodes)));
        }
        all.resize_with((all.len() + 1).next_power_of_two() - 1, || None);
        Self(all)
    }

    fn node(rest: &mut &[u8]) -> Node {
        let kind = rest[0];
        skip(rest, 1);
        if kind == LEAF {
            return Node { key: leaf(rest), unmerged: Vec::new() };
        }
        let (key, _, unmerged) = (take(rest).to_vec(), take(rest), take(rest));
        let leaf = |index: &[u8]| u32::from_be_bytes(index.try_into().unwrap()) as usize;
        Node { key, unmerged: unmerged.chunks(4).map(leaf).collect() }
    }

    fn root(&self) -> usize {
        self.0.len() / 2
    }

    /// The node's children; none of a leaf.
    fn children(node: usize) -> Option<(usize, usize)> {
        let half = 1 << node.trailing_ones().checked_sub(1)?;
        Some((node - half, node + half))
    }

    /// The nodes above a leaf, the nearest first, each with its child that is not above the leaf.
    fn direct_path(&self, leaf: usize) -> Vec<(usize, usize)> {
        let (mut path, mut at) = (Vec::new(), self.root());
        while let Some((left, right)) = Self::children(at) {
            let (way, beside) = if 2 * leaf < at { (left, right) } else { (right, left) };
            path.push((at, beside));
            at = way;
        }
        path.reverse();
        path
    }

    /// Section 4.1.1.
    fn resolution(&self, node: usize) -> Vec<usize> {
        match (&self.0[node], Self::children(node)) {
            (Some(there), _) => {
                std::iter::once(node).chain(there.unmerged.iter().map(|leaf| 2 * leaf)).collect()
            }
            (None, None) => Vec::new(),
            (None, Some((left, right))) => [self.resolution(left), self.resolution(right)].concat(),
        }
    }

    /// Section 4.1.2.
    fn filtered_direct_path(&self, leaf: usize) -> Vec<(usize, Vec<usize>)> {
        let path = self.direct_path(leaf).into_iter();
        let with = path.map(|(node, beside)| (node, self.resolution(beside)));
        with.filter(|(_, resolution)| !resolution.is_empty()).collect()
    }
}

/// Goes past a leaf node (section 7.2); its encryption key.
fn leaf(rest: &mut &[u8]) -> Vec<u8> {
    let key = take(rest).to_vec();
    take(rest);
    assert_eq!(rest[..2], [0, 1], "basic credentials");
    skip(rest, 2);
    // Identity; versions, suites, extensions, proposals, credentials.
    (0..6).for_each(|_| _ = take(rest));
    let source = rest[0];
    skip(rest, 1);
    match source {
        FROM_KEY_PACKAGE => skip(rest, 16),
        BY_COMMIT => _ = take(rest),
        _ => {}
    }
    // Extensions, signature.
    (0..2).for_each(|_| _ = take(rest));
    key
}

/// What a node's keys follow from.
fn pair(path_secret: &[u8]) -> HpkeKeyPair {
    crypto().derive_hpke_keypair(config(), &derive(path_secret, "node")).unwrap()
}

/// An update path's nodes: public key, and what is sealed for the resolution.
type PathNodes = Vec<(Vec<u8>, Vec<(Vec<u8>, Vec<u8>)>)>;

fn path_nodes(update_path: &[u8]) -> PathNodes {
    let mut rest = update_path;
    leaf(&mut rest);
    let mut nodes = take(&mut rest);
    assert!(rest.is_empty());
    let mut all = Vec::new();
    while !nodes.is_empty() {
        let (key, mut sealed) = (take(&mut nodes).to_vec(), take(&mut nodes));
        let mut secrets = Vec::new();
        while !sealed.is_empty() {
            secrets.push((take(&mut sealed).to_vec(), take(&mut sealed).to_vec()));
        }
        all.push((key, secrets));
    }
    all
}

/// The private keys that a member has, by node.
fn private_keys(tree: &Tree, member: &Value) -> BTreeMap<usize, Vec<u8>> {
    let mut keys = BTreeMap::from([(2 * number(&member["index"]), bytes(&member["encryption_priv"]))]);
    for known in member["path_secrets"].as_array().unwrap() {
        let (node, pair) = (number(&known["node"]), pair(&bytes(&known["path_secret"])));
        assert_eq!(pair.public, tree.0[node].as_ref().unwrap().key, "node {node}");
        keys.insert(node, pair.private.as_ref().to_vec());
    }
    keys
}

#[test]
fn treekem() {
    let (mut paths, mut below_a_blank_root) = (0, 0);
    each("treekem.json", 11, |vector| {
        let tree = Tree::parse(&bytes(&vector["ratchet_tree"]));
        for update in vector["update_paths"].as_array().unwrap() {
            let sender = number(&update["sender"]);
            let (filtered, nodes) =
                (tree.filtered_direct_path(sender), path_nodes(&bytes(&update["update_path"])));
            assert_eq!(filtered.len(), nodes.len());
            paths += 1;
            below_a_blank_root += usize::from(filtered.last().is_some_and(|(node, _)| *node != tree.root()));
            let transcript = &vector["confirmed_transcript_hash"];
            let epoch = vector["epoch"].as_u64().unwrap();
            let context = context(&vector["group_id"], epoch, &update["tree_hash_after"], transcript);
            for member in vector["leaves_private"].as_array().unwrap() {
                let reader = number(&member["index"]);
                if reader == sender {
                    continue;
                }
                let keys = private_keys(&tree, member);
                let meets = |node: usize| tree.direct_path(reader).iter().any(|(above, _)| *above == node);
                let from = filtered.iter().position(|(node, _)| meets(*node)).unwrap();
                let (at, mine) = filtered[from]
                    .1
                    .iter()
                    .enumerate()
                    .find_map(|(at, node)| Some((at, keys.get(node)?)))
                    .expect("a key that the path is sealed for");
                let (kem_output, ciphertext) = &nodes[from].1[at];
                let mut secret = decrypt(mine, "UpdatePathNode", &context, kem_output, ciphertext);
                assert_eq!(secret, bytes(&update["path_secrets"][reader]));
                // What we would seal for the same reader, it opens.
                let key = &tree.0[filtered[from].1[at]].as_ref().unwrap().key;
                let info = labelled("UpdatePathNode", &context);
                let sealed = writing(7).hpke_seal(config(), key, &info, &[], &secret).unwrap();
                let (kem_output, ciphertext) = (sealed.kem_output.as_slice(), sealed.ciphertext.as_slice());
                assert_eq!(decrypt(mine, "UpdatePathNode", &context, kem_output, ciphertext), secret);
                for (key, _) in &nodes[from..] {
                    assert_eq!(pair(&secret).public, *key);
                    secret = derive(&secret, "path");
                }
                assert_eq!(secret, bytes(&update["commit_secret"]));
            }
        }
    });
    eprintln!("treekem.json: {paths} paths, {below_a_blank_root} that do not reach the root");
}

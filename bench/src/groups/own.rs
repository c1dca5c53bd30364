//! Our groups: every verb is followed by what keeps its result, the state's bytes.
use crate::measure::time;
use anyhow::{Result, ensure};
use terachat_group::{Change, CipherSuite, DeviceSigner, Group, KeyPackage, Messages, new_key_package};
use terachat_vault::{Entropy, Secret, SecretBytes};

const ROOT: [u8; 32] = [7; 32];

/// Any numbers do where nothing is secret.
pub(super) struct Seeded(blake3::OutputReader);

impl Seeded {
    pub(super) fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new_keyed(&[9; 32]).update(&seed.to_le_bytes()).finalize_xof())
    }
}

impl Entropy for Seeded {
    fn fill(&mut self, out: &mut [u8]) {
        self.0.fill(out);
    }
}

/// A member with its view of the group.
pub(crate) struct Own {
    pub(super) signer: DeviceSigner,
    pub(super) entropy: Seeded,
    pub(super) group: Group,
}

/// What a newcomer needs, and the members.
pub(crate) struct Invited {
    pub(crate) message: Vec<u8>,
    pub(crate) welcome: Vec<u8>,
    tree: Vec<u8>,
}

impl Invited {
    /// Bytes that a newcomer fetches: its welcome and the tree.
    pub(super) fn len(&self) -> usize {
        self.welcome.len() + self.tree.len()
    }

    pub(super) fn tree_len(&self) -> usize {
        self.tree.len()
    }
}

/// Somebody who is not in yet, and then is.
pub(crate) struct Newcomer {
    signer: DeviceSigner,
    public: KeyPackage,
    private: SecretBytes,
    group: Option<Group>,
}

impl Newcomer {
    pub(crate) fn new(suite: CipherSuite) -> Self {
        Self::numbered(suite, u64::MAX)
    }

    pub(super) fn numbered(suite: CipherSuite, number: u64) -> Self {
        let mut entropy = Seeded::new(number);
        let signer = DeviceSigner::new(&Secret::generate(|out| entropy.fill(out)));
        let (public, private) = new_key_package(suite, &signer, &mut entropy).expect("a key package is made");
        let public = KeyPackage::parse(&public).expect("it is a key package");
        Self { signer, public, private, group: None }
    }

    pub(crate) fn join(&mut self, invited: &Invited) {
        let group = Group::join(&self.signer, &invited.welcome, &invited.tree, &self.private);
        let group = group.expect("the welcome is ours");
        std::hint::black_box(group.to_bytes());
        self.group = Some(group);
    }

    /// What opens the messages of the epoch in which it joined, once.
    pub(super) fn take_messages(&mut self) -> Messages {
        let group = self.group.as_mut().expect("it joined");
        group.take_messages().expect("they are given out once")
    }

    /// Bytes of the state that it keeps.
    pub(super) fn state_len(&self) -> usize {
        self.group.as_ref().expect("it joined").to_bytes().expose_secret().len()
    }

    pub(super) fn forget(&mut self) {
        self.group = None;
    }

    fn into_member(self, number: u64) -> Own {
        let group = self.group.expect("it joined");
        Own { signer: self.signer, entropy: Seeded::new(number ^ (1 << 40)), group }
    }
}

impl Own {
    pub(super) fn founder(suite: CipherSuite) -> Self {
        let mut entropy = Seeded::new(0);
        let signer = DeviceSigner::new(&Secret::generate(|out| entropy.fill(out)));
        let group = Group::create(suite, &signer, b"bench", ROOT, &mut entropy).expect("a group is made");
        Self { signer, entropy, group }
    }

    /// Two members of a group of `size`, the rest of which was added with the second in one commit.
    pub(crate) fn pair(suite: CipherSuite, size: usize) -> (Self, Self) {
        let mut alice = Self::founder(suite);
        let mut others: Vec<_> = (1..size as u64).map(|number| Newcomer::numbered(suite, number)).collect();
        let invited = alice.invite_all(&others);
        others[0].join(&invited);
        (alice, others.swap_remove(0).into_member(1))
    }

    fn change(&mut self, add: &[KeyPackage], remove: &[[u8; 32]]) -> (Vec<u8>, Option<Vec<u8>>) {
        let change = Change { add, remove, control_root: ROOT };
        let made = self.group.commit(&self.signer, &change, &mut self.entropy);
        let (group, commit) = made.expect("a commit is made");
        std::hint::black_box(group.to_bytes());
        self.group = group;
        (commit.message, commit.welcome)
    }

    pub(crate) fn update(&mut self) -> Vec<u8> {
        self.change(&[], &[]).0
    }

    pub(crate) fn remove(&mut self, member: &Newcomer) -> Vec<u8> {
        self.change(&[], &[member.signer.device()]).0
    }

    pub(crate) fn invite(&mut self, newcomer: &Newcomer) -> Invited {
        self.invite_all(std::slice::from_ref(newcomer))
    }

    pub(super) fn invite_all(&mut self, newcomers: &[Newcomer]) -> Invited {
        let adds: Vec<_> = newcomers.iter().map(|newcomer| newcomer.public.clone()).collect();
        let (message, welcome) = self.change(&adds, &[]);
        let welcome = welcome.expect("somebody was added");
        Invited { message, welcome, tree: self.group.ratchet_tree() }
    }

    /// The length of the state that is kept afterwards.
    pub(crate) fn process(&mut self, message: &[u8]) -> usize {
        let (next, _) = self.group.process(message).expect("the commit processes");
        self.group = next.expect("this member stays");
        std::hint::black_box(self.group.to_bytes()).expose_secret().len()
    }

    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.group.epoch_authenticator() == other.group.epoch_authenticator()
    }

    pub(crate) fn agrees_with(&self, other: &Newcomer) -> bool {
        let other = other.group.as_ref();
        other.is_some_and(|other| other.epoch_authenticator() == self.group.epoch_authenticator())
    }
}

/// What it took to take a place anew.
pub(crate) struct Retaken {
    /// CPU seconds of whoever did so.
    pub(crate) making: f64,
    /// And of each other member.
    pub(crate) processing: f64,
    /// Bytes of the group info and the tree.
    pub(crate) shown: usize,
    /// Bytes of the commit.
    pub(crate) len: usize,
}

/// A member of whose state there is nothing.
pub(crate) struct Outsider {
    signer: DeviceSigner,
    entropy: Seeded,
}

/// A founder and some of the many whom one commit added, evenly spread over the tree.
pub(crate) struct Crowd {
    founder: Own,
    members: Vec<Own>,
}

impl Crowd {
    pub(crate) fn new(suite: CipherSuite, size: usize, members: usize) -> Self {
        let mut founder = Own::founder(suite);
        let all: Vec<_> = (1..size as u64).map(|number| Newcomer::numbered(suite, number)).collect();
        let invited = founder.invite_all(&all);
        let apart = all.len() / members;
        let some = all.into_iter().enumerate().filter(|(at, _)| at % apart == 0).take(members);
        let members = some
            .map(|(at, mut member)| {
                member.join(&invited);
                member.into_member(at as u64 + 1)
            })
            .collect();
        Self { founder, members }
    }

    /// The same, with the others outside: they have keys and no state.
    pub(crate) fn outside(suite: CipherSuite, size: usize) -> (Self, Vec<Outsider>) {
        let mut founder = Own::founder(suite);
        let all: Vec<_> = (1..size as u64).map(|number| Newcomer::numbered(suite, number)).collect();
        founder.invite_all(&all);
        let outsider = |(at, member): (usize, Newcomer)| Outsider {
            signer: member.signer,
            entropy: Seeded::new(at as u64 ^ (1 << 41)),
        };
        let outsiders = all.into_iter().enumerate().map(outsider).collect();
        (Self { founder, members: Vec::new() }, outsiders)
    }

    /// A member takes its own place anew, by an external commit which the founder processes.
    pub(crate) fn retake(&mut self, member: &mut Outsider) -> Result<Retaken> {
        let founder = &mut self.founder;
        let (info, tree) = (founder.group.group_info(&founder.signer)?, founder.group.ratchet_tree());
        let (made, making) = time(|| {
            let made = Group::rejoin(&member.signer, &info, &tree, &mut member.entropy)?;
            std::hint::black_box(made.0.to_bytes());
            Ok::<_, terachat_group::Error>(made)
        });
        let (theirs, message) = made?;
        let (processed, processing) = time(|| {
            let processed = founder.group.process_rejoin(&message, &member.signer.device())?;
            std::hint::black_box(processed.0.to_bytes());
            Ok::<_, terachat_group::Error>(processed)
        });
        (founder.group, _) = processed?;
        let agree = founder.group.epoch_authenticator() == theirs.epoch_authenticator();
        ensure!(agree, "the founder is in another epoch");
        let (making, processing) = (making.cpu, processing.cpu);
        Ok(Retaken { making, processing, shown: info.len() + tree.len(), len: message.len() })
    }

    /// The length of the commit that the founder would make now.
    pub(crate) fn commit_len(&mut self) -> usize {
        let change = Change { add: &[], remove: &[], control_root: ROOT };
        let founder = &mut self.founder;
        let made = founder.group.commit(&founder.signer, &change, &mut founder.entropy);
        made.expect("a commit is made").1.message.len()
    }

    /// The member makes a commit of nothing but new keys, and the others process it. They renew in an order that
    /// spreads over the tree (the index's bits reversed). Gives back which it was.
    pub(crate) fn renew(&mut self, turn: usize) -> Result<usize> {
        let bits = self.members.len().ilog2();
        let who = turn.reverse_bits() >> (usize::BITS - bits);
        let message = self.members[who].update();
        self.founder.process(&message);
        for (at, member) in self.members.iter_mut().enumerate() {
            if at != who {
                member.process(&message);
            }
        }
        ensure!(self.founder.agrees(&self.members[who]), "the founder is in another epoch");
        Ok(who)
    }
}

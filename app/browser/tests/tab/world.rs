//! Devices, and a network that the story holds in its hands.
use crate::device::{Device, Id};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub(crate) struct World {
    devices: BTreeMap<String, Box<dyn Device>>,
    links: BTreeSet<(Id, Id)>,
    now: u64,
}

impl World {
    pub(crate) fn enter(&mut self, name: &str, device: Box<dyn Device>) {
        self.devices.insert(name.to_owned(), device);
    }

    fn of(&mut self, name: &str) -> &mut dyn Device {
        self.devices.get_mut(name).unwrap().as_mut()
    }

    fn try_ask(&mut self, name: &str, verb: &str, args: Value) -> Result<Value, String> {
        self.now += 1_000;
        let now = self.now;
        self.of(name).request(verb, args, now)
    }

    #[track_caller]
    fn ask(&mut self, name: &str, verb: &str, args: Value) -> Value {
        let answer = self.try_ask(name, verb, args).unwrap_or_else(|code| panic!("{name}: {verb}: {code}"));
        self.settle();
        answer
    }

    pub(crate) fn connect(&mut self, a: &str, b: &str) {
        let (id_a, id_b) = (self.of(a).id(), self.of(b).id());
        self.links.extend([(id_a, id_b), (id_b, id_a)]);
        self.of(a).connected(id_b);
        self.of(b).connected(id_a);
        self.settle();
    }

    /// Delivers frames until nobody has anything to say.
    #[track_caller]
    fn settle(&mut self) {
        let names: Vec<String> = self.devices.keys().cloned().collect();
        let by_id: BTreeMap<Id, String> =
            names.iter().map(|name| (self.devices[name].id(), name.clone())).collect();
        for round in 0.. {
            assert!(round < 1_000, "the devices never stop talking");
            let mut quiet = true;
            for name in &names {
                let from = self.of(name).id();
                for (to, frame) in self.of(name).frames() {
                    quiet = false;
                    if self.links.contains(&(from, to)) {
                        let now = self.now;
                        self.of(&by_id[&to]).receive(from, frame, now);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// A space with a channel of either history.
    #[track_caller]
    pub(crate) fn found(&mut self, founder: &str, space: &str) {
        self.ask(founder, "SpaceCreate", json!({ "name": space, "post_quantum": true }));
        for (channel, since_join) in [("shared", false), ("since", true)] {
            let create = json!({ "space": space, "name": channel, "forum": false, "since_join": since_join });
            self.ask(founder, "ChannelCreate", create);
        }
    }

    #[track_caller]
    pub(crate) fn invite(&mut self, host: &str, guest: &str, space: &str) {
        let card = self.ask(guest, "WhoAmI", json!({ "post_quantum": true }))["card"].take();
        let invite = json!({ "space": space, "card": card, "rank": 50 });
        let invitation = self.ask(host, "Invite", invite)["invitation"].take();
        self.ask(guest, "Join", json!({ "invitation": invitation }));
    }

    #[track_caller]
    pub(crate) fn remove(&mut self, host: &str, member: &str, space: &str) {
        self.ask(host, "MemberRemove", json!({ "space": space, "member": member }));
    }

    #[track_caller]
    pub(crate) fn say(&mut self, name: &str, space: &str, channel: &str, body: &str) {
        self.ask(name, "Send", send(space, channel, body));
    }

    /// Gives the newest message that somebody sees in a channel another text.
    #[track_caller]
    pub(crate) fn edit_newest(&mut self, name: &str, space: &str, channel: &str, body: &str) {
        let place = json!({ "space": space, "channel": channel });
        let read = json!({
            "place": place, "limit": 1, "before": null, "after": null, "around": null, "thread": null,
            "pinned": false,
        });
        let message = self.ask(name, "Read", read)["messages"][0]["id"].take();
        self.ask(name, "Edit", json!({ "place": place, "message": message, "body": body }));
    }

    /// The code with which a message is refused.
    #[track_caller]
    pub(crate) fn refusal(&mut self, name: &str, space: &str, channel: &str) -> String {
        self.try_ask(name, "Send", send(space, channel, "still here")).unwrap_err()
    }

    /// Texts, and a dot for each that is sealed.
    #[track_caller]
    pub(crate) fn texts(&mut self, name: &str, space: &str, channel: &str) -> Vec<String> {
        let read = json!({
            "place": { "space": space, "channel": channel }, "limit": 1000, "before": null, "after": null,
            "around": null, "thread": null, "pinned": false,
        });
        let answer = self.ask(name, "Read", read);
        let shown = |message: &Value| match message["sealed"].as_bool().unwrap() {
            true => "·".to_owned(),
            false => message["body"].as_str().unwrap().to_owned(),
        };
        answer["messages"].as_array().unwrap().iter().map(shown).collect()
    }

    /// What somebody finds in a channel, or in all of the space, the best first, with what matched in brackets.
    #[track_caller]
    pub(crate) fn finds(
        &mut self,
        name: &str,
        space: &str,
        channel: Option<&str>,
        query: &str,
    ) -> Vec<String> {
        self.now += 1_000;
        let now = self.now;
        let search = json!({ "place": { "space": space, "channel": channel }, "query": query, "limit": 100 });
        self.of(name).search(search, now)
    }

    /// Gives somebody all of a space that somebody else has, without asking whether that one may read it.
    #[track_caller]
    pub(crate) fn hand_over(&mut self, from: &str, to: &str, space: &str) {
        let bytes = self.ask(from, "BundleExport", json!({ "space": space }))["bytes"].take();
        let applied = self.ask(to, "BundleImport", json!({ "bytes": bytes }));
        assert_eq!(applied["refused"], json!([]));
    }

    #[track_caller]
    pub(crate) fn same(&mut self, space: &str, names: &[&str]) {
        let standing: BTreeSet<String> = names
            .iter()
            .map(|name| {
                let status = self.ask(name, "Status", Value::Null);
                let spaces = status["spaces"].as_array().unwrap();
                let found = spaces.iter().find(|found| found["name"] == space).unwrap();
                assert_eq!(found["waiting"], json!([]), "{name}");
                assert!(found["epoch"].is_u64(), "{name} is in no epoch of {space}");
                format!("{} in epoch {}", found["state_hash"], found["epoch"])
            })
            .collect();
        assert_eq!(standing.len(), 1, "{names:?} differ in {space}: {standing:?}");
    }

    #[track_caller]
    pub(crate) fn sound(&mut self, name: &str) {
        let report = self.ask(name, "Audit", Value::Null);
        assert_eq!((&report["alarm"], &report["equivocations"]), (&json!([]), &json!([])), "{name}");
    }

    /// Milliseconds of each device's own work since the last time.
    pub(crate) fn spent(&mut self) -> BTreeMap<String, f64> {
        self.devices.iter_mut().map(|(name, device)| (name.clone(), device.spent_ms())).collect()
    }
}

fn send(space: &str, channel: &str, body: &str) -> Value {
    json!({ "place": { "space": space, "channel": channel }, "body": body, "reply_to": null })
}

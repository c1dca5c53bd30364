use crate::{Code, Failure, TabEntropy};
use serde_json::{Map, Value};
use terachat_client::Client;
use terachat_client::api::{Notice, Request};
use terachat_storage::MemoryStorage;
use terachat_vault::{Entropy, PassphraseCost, PassphraseSource, SecretBytes};

/// One device that lives in memory.
///
/// After every call the owner drains [`Tab::poll_frame`] and [`Tab::poll_notice`]. Times are milliseconds since 1970.
pub struct Tab {
    client: Client,
}

impl Tab {
    /// A new user with one device, called `name` (1 to 100 characters).
    ///
    /// What is stored stays in memory and is sealed there under a key that nobody is told, so there is nothing to open it
    /// again by.
    ///
    /// # Errors
    /// [`Code::Input`] for the name.
    pub fn create(name: &str, mut entropy: TabEntropy, now_ms: u64) -> Result<Self, Failure> {
        let mut words = vec![0; 32];
        entropy.fill(&mut words);
        // Random words cannot be guessed, so that they need not cost much.
        let mut source = PassphraseSource::new(SecretBytes::take(words), PassphraseCost::INSECURE_FAST);
        let storage = Box::new(MemoryStorage::new());
        Ok(Self { client: Client::create(storage, name, &mut source, Box::new(entropy), now_ms, None)? })
    }

    /// The device's id: the Ed25519 public key by which peers know it.
    pub fn id(&self) -> [u8; 32] {
        self.client.device_id()
    }

    /// Carries out one verb: a variant of [`Request`] by its name, with its fields as JSON (`null` where it has none).
    /// Answers what is in the [`Answer`](terachat_client::api::Answer), as JSON; `null` for one without content.
    ///
    /// # Errors
    /// [`Code::Input`] for a verb or arguments that are not what [`Request`] says; else why it was not carried out.
    /// Nothing changed.
    pub fn request(&mut self, verb: &str, arguments: &str, now_ms: u64) -> Result<String, Failure> {
        let request = request(verb, arguments)?;
        let answer = self.client.execute(request, now_ms)?;
        Ok(content(json(&answer)).to_string())
    }

    /// A connection to a peer began, whose id the carrier has authenticated.
    pub fn connected(&mut self, peer: [u8; 32]) {
        self.client.connected(peer);
    }

    /// The connection to a peer ended.
    pub fn disconnected(&mut self, peer: [u8; 32]) {
        self.client.disconnected(peer);
    }

    /// Takes in a frame of a connected peer.
    ///
    /// # Errors
    /// [`Code::Peer`]: disconnect it. Nothing changed.
    pub fn receive(&mut self, peer: [u8; 32], frame: Vec<u8>, now_ms: u64) -> Result<(), Failure> {
        self.client.receive(peer, frame, now_ms).map_err(|error| Failure::of_peer(&error))
    }

    /// The next frame for a peer. A peer gets its frames in this order, each once.
    pub fn poll_frame(&mut self) -> Option<([u8; 32], Vec<u8>)> {
        self.client.poll_frame()
    }

    /// The next thing that happened on its own.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.client.poll_notice()
    }

    /// Goes on auditing in the background for one slice, if it is time to; to be called every ten seconds or so while nobody
    /// asks for anything. Gives whether more is to be done at once. What it finds becomes a notice.
    ///
    /// # Errors
    /// [`Code::Storage`].
    pub fn watch(&mut self, now_ms: u64) -> Result<bool, Failure> {
        Ok(self.client.watch(now_ms)?)
    }
}

fn request(verb: &str, arguments: &str) -> Result<Request, Failure> {
    let misfit = |error: serde_json::Error| {
        Failure::new(
            Code::Input,
            format!("that is not what {verb:?} takes ({error}); types.d.ts says what is"),
        )
    };
    let request = match serde_json::from_str(arguments).map_err(misfit)? {
        Value::Null => Value::from(verb),
        fields => Value::Object(Map::from_iter([(verb.to_owned(), fields)])),
    };
    serde_json::from_value(request).map_err(misfit)
}

fn json(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("plain values with text for keys")
}

/// What is in a variant, without its name: who asked knows which one it is.
fn content(variant: Value) -> Value {
    match variant {
        Value::Object(fields) => fields.into_iter().next().map_or(Value::Null, |(_, content)| content),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tab() -> Tab {
        let mut n = 0;
        let host = move |out: &mut [u8; 32]| {
            n += 1;
            out.fill(n);
            true
        };
        Tab::create("ada", TabEntropy::new(host).unwrap(), 1).unwrap()
    }

    #[track_caller]
    fn refused(verb: &str, arguments: &str, code: Code) {
        let failure = tab().request(verb, arguments, 2).unwrap_err();
        assert_eq!(failure.code, code, "{failure}");
    }

    #[test]
    fn verbs_are_requests_and_answers_their_content() {
        let mut tab = tab();
        let space: Value = serde_json::from_str(
            &tab.request("SpaceCreate", r#"{"name":"club","post_quantum":false}"#, 2).unwrap(),
        )
        .unwrap();
        assert_eq!(space["name"], "club");
        assert_eq!(tab.request("Renew", r#"{"space":null}"#, 3).unwrap(), "null");
        let status: Value = serde_json::from_str(&tab.request("Status", "null", 4).unwrap()).unwrap();
        assert_eq!(status["spaces"][0]["id"], space["id"]);
        let hex: String = tab.id().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(status["device"], hex);
    }

    #[test]
    fn what_is_no_request_is_the_pages_fault() {
        refused("Sing", "null", Code::Input);
        refused("SpaceCreate", "null", Code::Input);
        refused("SpaceCreate", r#"{"nom":"club"}"#, Code::Input);
        refused("SpaceCreate", "{", Code::Input);
        refused("SpaceCreate", r#"{"name":"","post_quantum":false}"#, Code::Input);
        refused("Join", r#"{"invitation":"terachat-invitation:x"}"#, Code::Input);
        refused("Send", r#"{"place":{"space":"x","channel":"y"},"body":"z","reply_to":null}"#, Code::Unknown);
    }

    #[test]
    fn what_a_stranger_sends_is_the_strangers_fault() {
        let mut tab = tab();
        for connected in [false, true] {
            if connected {
                tab.connected([7; 32]);
            }
            assert_eq!(tab.receive([7; 32], vec![250; 9], 2).unwrap_err().code, Code::Peer);
        }
    }

    /// A verb that is misspelled in the types would be refused at run time only.
    #[test]
    fn every_verb_in_the_types_is_one_of_the_requests() {
        let types = include_str!("types.d.ts");
        let verbs =
            types.split("interface Verbs {").nth(1).and_then(|rest| rest.split("\n}").next()).unwrap();
        let requests = include_str!("../../../core/client/src/api/request.rs");
        let names: Vec<&str> = verbs
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once(':'))
            .map(|(name, _)| name)
            .filter(|name| name.starts_with(char::is_uppercase))
            .collect();
        assert!(names.len() > 10, "{names:?}");
        for name in names {
            let is_variant = |line: &str| line == format!("    {name},") || line == format!("    {name} {{");
            assert!(requests.lines().any(is_variant), "{name} is no request");
        }
    }
}

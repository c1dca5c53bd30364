//! Devices that the story is told with: native ones, and ones in a JavaScript host.
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;
use terachat_browser::{Tab, TabEntropy};

pub(crate) type Id = [u8; 32];

/// What the story asks of a device. Errors are codes.
pub(crate) trait Device {
    fn id(&self) -> Id;
    fn request(&mut self, verb: &str, args: Value, now: u64) -> Result<Value, String>;
    /// Messages that a search finds, the best first, as they are shown: what matched stands in brackets.
    fn search(&mut self, args: Value, now: u64) -> Vec<String>;
    fn connected(&mut self, peer: Id);
    fn receive(&mut self, peer: Id, frame: Vec<u8>, now: u64);
    fn frames(&mut self) -> Vec<(Id, Vec<u8>)>;
    /// Milliseconds of work inside of calls since the last time, without the way there.
    fn spent_ms(&mut self) -> f64;
}

/// A device in this process.
pub(crate) struct Native {
    tab: Tab,
    spent_ms: f64,
}

impl Native {
    pub(crate) fn create(name: &str) -> Self {
        // Fresh keys in every run, as in the tab.
        let host = |out: &mut [u8; 32]| {
            use std::hash::{BuildHasher, RandomState};
            for part in out.chunks_mut(8) {
                part.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
            }
            true
        };
        Self { tab: Tab::create(name, TabEntropy::new(host).unwrap(), 1).unwrap(), spent_ms: 0.0 }
    }

    fn timed<T>(&mut self, call: impl FnOnce(&mut Tab) -> T) -> T {
        let start = Instant::now();
        let result = call(&mut self.tab);
        self.spent_ms += start.elapsed().as_secs_f64() * 1000.0;
        result
    }
}

impl Device for Native {
    fn id(&self) -> Id {
        self.tab.id()
    }

    fn request(&mut self, verb: &str, args: Value, now: u64) -> Result<Value, String> {
        let answer = self.timed(|tab| tab.request(verb, &args.to_string(), now));
        answer
            .map(|answer| serde_json::from_str(&answer).unwrap())
            .map_err(|failure| failure.code.name().to_owned())
    }

    fn search(&mut self, args: Value, now: u64) -> Vec<String> {
        let found = self.request("Search", args, now).unwrap();
        let shown = |hit: &Value| {
            let body = hit["message"]["body"].as_str().unwrap();
            let ranges: Vec<(usize, usize)> = serde_json::from_value(hit["highlights"].clone()).unwrap();
            let (mut shown, mut from) = (String::new(), 0);
            for (start, end) in ranges {
                shown += &format!("{}[{}]", &body[from..start], &body[start..end]);
                from = end;
            }
            shown + &body[from..]
        };
        found["hits"].as_array().unwrap().iter().map(shown).collect()
    }

    fn connected(&mut self, peer: Id) {
        self.timed(|tab| tab.connected(peer));
    }

    fn receive(&mut self, peer: Id, frame: Vec<u8>, now: u64) {
        self.timed(|tab| tab.receive(peer, frame, now)).unwrap();
    }

    fn frames(&mut self) -> Vec<(Id, Vec<u8>)> {
        while self.tab.poll_notice().is_some() {}
        std::iter::from_fn(|| self.tab.poll_frame()).collect()
    }

    fn spent_ms(&mut self) -> f64 {
        std::mem::take(&mut self.spent_ms)
    }
}

/// A way to `devices.mjs`: a call on a line, an answer on a line.
pub(crate) trait Carrier {
    fn call(&mut self, line: &str) -> String;
}

/// A device in a JavaScript host.
pub(crate) struct Remote {
    carrier: Rc<RefCell<dyn Carrier>>,
    name: String,
    id: Id,
    spent_ms: f64,
}

impl Remote {
    pub(crate) fn create(carrier: Rc<RefCell<dyn Carrier>>, name: &str) -> Self {
        let mut remote = Self { carrier, name: name.to_owned(), id: [0; 32], spent_ms: 0.0 };
        let made = remote.call(json!({ "do": "create", "name": name, "now": 1 })).unwrap();
        remote.id = bytes(&made["id"]).try_into().unwrap();
        remote
    }

    /// One call; what it threw if it did.
    pub(crate) fn call(&mut self, mut call: Value) -> Result<Value, Value> {
        call["as"] = self.name.as_str().into();
        let answer = self.carrier.borrow_mut().call(&call.to_string());
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        self.spent_ms += answer["ms"].as_f64().unwrap();
        match answer["thrown"].take() {
            Value::Null => Ok(answer["ok"].take()),
            thrown => Err(thrown),
        }
    }
}

impl Device for Remote {
    fn id(&self) -> Id {
        self.id
    }

    fn request(&mut self, verb: &str, args: Value, now: u64) -> Result<Value, String> {
        self.call(json!({ "do": "request", "verb": verb, "args": args, "now": now })).map_err(|thrown| {
            thrown["code"].as_str().unwrap_or_else(|| panic!("{verb}: {thrown}")).to_owned()
        })
    }

    fn search(&mut self, args: Value, now: u64) -> Vec<String> {
        let found = self.call(json!({ "do": "search", "args": args, "now": now })).unwrap();
        serde_json::from_value(found).unwrap()
    }

    fn connected(&mut self, peer: Id) {
        self.call(json!({ "do": "connected", "peer": hex(&peer) })).unwrap();
    }

    fn receive(&mut self, peer: Id, frame: Vec<u8>, now: u64) {
        self.call(json!({ "do": "receive", "peer": hex(&peer), "frame": hex(&frame), "now": now })).unwrap();
    }

    fn frames(&mut self) -> Vec<(Id, Vec<u8>)> {
        let polled = self.call(json!({ "do": "poll" })).unwrap();
        let frame = |frame: &Value| (bytes(&frame["peer"]).try_into().unwrap(), bytes(&frame["bytes"]));
        polled.as_array().unwrap().iter().map(frame).collect()
    }

    fn spent_ms(&mut self) -> f64 {
        std::mem::take(&mut self.spent_ms)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

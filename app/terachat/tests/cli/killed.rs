//! Kills the program at some moment of whatever it does, again and again on one profile: what was acknowledged is there
//! afterwards, and everything follows from its events. `TERACHAT_KILLS` says how often, `TERACHAT_KILL_SEED` from where.
use crate::store::log;
use crate::support::{Place, Running, holds};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn from_env(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        let hash = blake3::hash(&self.0.to_le_bytes());
        u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()) % end
    }
}

/// A profile that a key file opens, so that the passphrase's price is not paid at each start.
struct Story {
    place: Place,
    dice: Dice,
    acknowledged: BTreeSet<String>,
    /// The foreign log so far.
    imported: u64,
    sent: u64,
}

impl Story {
    fn begin(seed: u64) -> Self {
        let place = Place::crew();
        place.ok("ada", &["keys", "guard", "--new-key-file", place.home("key").to_str().unwrap()]);
        Self { place, dice: Dice(seed << 32), acknowledged: BTreeSet::new(), imported: 0, sent: 0 }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.place.command("ada", args);
        command.env("TERACHAT_KEY_FILE", self.place.home("key"));
        command
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {}{stderr}", String::from_utf8_lossy(&output.stdout));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Kills at a moment between now and `within`: whichever it is, the outcome has to be sound.
    fn kill(&mut self, child: &mut Child, within: Duration) {
        let moment = Instant::now() + within.mul_f64(self.dice.below(1_000) as f64 / 1_000.0);
        while Instant::now() < moment && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// An import, killed behind some of its batches, or while it writes its snapshot at the end.
    fn import(&mut self) {
        let (batch, batches) = (1 + self.dice.below(64), 1 + self.dice.below(12));
        let end = self.imported + batch * batches;
        let file = self.place.file("log.jsonl", log(1..=end));
        let args = ["import", file.to_str().unwrap(), "--batch", &batch.to_string(), "--json"];
        let mut running = Running::start(self.command(&args));
        let wanted = self.dice.below(batches + 1);
        let mut line = String::new();
        for _ in 0..wanted {
            line.clear();
            if running.lines.read_line(&mut line).unwrap() == 0 {
                break;
            }
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            let Some(last) = value["progress"]["last_id"].as_u64() else { break };
            (1..=last).for_each(|id| _ = self.acknowledged.insert(format!("imported {id}")));
        }
        self.kill(&mut running.child, Duration::from_millis(40));
        self.imported = end;
    }

    /// Messages through a running `listen`, killed under the last of them.
    fn send(&mut self) {
        let mut listen = self.command(&["listen", "--json"]);
        listen.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut running = Running::start(listen);
        running.line_with("listening");
        for _ in 0..self.dice.below(4) {
            self.sent += 1;
            let body = format!("sent {}", self.sent);
            self.ok(&["send", &body]);
            self.acknowledged.insert(body);
        }
        self.sent += 1;
        let body = format!("sent {}", self.sent);
        let mut last = self.command(&["send", &body]);
        let mut last = last.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.kill(&mut running.child, Duration::from_millis(60));
        if last.wait().unwrap().success() {
            self.acknowledged.insert(body);
        }
    }

    /// Compaction and the snapshot behind it.
    fn compact(&mut self) {
        let mut compact = self.command(&["store", "compact"]);
        let mut compact = compact.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.kill(&mut compact, Duration::from_millis(250));
    }

    /// A backup, killed while it is made: no half of one is left under its name.
    fn export(&mut self) {
        let (out, words) = (self.place.home("backup"), self.place.home("passphrase"));
        let args =
            ["store", "export", out.to_str().unwrap(), "--new-passphrase-file", words.to_str().unwrap()];
        let mut export = self.command(&args);
        let mut export = export.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        self.kill(&mut export, Duration::from_millis(1_500));
    }

    /// All messages, page by page.
    fn bodies(&self) -> Vec<String> {
        let (mut bodies, mut before) = (Vec::new(), None);
        loop {
            let mut args = vec!["read", "--limit", "10000", "--json"];
            args.extend(before.iter().flat_map(|id: &String| ["--before", id]));
            let page: serde_json::Value = serde_json::from_str(&self.ok(&args)).unwrap();
            let messages = page["messages"].as_array().unwrap();
            let text = |message: &serde_json::Value, field: &str| message[field].as_str().unwrap().to_owned();
            bodies.extend(messages.iter().map(|message| text(message, "body")));
            match messages.first().filter(|_| messages.len() == 10_000) {
                Some(first) => before = Some(text(first, "id")),
                None => return bodies,
            }
        }
    }

    fn check(&mut self, round: u64) {
        let bodies = self.bodies();
        let there: BTreeSet<&str> = bodies.iter().map(String::as_str).collect();
        assert_eq!(there.len(), bodies.len(), "round {round}: nothing is there twice");
        let lost: Vec<&String> =
            self.acknowledged.iter().filter(|body| !there.contains(body.as_str())).collect();
        assert_eq!(lost, Vec::<&String>::new(), "round {round}: acknowledged and lost");
        let imported = bodies.iter().filter(|body| body.starts_with("imported")).count() as u64;
        assert!((1..=imported).all(|id| there.contains(format!("imported {id}").as_str())), "without gaps");
        // What is there now was durable, acknowledged or not.
        self.acknowledged = there.into_iter().map(str::to_owned).collect();
        self.ok(&["audit"]);
        if round.is_multiple_of(4) {
            self.ok(&["store", "check"]);
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill() {
    let (rounds, seed) = (from_env("TERACHAT_KILLS", 16), from_env("TERACHAT_KILL_SEED", 1));
    let mut story = Story::begin(seed);
    // Small commits enough for a compaction to have work.
    let file = story.place.file("log.jsonl", log(1..=1_100));
    story.ok(&["import", file.to_str().unwrap(), "--batch", "1"]);
    story.imported = 1_100;
    (1..=1_100).for_each(|id| _ = story.acknowledged.insert(format!("imported {id}")));
    for round in 0..rounds {
        match round % 4 {
            0 => story.compact(),
            1 => story.import(),
            2 => story.send(),
            _ if round % 8 == 3 => story.export(),
            _ => story.import(),
        }
        story.check(round);
    }
    // A backup that is there is whole.
    if holds(story.place.folder.path(), "backup") {
        let words = story.place.home("passphrase");
        let args = ["store", "import", "backup", "--backup-passphrase-file", words.to_str().unwrap()];
        let mut import = story.place.command("restored", &args);
        assert!(import.current_dir(story.place.folder.path()).output().unwrap().status.success());
    }
}

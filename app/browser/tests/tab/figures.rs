//! What the story costs in its host, beside a native device in the same story.
use crate::world::World;
use std::collections::BTreeMap;

/// Messages of which the middle one is told.
const MESSAGES: usize = 21;

/// Prints the times of joining, sealing and opening; they prove nothing and fail nothing.
pub(crate) fn tell(host: &str, world: &mut World, joining: BTreeMap<String, f64>) {
    eprintln!("{host}: joined in {:.1} ms", joining["bob"]);
    for channel in ["shared", "since"] {
        let [mut seal, mut native_open, mut native_seal, mut open] = [(); 4].map(|()| Vec::new());
        for n in 0..MESSAGES {
            world.spent();
            world.say("bob", "club", channel, &format!("figures {n}"));
            let spent = world.spent();
            seal.push(spent["bob"]);
            native_open.push(spent["ada"]);
            world.say("ada", "club", channel, &format!("figures {n}"));
            let spent = world.spent();
            native_seal.push(spent["ada"]);
            open.push(spent["bob"]);
        }
        eprintln!(
            "{host}, {channel}: sent in {:.2} ms, taken in in {:.2} ms; natively {:.2} and {:.2}",
            median(seal),
            median(open),
            median(native_seal),
            median(native_open),
        );
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

//! Machines of their own, as far as the network goes: a network namespace each, a bridge between them whose packets can be dropped
//! from one to another, and a forwarder that takes its time.
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// The namespaces of one test; gone when it is dropped, however the test ends.
pub(super) struct Wires {
    name: String,
    machines: u8,
}

impl Wires {
    /// So many machines at 10.77.0.1 and up. `None`, and a word why, where this process may not make any.
    pub(super) fn lay(machines: u8) -> Option<Self> {
        let wires = Self { name: format!("tc{}", std::process::id()), machines };
        match wires.build() {
            Ok(()) => Some(wires),
            Err(error) => {
                eprintln!(
                    "skipped: no network namespaces can be made here ({error}); it needs Linux, root, ip and nft"
                );
                None
            }
        }
    }

    fn build(&self) -> io::Result<()> {
        let hub = self.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "add", "name", "bridge0", "type", "bridge"])?;
        ip(&["-n", &hub, "link", "set", "bridge0", "up"])?;
        for machine in 1..=self.machines {
            let (own, port) = (self.machine(machine), format!("port{machine}"));
            ip(&["netns", "add", &own])?;
            ip(&[
                "-n", &hub, "link", "add", "name", &port, "type", "veth", "peer", "name", "wire", "netns",
                &own,
            ])?;
            ip(&["-n", &hub, "link", "set", &port, "master", "bridge0", "up"])?;
            for address in addresses(machine) {
                ip(&["-n", &own, "address", "add", &format!("{address}/24"), "dev", "wire"])?;
            }
            ip(&["-n", &own, "link", "set", "wire", "up"])?;
            ip(&["-n", &own, "link", "set", "lo", "up"])?;
        }
        self.filter("add table bridge wires")?;
        self.filter("add chain bridge wires forward { type filter hook forward priority 0; }")
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn machine(&self, machine: u8) -> String {
        format!("{}-{machine}", self.name)
    }

    fn filter(&self, rule: &str) -> io::Result<()> {
        ip(&["netns", "exec", &self.hub(), "nft", rule])
    }

    /// What is sent from one to the other is lost from now on; the other way it still comes.
    pub(super) fn cut(&self, from: u8, to: u8) {
        for source in addresses(from) {
            for target in addresses(to) {
                let rule = format!("add rule bridge wires forward ip saddr {source} ip daddr {target} drop");
                self.filter(&rule).unwrap();
            }
        }
    }

    /// None of these reaches any of those, nor the other way.
    pub(super) fn part(&self, these: &[u8], those: &[u8]) {
        for (one, other) in these.iter().flat_map(|one| those.iter().map(move |other| (*one, *other))) {
            self.cut(one, other);
            self.cut(other, one);
        }
    }

    /// Everything comes through again.
    pub(super) fn heal(&self) {
        self.filter("flush chain bridge wires forward").unwrap();
    }

    /// The same command, on that machine.
    pub(super) fn on(&self, machine: u8, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there
            .args(["netns", "exec", &self.machine(machine)])
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        there
    }

    /// Has what comes to the machine's second address arrive at its first one, as late as is asked for each time.
    pub(super) fn forward(&self, machine: u8, port: u16) -> Delay {
        let delay = Delay::default();
        let space = File::open(format!("/run/netns/{}", self.machine(machine))).unwrap();
        let [first, second] = addresses(machine);
        let (from, to) = (socket(&second, port), socket(&first, port));
        let (told, listening) = channel();
        let shared = delay.clone();
        thread::spawn(move || {
            // This thread alone is moved there, and those that it starts.
            rustix::thread::move_into_link_name_space(
                std::os::fd::AsFd::as_fd(&space),
                Some(rustix::thread::LinkNameSpaceType::Network),
            )
            .unwrap();
            let listener = TcpListener::bind(from).unwrap();
            told.send(()).unwrap();
            for inward in listener.incoming() {
                let Ok(inward) = inward else { return };
                // The one behind may not be there: then nobody is.
                let Ok(outward) = TcpStream::connect(to) else { continue };
                let ends = (inward.try_clone(), outward.try_clone());
                let (Ok(back_in), Ok(back_out)) = ends else { continue };
                relay(inward, outward, shared.clone());
                relay(back_out, back_in, shared.clone());
            }
        });
        listening.recv().unwrap();
        delay
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        for machine in 1..=self.machines {
            let _ = ip(&["netns", "delete", &self.machine(machine)]);
        }
        let _ = ip(&["netns", "delete", &self.hub()]);
    }
}

/// How late things arrive; all clones are one.
#[derive(Clone, Default)]
pub(super) struct Delay(Arc<AtomicU64>);

impl Delay {
    pub(super) fn set(&self, delay: Duration) {
        self.0.store(u64::try_from(delay.as_millis()).unwrap(), Ordering::Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// Hands on what comes, in order and late, until one end is closed.
fn relay(mut from: TcpStream, to: TcpStream, delay: Delay) {
    let (arrived, leaving) = channel();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            if arrived.send((Instant::now() + delay.get(), buffer[..len].to_vec())).is_err() {
                break;
            }
        }
        let _ = from.shutdown(Shutdown::Both);
    });
    thread::spawn(move || send_late(to, &leaving));
}

fn send_late(mut to: TcpStream, leaving: &Receiver<(Instant, Vec<u8>)>) {
    let _ = to.set_nodelay(true);
    while let Ok((at, bytes)) = leaving.recv() {
        // This is the delay that is played, not a test that waits for something.
        thread::sleep(at.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// A machine's own address, and the one at which its forwarder may listen.
pub(super) fn addresses(machine: u8) -> [String; 2] {
    [format!("10.77.0.{machine}"), format!("10.77.0.{}", 100 + machine)]
}

fn socket(address: &str, port: u16) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port)
}

fn ip(args: &[&str]) -> io::Result<()> {
    let output = Command::new("ip").args(args).output()?;
    match output.status.success() {
        true => Ok(()),
        false => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
    }
}

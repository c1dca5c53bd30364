//! A TPM emulator for a test: libtpms behind swtpm, as processes of their own on addresses of their own.
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const PORT: u16 = 2321;
/// tpm2-tss looks for the control port one above the command port.
const CONTROL_PORT: u16 = PORT + 1;
const CMD_GET_CAPABILITY: u32 = 1;
const CMD_SHUTDOWN: u32 = 3;

/// Whether the emulator is there; says so on the terminal, past the test's captured output, if it is not.
pub(super) fn is_installed(test: &str) -> bool {
    let found =
        Command::new("swtpm").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        let _ = writeln!(io::stderr(), "SKIPPED {test}: swtpm is not installed. Next: apt-get install swtpm");
    }
    found
}

/// A loopback address that no other test uses: 127.p.p.n, with the process id and a number.
fn address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = ((std::process::id() & 0xffff) as u16).to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    Ipv4Addr::new(127, high, low, u8::try_from(number).expect("few emulators a test run"))
}

fn tcti(address: Ipv4Addr) -> String {
    format!("swtpm:host={address},port={PORT}")
}

pub(super) struct Swtpm {
    process: Child,
    address: Ipv4Addr,
}

impl Swtpm {
    /// A chip with this state, switched on. Ready when this returns.
    pub(super) fn start(state: &Path) -> Self {
        let address = address();
        // The test opens the control port and hands it over: connecting works at once, and the answer says that the
        // emulator is up.
        let control = TcpListener::bind((address, CONTROL_PORT)).unwrap();
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--ctrl", "type=tcp,fd=0", "--flags", "not-need-init,startup-clear"])
            .args(["--server", &format!("type=tcp,port={PORT},bindaddr={address}")])
            .args(["--tpmstate", &format!("dir={}", state.display())])
            .stdin(Stdio::from(OwnedFd::from(control)))
            .spawn()
            .unwrap();
        let swtpm = Self { process, address };
        swtpm.control(CMD_GET_CAPABILITY);
        swtpm
    }

    pub(super) fn tcti(&self) -> String {
        tcti(self.address)
    }

    /// A power cut.
    pub(super) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// An orderly end.
    pub(super) fn stop(mut self) {
        self.control(CMD_SHUTDOWN);
        self.process.wait().unwrap();
    }

    fn control(&self, command: u32) {
        let mut stream = TcpStream::connect((self.address, CONTROL_PORT)).unwrap();
        stream.write_all(&command.to_be_bytes()).unwrap();
        let mut result = [0; 4];
        stream.read_exact(&mut result).unwrap();
        assert_eq!(result, [0; 4], "the emulator answers its control port");
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        // Killing what has ended already is no fault.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn copy_state(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Somebody on the bus: all bytes between the program and the chip pass here and are kept.
pub(super) struct Wiretap {
    address: Ipv4Addr,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    to_chip: Vec<u8>,
    from_chip: Vec<u8>,
}

impl Wiretap {
    pub(super) fn before(swtpm: &Swtpm) -> Self {
        let (tap, chip) = (address(), swtpm.address);
        let heard = Arc::new(Mutex::new(Heard::default()));
        for port in [PORT, CONTROL_PORT] {
            let (listener, heard) = (TcpListener::bind((tap, port)).unwrap(), heard.clone());
            thread::spawn(move || {
                for near in listener.incoming() {
                    let (near, far) = (near.unwrap(), TcpStream::connect((chip, port)).unwrap());
                    let (heard, both) =
                        (heard.clone(), (near.try_clone().unwrap(), far.try_clone().unwrap()));
                    let back = heard.clone();
                    thread::spawn(move || {
                        carry(near, far, |bytes| heard.lock().unwrap().to_chip.extend(bytes))
                    });
                    thread::spawn(move || {
                        carry(both.1, both.0, |bytes| back.lock().unwrap().from_chip.extend(bytes))
                    });
                }
            });
        }
        Self { address: tap, heard }
    }

    pub(super) fn tcti(&self) -> String {
        tcti(self.address)
    }

    pub(super) fn has_heard(&self, bytes: &[u8]) -> bool {
        let heard = self.heard.lock().unwrap();
        let within = |stream: &[u8]| stream.windows(bytes.len()).any(|window| window == bytes);
        within(&heard.to_chip) || within(&heard.from_chip)
    }

    pub(super) fn heard_len(&self) -> usize {
        let heard = self.heard.lock().unwrap();
        heard.to_chip.len() + heard.from_chip.len()
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, hear: impl Fn(&[u8])) {
    let mut buffer = [0; 4096];
    while let Ok(len @ 1..) = from.read(&mut buffer) {
        // Kept before it goes on: whoever has an answer knows that it was heard.
        hear(&buffer[..len]);
        if to.write_all(&buffer[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

//! The machine's files, lock, clock and entropy, behind the traits that `core/` asks for.
//!
//! ```no_run
//! use terachat_host::{Disk, Lock, OsEntropy, clock};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = std::path::Path::new("/home/ada/.terachat");
//! let _lock = Lock::acquire(folder)?;
//! let disk = Disk::open(folder)?;
//! let entropy = OsEntropy::new()?;
//! let now_ms = clock::now_ms();
//! # Ok(()) }
//! ```
//!
//! It decides nothing and knows no format but the key file's, the counter's and the folder's of a board.
mod board_folder;
pub mod clock;
mod counter_file;
mod disk;
mod entropy;
mod error;
mod key_file;
mod lock;

pub use board_folder::FolderBoard;
pub use counter_file::CounterFile;
pub use disk::Disk;
pub use entropy::OsEntropy;
pub use error::Error;
pub use key_file::KeyFile;
pub use lock::Lock;

//! An S3 store that does nothing, at the speed of the machine.
//!
//! *Takes* requests on a loopback address, HTTP or HTTPS. *Gives* the answers that a store would give: bodies in maul's
//! block format that verify, ETags, request ids, minimal XML. *Never* stores anything, listens beyond loopback, holds
//! more than a bounded amount of memory, or trusts what it is sent.
//!
//! It is what `maul calibrate` measures the generator against: one thread per core, each with its own connections and
//! its own poll loop; nothing is shared while requests flow. *Start reading at* [`server`], then [`connection`].
//!
//! The name of a bucket says how large its objects are: in `null-65536` every object has 65,536 bytes.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod answer;
pub mod bodies;
pub mod connection;
pub mod incoming;
pub mod outgoing;
pub mod request;
pub mod server;
pub mod transport;
mod worker;

pub use server::{Certificate, NullServer, Settings, Totals};

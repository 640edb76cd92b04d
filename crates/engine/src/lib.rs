//! maul's load engine: pure parts (plan, schedule, choices, bodies, signatures, tallies) and the runtime that uses them.
//!
//! *Takes* a plan (JSON). *Gives* requests on the wire at the due times, histograms and operation records. *Never* talks
//! to Python, retries, allocates, locks or logs per request. *Start reading at* [`plan`], then [`operation`],
//! then [`shard`], which carries operations through, and [`wire`], which carries their bytes.
//! The pure modules hold no clock and touch no socket.
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod answer;
pub mod body;
pub mod calendar;
pub mod clock;
pub mod engine;
pub mod exhibits;
pub mod flight;
pub mod hist;
pub mod keyspace;
pub mod limits;
pub mod memory;
pub mod mix;
pub mod operation;
pub mod outcome;
pub mod plan;
pub mod rng;
pub mod schedule;
pub mod shard;
pub mod sigv4;
pub mod sizes;
pub mod slow;
pub mod status;
pub mod tally;
pub mod text;
pub mod trace;
pub mod wire;
pub mod xml;

//! The whole engine against servers of this process: honest ones, slow ones, broken ones and liars. Loopback only.

mod adversaries;
mod answers;
mod arrivals;
mod aws_chunked;
mod bounds;
mod connections;
mod exhibits;
mod farewell;
mod integrity;
mod mini_s3;
mod operations;
mod parts;
mod plans;
mod popularity;
mod replay;
mod requests;
mod round_trips;
mod server;
mod slow;
mod starts;
mod tls;

//! F7, what people and scripts ask of a running daemon and what they are told: data and its JSON lines, nothing of sockets.

pub mod audit;
pub mod event;
pub mod event_text;
pub mod exposition;
pub mod forecast;
pub mod history;
pub mod live;
pub mod measures;
pub mod openmetrics;
pub mod recent;
pub mod redact;
pub mod reload;
pub mod report;
pub mod request;
pub mod sandbox;
pub mod text;
pub mod time;

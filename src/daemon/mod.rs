//! F9, what drives the engine: the control loop and the packet threads.

pub mod pump;

//! F9, what drives the engine: the control loop and the packet threads.

pub mod certificates;
pub mod limits;
pub mod load;
pub mod pump;
pub mod setup;

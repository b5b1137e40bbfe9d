//! F7, what the control socket carries: requests and reports as data.

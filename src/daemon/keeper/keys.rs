//! The keys process under its keeper: started, given its sources, and started again when it has ended.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::control::sandbox::Sandbox;
use crate::daemon::limits::{KEYS_LASTED, KEYS_PAUSE_MAX, KEYS_PAUSE_MIN};
use crate::io::clock::Clock;
use crate::io::keys_process::KeysProcess;
use crate::types::secret::SecretBytes;
use crate::types::time::Instant;

/// It, or the time at which it is started again.
pub struct Keys {
    /// Its end of the meeting with the packet process, kept open over its restarts.
    meeting: OwnedFd,
    arguments: Vec<&'static str>,
    clock: Clock,
    state: State,
    pause: Duration,
}

enum State {
    Runs { process: KeysProcess, since: Instant },
    Waits { until: Instant },
}

impl Keys {
    /// Starts it and hands it its first sources; `arguments` are for its verb. It says what is in force of its sandbox.
    ///
    /// # Errors
    /// It does not start, or ends at once.
    pub fn start(
        meeting: OwnedFd,
        arguments: Vec<&'static str>,
        handover: &SecretBytes,
    ) -> io::Result<(Self, Sandbox)> {
        let clock = Clock::start();
        let process = KeysProcess::start(&meeting, &arguments)?;
        let sandbox = process.hand_over(handover)?;
        let state = State::Runs { process, since: clock.now() };
        Ok((Self { meeting, arguments, clock, state, pause: KEYS_PAUSE_MIN }, sandbox))
    }

    /// Other sources from now on. If it does not take them it is ended, and has them when it is started again.
    pub(super) fn hand_over(&mut self, handover: &SecretBytes) {
        if let State::Runs { process, .. } = &self.state
            && let Err(error) = process.hand_over(handover)
        {
            self.fail(&format!("it does not take its sources: {error}"));
        }
    }

    /// Ends the one that runs; another is started after a pause.
    pub(super) fn renew(&mut self) {
        if let State::Runs { .. } = self.state {
            self.fail("the packet process hears nothing of it");
        }
    }

    /// Looks whether it has ended, and starts it again when it is time, with what `handover` gives. Returns after how long to
    /// look again at the latest; it need not be looked at before it ends.
    pub(super) fn look(&mut self, handover: impl FnOnce() -> Result<SecretBytes, String>) -> Option<Duration> {
        if let State::Runs { process, .. } = &mut self.state {
            match process.ended() {
                Ok(None) => {}
                Ok(Some(status)) => self.fail(&status.to_string()),
                Err(error) => self.fail(&error.to_string()),
            }
        }
        let now = self.clock.now();
        match self.state {
            State::Runs { .. } => None,
            State::Waits { until } if until > now => Some(until.since(now)),
            State::Waits { .. } => {
                if let Err(text) =
                    handover().and_then(|handover| self.start_again(&handover).map_err(|error| error.to_string()))
                {
                    self.fail(&text);
                }
                // Soon: if it has ended already no signal may tell of it.
                Some(self.pause)
            }
        }
    }

    fn start_again(&mut self, handover: &SecretBytes) -> io::Result<()> {
        let process = KeysProcess::start(&self.meeting, &self.arguments)?;
        let state = State::Runs { process, since: self.clock.now() };
        self.state = state;
        if let State::Runs { process, .. } = &self.state {
            process.hand_over(handover)?;
        }
        tracing::info!("the keys process is at work again");
        Ok(())
    }

    /// It has ended or is ended now; another is started after a pause.
    fn fail(&mut self, text: &str) {
        let now = self.clock.now();
        let before = std::mem::replace(&mut self.state, State::Waits { until: now });
        let has_lasted = match before {
            State::Runs { process, since } => {
                process.end();
                now.since(since) >= KEYS_LASTED
            }
            State::Waits { .. } => false,
        };
        let pause = if has_lasted { KEYS_PAUSE_MIN } else { self.pause };
        tracing::error!(
            "the keys process has ended ({text}): QKD keys stop until it is started again, in {} s; packets go on as the policy \
             allows",
            pause.as_secs()
        );
        self.state = State::Waits { until: now + pause };
        self.pause = KEYS_PAUSE_MAX.min(pause * 2);
    }
}

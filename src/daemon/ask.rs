//! The packet process asks its keeper for what takes a right.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::refused::Refused;
use crate::control::reload::Blame;
use crate::io::keeper_link::{Ask, Came, Link, Reply};

/// The way to the keeper; one question at a time.
#[derive(Clone)]
pub struct Asker(Arc<Mutex<Link>>);

impl Asker {
    /// Over this link.
    pub fn over(link: Link) -> Self {
        Self(Arc::new(Mutex::new(link)))
    }

    /// Asks, and waits for the answer: on a thread that may wait.
    ///
    /// # Errors
    /// The keeper says why not, or does not answer.
    pub(super) fn ask_now(&self, ask: &Ask) -> Result<Came<Reply>, Refused> {
        let asked = self.0.lock().unwrap_or_else(PoisonError::into_inner).ask(ask);
        let came = asked.map_err(|error| {
            if error.kind() == ErrorKind::InvalidInput {
                return Refused { blame: Blame::Request, text: error.to_string() };
            }
            let text = format!(
                "the keeper does not answer: {error}; how far it came is not known, and it will do nothing more: \
                 restart the daemon"
            );
            Refused { blame: Blame::System, text }
        })?;
        match came.message {
            Reply::Refused { blame, text } => Err(Refused { blame, text }),
            Reply::Done | Reply::Loaded(_) | Reply::Generation { .. } => Ok(came),
        }
    }

    /// The same, beside other work.
    ///
    /// # Errors
    /// As [`Asker::ask_now`].
    pub(super) async fn ask(&self, ask: Ask) -> Result<Came<Reply>, Refused> {
        let asker = self.clone();
        let answered = tokio::task::spawn_blocking(move || asker.ask_now(&ask)).await;
        answered.unwrap_or_else(|error| Err(Refused { blame: Blame::System, text: error.to_string() }))
    }

    /// Asks for descriptors.
    ///
    /// # Errors
    /// As [`Asker::ask_now`].
    pub(super) async fn descriptors(&self, ask: Ask) -> Result<Vec<OwnedFd>, Refused> {
        self.ask(ask).await.map(|came| came.beside)
    }
}

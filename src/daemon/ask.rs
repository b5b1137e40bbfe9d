//! The packet process asks its keeper for what takes a right.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::control::reload::Blame;
use crate::io::keeper_link::{Ask, Link, Reply};

/// The way to the keeper; one question at a time.
#[derive(Clone)]
pub struct Keeper(Arc<Mutex<Link>>);

/// Why something was not done: nothing has changed.
#[derive(Debug)]
pub struct NotDone {
    /// Whose fault it is.
    pub blame: Blame,
    /// For a person.
    pub text: String,
}

impl Keeper {
    /// Over this link.
    pub fn over(link: Link) -> Self {
        Self(Arc::new(Mutex::new(link)))
    }

    /// Asks, on a thread that may wait; descriptors come with some answers.
    ///
    /// # Errors
    /// The keeper says why not, or does not answer.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Vec<OwnedFd>, NotDone> {
        let link = Arc::clone(&self.0);
        let asked = move || link.lock().unwrap_or_else(PoisonError::into_inner).ask(&ask);
        let answered =
            tokio::task::spawn_blocking(asked).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match answered {
            Ok((Reply::Done, beside)) => Ok(beside),
            Ok((Reply::Refused { blame, text }, _)) => Err(NotDone { blame, text }),
            Err(error) => Err(NotDone { blame: Blame::System, text: format!("the keeper does not answer: {error}") }),
        }
    }
}

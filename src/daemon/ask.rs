//! The packet process asks its keeper for what takes a right.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use super::refused::Refused;
use crate::control::reload::Blame;
use crate::io::keeper_link::{Ask, Link, Reply};

/// The way to the keeper; one question at a time.
#[derive(Clone)]
pub struct Keeper(Arc<Mutex<Link>>);

impl Keeper {
    /// Over this link.
    pub fn over(link: Link) -> Self {
        Self(Arc::new(Mutex::new(link)))
    }

    /// Asks, on a thread that may wait; descriptors come with some answers.
    ///
    /// # Errors
    /// The keeper says why not, or does not answer.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Vec<OwnedFd>, Refused> {
        let link = Arc::clone(&self.0);
        let asked = move || link.lock().unwrap_or_else(PoisonError::into_inner).ask(&ask);
        let answered =
            tokio::task::spawn_blocking(asked).await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match answered {
            Ok((Reply::Done, beside)) => Ok(beside),
            Ok((Reply::Refused { blame, text }, _)) => Err(Refused { blame, text }),
            Err(error) => Err(Refused { blame: Blame::System, text: format!("the keeper does not answer: {error}") }),
        }
    }
}

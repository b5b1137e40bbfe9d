//! Connections that have shown no certificate yet: so many, and the crowd pays for a new one, so that silent clients keep nobody out.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::AbortHandle;

/// Connections of one KME in their TLS handshake: it takes milliseconds, so that this many are a flood, and with the proven
/// ones of both KMEs they stay below the usual 1024 descriptors of a process.
pub(super) const UNPROVEN_MAX: usize = 128;

/// The unfinished handshakes of one KME.
#[derive(Clone, Default)]
pub(super) struct Doorstep(Arc<Mutex<Crowd>>);

/// A place on the doorstep, given back when it is dropped.
pub(super) struct Place {
    doorstep: Doorstep,
    number: u64,
}

#[derive(Default)]
struct Crowd {
    /// The oldest first.
    waiting: VecDeque<Waiting>,
    next_number: u64,
}

struct Waiting {
    number: u64,
    from: IpAddr,
    task: AbortHandle,
}

impl Doorstep {
    /// Starts the task of a new connection. If there is no place, the oldest of the address that holds most is ended for it.
    pub(super) fn enter(&self, from: IpAddr, start: impl FnOnce(Place) -> AbortHandle) {
        let mut crowd = self.crowd();
        let over = (crowd.waiting.len() >= UNPROVEN_MAX).then(|| crowd.remove_oldest_of_most()).flatten();
        let number = crowd.next_number;
        crowd.next_number += 1;
        // The crowd stays locked: the task may give its place back before this returns.
        let task = start(Place { doorstep: self.clone(), number });
        crowd.waiting.push_back(Waiting { number, from, task });
        drop(crowd);
        if let Some(over) = over {
            over.task.abort();
        }
    }

    fn crowd(&self) -> MutexGuard<'_, Crowd> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut crowd = self.doorstep.crowd();
        if let Ok(at) = crowd.waiting.binary_search_by_key(&self.number, |waiting| waiting.number) {
            crowd.waiting.remove(at);
        }
    }
}

impl Crowd {
    fn remove_oldest_of_most(&mut self) -> Option<Waiting> {
        let mut held: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for waiting in &self.waiting {
            *held.entry(waiting.from).or_default() += 1;
        }
        let most = held.values().max()?;
        let at = self.waiting.iter().position(|waiting| held.get(&waiting.from) == Some(most))?;
        self.waiting.remove(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    /// A connection that says nothing, and its number.
    fn silent(doorstep: &Doorstep, tasks: &mut JoinSet<()>, from: u8) -> u64 {
        let mut number = 0;
        doorstep.enter([192, 0, 2, from].into(), |place| {
            number = place.number;
            tasks.spawn(async move {
                std::future::pending::<()>().await;
                drop(place);
            })
        });
        number
    }

    fn has(doorstep: &Doorstep, number: u64) -> bool {
        doorstep.crowd().waiting.iter().any(|waiting| waiting.number == number)
    }

    #[tokio::test]
    async fn a_crowd_pays_for_each_new_connection_with_its_oldest() {
        let (doorstep, mut tasks) = (Doorstep::default(), JoinSet::new());
        let honest = silent(&doorstep, &mut tasks, 1);
        let crowd: Vec<u64> = (0..1000).map(|_| silent(&doorstep, &mut tasks, 2)).collect();
        let late = silent(&doorstep, &mut tasks, 3);
        assert_eq!(doorstep.crowd().waiting.len(), UNPROVEN_MAX);
        assert!([honest, crowd[999], late].into_iter().all(|number| has(&doorstep, number)));
        for _ in UNPROVEN_MAX..1002 {
            assert!(tasks.join_next().await.unwrap().unwrap_err().is_cancelled(), "it is closed");
        }
    }

    #[tokio::test]
    async fn a_connection_that_goes_on_or_ends_gives_its_place_back() {
        let (doorstep, mut tasks) = (Doorstep::default(), JoinSet::new());
        for _ in 0..1000 {
            doorstep.enter([192, 0, 2, 1].into(), |place| tasks.spawn(async move { drop(place) }));
            tasks.join_next().await.unwrap().unwrap();
        }
        assert!(doorstep.crowd().waiting.is_empty());
    }
}

//! The epochs of one peer: which one seals, which ones open, and when each ends (PROTOCOL 2.9 "Hitless").

use std::sync::Arc;
use std::time::Duration;

use super::epoch::{EpochTag, OpenEpoch, SealEpoch};
use crate::types::id::SessionIndex;
use crate::types::limits::{RECEIVE_EPOCHS_MAX, UNCONFIRMED_EPOCHS_MAX};
use crate::types::time::Instant;

/// Where an epoch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The other end has not yet shown that it has the keys.
    Unconfirmed,
    /// The newest confirmed one.
    Current,
    /// Opens what is still on the way, seals nothing.
    Previous,
}

/// One epoch with its keys and facts of the caller's kind.
pub struct KeptEpoch<F> {
    /// Session and number.
    pub tag: EpochTag,
    /// Our data receiver index.
    pub index: SessionIndex,
    /// The receiving key and its windows.
    pub open: Arc<OpenEpoch>,
    /// The sending key and its counters.
    pub seal: Arc<SealEpoch>,
    /// When it was made.
    pub born: Instant,
    /// Nothing is sealed or opened from then on (PROTOCOL 2.9 "reject").
    pub reject_at: Instant,
    /// Where it stands.
    pub standing: Standing,
    /// When it stopped to be the one that seals, for a previous epoch.
    retired_at: Instant,
    /// Whatever else is known of it.
    pub facts: F,
}

impl<F> KeptEpoch<F> {
    /// A fresh, unconfirmed epoch.
    pub fn new(
        index: SessionIndex,
        open: Arc<OpenEpoch>,
        seal: Arc<SealEpoch>,
        born: Instant,
        reject_at: Instant,
        facts: F,
    ) -> Self {
        let standing = Standing::Unconfirmed;
        Self { tag: open.tag(), index, open, seal, born, reject_at, standing, retired_at: born, facts }
    }

    /// When a previous epoch ends: some time after the switch or the last packet under it, whichever is later.
    fn ends_at(&self, overlap: Duration) -> Instant {
        match self.standing {
            Standing::Previous => self
                .reject_at
                .min(self.open.last_opened().map_or(self.retired_at, |last| last.max(self.retired_at)) + overlap),
            Standing::Unconfirmed | Standing::Current => self.reject_at,
        }
    }
}

/// The epochs of one peer, oldest first.
pub struct Keyring<F> {
    epochs: Vec<KeptEpoch<F>>,
    sealing: Option<EpochTag>,
    overlap: Duration,
}

impl<F> Keyring<F> {
    /// Empty; `overlap` is how long a previous epoch is kept for what is still on the way.
    pub fn new(overlap: Duration) -> Self {
        Self { epochs: Vec::new(), sealing: None, overlap }
    }

    /// All epochs, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &KeptEpoch<F>> {
        self.epochs.iter()
    }

    /// The epoch under a tag.
    pub fn find(&self, tag: EpochTag) -> Option<&KeptEpoch<F>> {
        self.epochs.iter().find(|epoch| epoch.tag == tag)
    }

    /// The epoch that seals.
    pub fn sealing(&self) -> Option<&KeptEpoch<F>> {
        self.find(self.sealing?)
    }

    /// Puts a new epoch among the unconfirmed and returns those it displaced.
    pub fn add(&mut self, epoch: KeptEpoch<F>) -> Vec<KeptEpoch<F>> {
        self.epochs.push(epoch);
        self.epochs.sort_by_key(|epoch| epoch.tag);
        let mut displaced = Vec::new();
        let sealing = self.sealing;
        while self.count(Standing::Unconfirmed) > UNCONFIRMED_EPOCHS_MAX {
            displaced.extend(self.take_oldest(|e| e.standing == Standing::Unconfirmed && Some(e.tag) != sealing));
        }
        while self.epochs.len() > RECEIVE_EPOCHS_MAX {
            let Some(oldest) = self.take_oldest(|e| e.standing == Standing::Previous) else { break };
            displaced.push(oldest);
        }
        displaced
    }

    fn count(&self, standing: Standing) -> usize {
        self.epochs.iter().filter(|epoch| epoch.standing == standing).count()
    }

    fn take_oldest(&mut self, which: impl Fn(&KeptEpoch<F>) -> bool) -> Option<KeptEpoch<F>> {
        let at = self.epochs.iter().position(which)?;
        Some(self.epochs.remove(at))
    }

    /// Seals under `tag` from here on, if it is newer than what seals; older epochs only open.
    pub fn switch(&mut self, now: Instant, tag: EpochTag) -> bool {
        if self.find(tag).is_none() || self.sealing.is_some_and(|sealing| sealing >= tag) {
            return false;
        }
        self.sealing = Some(tag);
        for epoch in self.epochs.iter_mut().filter(|epoch| epoch.tag < tag) {
            if epoch.standing != Standing::Previous {
                epoch.standing = Standing::Previous;
                epoch.retired_at = now;
            }
        }
        true
    }

    /// The other end has shown that it has the keys of `tag`. True the first time.
    pub fn confirm(&mut self, now: Instant, tag: EpochTag) -> bool {
        self.switch(now, tag);
        let sealing = self.sealing;
        let Some(epoch) = self.epochs.iter_mut().find(|epoch| epoch.tag == tag) else { return false };
        let first = epoch.standing == Standing::Unconfirmed;
        if first && sealing == Some(tag) {
            epoch.standing = Standing::Current;
        }
        first
    }

    /// Takes out what has ended by `now`.
    pub fn expire(&mut self, now: Instant) -> Vec<KeptEpoch<F>> {
        let overlap = self.overlap;
        self.take_if(|epoch| epoch.ends_at(overlap) <= now)
    }

    /// Takes out every epoch that `ends` says.
    pub fn take_if(&mut self, ends: impl Fn(&KeptEpoch<F>) -> bool) -> Vec<KeptEpoch<F>> {
        let taken: Vec<_> = self.epochs.extract_if(.., |epoch| ends(epoch)).collect();
        if self.sealing().is_none() {
            self.sealing = None;
        }
        taken
    }

    /// When [`expire`](Self::expire) next has something to do, as far as is known.
    pub fn next_end(&self) -> Option<Instant> {
        self.epochs.iter().map(|epoch| epoch.ends_at(self.overlap)).min()
    }

    /// Whether there is no epoch at all.
    pub fn is_empty(&self) -> bool {
        self.epochs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::aead::AeadBackend;
    use crate::session::epoch::RecordTerms;
    use crate::types::id::PeerId;
    use crate::types::policy::Cipher;
    use crate::types::secret::Secret;

    fn at(s: u64) -> Instant {
        Instant::from_nanos(s * 1_000_000_000)
    }

    fn tag(session: u32, number: u32) -> EpochTag {
        EpochTag { peer: PeerId(0), session, number }
    }

    fn epoch(tag: EpochTag, now: Instant) -> KeptEpoch<()> {
        let index = SessionIndex::new(tag.session * 1000 + tag.number + 1).unwrap();
        let (cipher, backend, key) = (Cipher::ChaCha20Poly1305, AeadBackend::AwsLc, Secret::take(&mut [1; 32]));
        let terms = RecordTerms { cipher, inner_mtu: 1420, features: 0 };
        let open = Arc::new(OpenEpoch::new(tag, index, &key, backend, terms));
        let seal = Arc::new(SealEpoch::new(tag, index, &key, backend, terms));
        KeptEpoch::new(index, open, seal, now, now + Duration::from_secs(180), ())
    }

    fn ring() -> Keyring<()> {
        Keyring::new(Duration::from_secs(15))
    }

    fn tags(ring: &Keyring<()>) -> Vec<(u32, u32)> {
        ring.iter().map(|epoch| (epoch.tag.session, epoch.tag.number)).collect()
    }

    #[test]
    fn two_unconfirmed_epochs_are_kept_the_newest() {
        let mut ring = ring();
        for session in 1..=4 {
            let displaced = ring.add(epoch(tag(session, 0), at(0)));
            assert_eq!(displaced.len(), usize::from(session > 2));
        }
        assert_eq!(tags(&ring), [(3, 0), (4, 0)]);
        assert!(ring.sealing().is_none(), "none is sealed under before it is switched to");
    }

    #[test]
    fn beyond_six_the_oldest_previous_one_goes() {
        let mut ring = ring();
        for number in 0..20 {
            let displaced = ring.add(epoch(tag(1, number), at(0)));
            assert_eq!(
                displaced.iter().map(|e| e.tag.number).collect::<Vec<_>>(),
                number.checked_sub(6).into_iter().collect::<Vec<_>>()
            );
            assert!(ring.confirm(at(0), tag(1, number)));
            assert!(ring.iter().count() <= RECEIVE_EPOCHS_MAX);
        }
        assert_eq!(ring.sealing().map(|e| e.tag), Some(tag(1, 19)));
    }

    #[test]
    fn a_previous_epoch_ends_15_s_after_the_later_of_the_switch_and_its_last_packet() {
        let mut ring = ring();
        ring.add(epoch(tag(1, 0), at(0)));
        ring.confirm(at(0), tag(1, 0));
        ring.add(epoch(tag(1, 1), at(60)));
        ring.switch(at(60), tag(1, 1));
        assert_eq!(ring.next_end(), Some(at(75)));
        assert!(ring.expire(at(74)).is_empty());
        let old = Arc::clone(&ring.find(tag(1, 0)).unwrap().open);
        old.note_opened(at(30));
        assert_eq!(ring.next_end(), Some(at(75)), "a packet before the switch does not shorten it");
        old.note_opened(at(70));
        assert!(ring.expire(at(84)).is_empty());
        old.note_opened(at(175));
        assert_eq!(ring.next_end(), Some(at(180)), "never later than its reject limit");
        assert_eq!(ring.expire(at(180)).len(), 1);
    }

    #[test]
    fn of_two_sessions_the_later_made_is_the_newer_whatever_the_numbers() {
        let mut ring = ring();
        ring.add(epoch(tag(1, 9), at(0)));
        ring.confirm(at(0), tag(1, 9));
        ring.add(epoch(tag(2, 0), at(1)));
        assert_eq!(ring.sealing().map(|e| e.tag), Some(tag(1, 9)), "not before the switch");
        assert!(ring.switch(at(1), tag(2, 0)));
        assert!(!ring.switch(at(2), tag(1, 9)), "never back");
        assert!(!ring.confirm(at(2), tag(1, 9)));
        assert_eq!(ring.sealing().map(|e| e.tag), Some(tag(2, 0)));
        assert_eq!(ring.find(tag(2, 0)).map(|e| e.standing), Some(Standing::Unconfirmed));
        assert!(ring.confirm(at(3), tag(2, 0)) && !ring.confirm(at(3), tag(2, 0)), "the first time only");
        assert_eq!(ring.find(tag(2, 0)).map(|e| e.standing), Some(Standing::Current));
        assert!(!ring.switch(at(3), tag(3, 0)), "there is no such epoch");
    }

    #[test]
    fn nothing_seals_once_its_epoch_is_gone() {
        let mut ring = ring();
        ring.add(epoch(tag(1, 0), at(0)));
        ring.confirm(at(0), tag(1, 0));
        assert_eq!(ring.take_if(|_| true).len(), 1);
        assert!(ring.sealing().is_none() && ring.is_empty() && ring.next_end().is_none());
        ring.add(epoch(tag(1, 0), at(0)));
        assert!(ring.sealing().is_none());
    }

    #[test]
    fn too_many_unconfirmed_epochs_displace_no_previous_one() {
        let mut ring = ring();
        for number in 0..2 {
            ring.add(epoch(tag(1, number), at(0)));
            ring.confirm(at(0), tag(1, number));
        }
        let displaced: Vec<_> = (2..=4).flat_map(|session| ring.add(epoch(tag(session, 0), at(0)))).collect();
        assert_eq!(displaced.iter().map(|epoch| epoch.tag).collect::<Vec<_>>(), [tag(2, 0)]);
        assert_eq!(tags(&ring), [(1, 0), (1, 1), (3, 0), (4, 0)]);
        assert!(!ring.is_empty());
    }
}

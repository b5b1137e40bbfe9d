//! Which kinds of help from the kernel the data path uses: as configured, and as they turn out to work.

use std::sync::atomic::{AtomicBool, Ordering};

use super::terms::{FEATURE_BUNDLE, FEATURE_SEGMENT};

/// One kind of help. Each is switched off alone, by the configuration or because it fails at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// TCP super-packets from and to the TUN interface (`IFF_VNET_HDR`, TSO). Without it there is no USO either.
    Tso,
    /// UDP super-packets from and to the TUN interface.
    Uso,
    /// Trains of datagrams in one send (`UDP_SEGMENT`).
    Gso,
    /// Trains of datagrams in one receive (`UDP_GRO`).
    Gro,
    /// Bundle records (PROTOCOL 2.9): a matter of both ends' features, not of the kernel.
    Bundle,
}

impl Offload {
    /// All of them, in the order that `status` names them.
    pub const ALL: [Self; 5] = [Self::Tso, Self::Uso, Self::Gso, Self::Gro, Self::Bundle];

    /// Its key in the configuration, and its name in `status` and in the log.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tso => "tso",
            Self::Uso => "uso",
            Self::Gso => "gso",
            Self::Gro => "gro",
            Self::Bundle => "bundle",
        }
    }
}

/// A set of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OffloadSet(u8);

impl OffloadSet {
    /// None: `offload = "off"`.
    pub const NONE: Self = Self(0);
    /// All: `offload = "auto"`.
    pub const ALL: Self = Self(0b1_1111);

    /// Whether it is in the set.
    pub fn has(self, offload: Offload) -> bool {
        self.0 & bit(offload) != 0
    }

    /// The set with it.
    #[must_use]
    pub fn with(self, offload: Offload) -> Self {
        Self(self.0 | bit(offload))
    }

    /// The set without it.
    #[must_use]
    pub fn without(self, offload: Offload) -> Self {
        Self(self.0 & !bit(offload))
    }

    /// Feature bits (PROTOCOL 2.5). Segment records need nothing of the kernel, so any offload brings them; none at all
    /// asks for plain records.
    pub fn features(self) -> u8 {
        let segment = if self == Self::NONE { 0 } else { FEATURE_SEGMENT };
        let bundle = if self.has(Offload::Bundle) { FEATURE_BUNDLE } else { 0 };
        segment | bundle
    }
}

fn bit(offload: Offload) -> u8 {
    1 << offload as u8
}

/// What is in use now: shared by the packet threads, which drop what fails, and by `status`. Nothing comes back by itself.
#[derive(Debug, Default)]
pub struct Offloads([AtomicBool; Offload::ALL.len()]);

impl Offloads {
    /// All of the set are in use, USO only together with TSO.
    pub fn new(set: OffloadSet) -> Self {
        let set = if set.has(Offload::Tso) { set } else { set.without(Offload::Uso) };
        Self(Offload::ALL.map(|offload| AtomicBool::new(set.has(offload))))
    }

    /// Whether it is in use.
    pub fn has(&self, offload: Offload) -> bool {
        self.switch(offload).is_some_and(|switch| switch.load(Ordering::Relaxed))
    }

    /// Uses it no more; TSO takes USO with it. True for the first caller only: it writes the log line.
    pub fn give_up(&self, offload: Offload) -> bool {
        if offload == Offload::Tso {
            self.give_up(Offload::Uso);
        }
        self.switch(offload).is_some_and(|switch| switch.swap(false, Ordering::Relaxed))
    }

    /// All that are in use.
    pub fn set(&self) -> OffloadSet {
        let used = Offload::ALL.into_iter().filter(|offload| self.has(*offload));
        used.fold(OffloadSet::NONE, OffloadSet::with)
    }

    fn switch(&self, offload: Offload) -> Option<&AtomicBool> {
        self.0.get(offload as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_it_was_given() {
        for offload in Offload::ALL {
            assert!(OffloadSet::ALL.has(offload) && !OffloadSet::NONE.has(offload));
            let one = OffloadSet::NONE.with(offload);
            assert_eq!(Offload::ALL.into_iter().filter(|other| one.has(*other)).collect::<Vec<_>>(), [offload]);
            assert_eq!(one.without(offload), OffloadSet::NONE);
            assert!(!OffloadSet::ALL.without(offload).has(offload));
        }
        assert_eq!(Offload::ALL.into_iter().fold(OffloadSet::NONE, OffloadSet::with), OffloadSet::ALL);
    }

    #[test]
    fn features_follow_from_the_set() {
        assert_eq!(OffloadSet::NONE.features(), 0);
        assert_eq!(OffloadSet::ALL.features(), FEATURE_SEGMENT | FEATURE_BUNDLE);
        assert_eq!(OffloadSet::ALL.without(Offload::Bundle).features(), FEATURE_SEGMENT);
        assert_eq!(OffloadSet::NONE.with(Offload::Gro).features(), FEATURE_SEGMENT);
        assert_eq!(OffloadSet::NONE.with(Offload::Bundle).features(), FEATURE_SEGMENT | FEATURE_BUNDLE);
    }

    #[test]
    fn what_was_dropped_is_dropped_once_and_alone() {
        let offloads = Offloads::new(OffloadSet::ALL.without(Offload::Uso));
        assert!(!offloads.give_up(Offload::Uso), "it was not in use");
        assert!(offloads.give_up(Offload::Gso));
        assert!(!offloads.give_up(Offload::Gso));
        assert_eq!(offloads.set(), OffloadSet::ALL.without(Offload::Uso).without(Offload::Gso));
    }

    #[test]
    fn there_is_no_uso_without_tso() {
        let neither = OffloadSet::ALL.without(Offload::Tso).without(Offload::Uso);
        let offloads = Offloads::new(OffloadSet::ALL);
        assert!(offloads.give_up(Offload::Tso));
        assert_eq!(offloads.set(), neither);
        assert_eq!(Offloads::new(OffloadSet::ALL.without(Offload::Tso)).set(), neither);
    }
}

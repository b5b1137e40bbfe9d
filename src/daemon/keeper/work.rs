//! What the keeper does for the packet process, for this interface alone and after reading everything itself.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use data_encoding::BASE64;
use tokio::runtime::Runtime;

use super::kept::Kept;
use super::load::{self, Loadable};
use crate::config::Config;
use crate::control::reload::Blame;
use crate::daemon::kill_switch;
use crate::daemon::refused::Refused;
use crate::daemon::repair::Repair;
use crate::daemon::start::plan_of;
use crate::io::clock::Clock;
use crate::io::keeper_link::{Ask, LoadedConfig, Reply, Wanted};
use crate::io::system::netlink::{Found, restore, take_steps};
use crate::io::system::plan::{InterfacePlan, Step};
use crate::io::udp::UdpSocket;
use crate::types::secret::SecretBytes;
use crate::types::time::Instant;

/// The keeper at work.
pub(super) struct Work {
    pub(super) kept: Kept,
    /// In which netlink is spoken.
    pub(super) runtime: Runtime,
    pub(super) clock: Clock,
    /// What was read last, or was in use before it.
    pub(super) ready: Option<Ready>,
    /// When the kill switch was last seen to stand.
    pub(super) switch_looked: Instant,
}

/// Whether there is an interface to keep.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    Here,
    Gone,
}

/// A configuration that could be in use.
pub(super) struct Ready {
    config: Config,
    text: String,
    /// Of what was read last, for the keys process.
    handover: Option<SecretBytes>,
}

/// An answer with what goes beside it.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) secret: SecretBytes,
    pub(super) beside: Vec<OwnedFd>,
}

impl Answer {
    fn plain(reply: Reply) -> Self {
        Self { reply, secret: SecretBytes::new(Vec::new()), beside: Vec::new() }
    }

    fn beside(beside: Vec<OwnedFd>) -> Self {
        Self { beside, ..Self::plain(Reply::Done) }
    }
}

impl Work {
    /// Answers one question.
    pub(super) fn answer(&mut self, ask: Ask) -> Answer {
        let answered = match ask {
            Ask::Load { wanted } => self.load(&wanted),
            Ask::Bind => self.bind(),
            Ask::Set => self.set().map(|()| Answer::plain(Reply::Done)),
            Ask::Sources => self.sources(),
            Ask::RenewKeys => {
                self.kept.keys.renew();
                Ok(Answer::plain(Reply::Done))
            }
            Ask::Forget => {
                self.ready = None;
                Ok(Answer::plain(Reply::Done))
            }
            Ask::Page => self.page(),
            Ask::Mtu { bytes } => {
                let taken = self.take(&[Step::SetMtu(self.kept.plan.mtu_for(bytes))]);
                taken.map(|()| Answer::plain(Reply::Done))
            }
        };
        answered.unwrap_or_else(|Refused { blame, text }| Answer::plain(Reply::Refused { blame, text }))
    }

    fn load(&mut self, wanted: &Wanted) -> Result<Answer, Refused> {
        let generation = self.kept.generation.wrapping_add(1);
        let Loadable { loaded, sources, handover, warnings } =
            load::load(&self.kept, wanted, generation, self.clock.unix())?;
        let peers = loaded.peers.iter();
        let peers = peers.map(|peer| (peer.public.suite() as u16, BASE64.encode(&peer.public.to_bytes()))).collect();
        let mut psks = Vec::with_capacity(32 * loaded.peers.len());
        psks.extend(loaded.peers.iter().flat_map(|peer| peer.psk.expose()));
        let fingerprint = loaded.me.fp().to_string();
        let told = LoadedConfig { text: loaded.text.clone(), warnings, fingerprint, peers, sources };
        self.ready = Some(Ready { config: loaded.config, text: loaded.text, handover: Some(handover) });
        Ok(Answer { secret: SecretBytes::new(psks), ..Answer::plain(Reply::Loaded(Box::new(told))) })
    }

    fn ready(&mut self) -> Result<&mut Ready, Refused> {
        self.ready.as_mut().ok_or_else(not_ready)
    }

    fn bind(&mut self) -> Result<Answer, Refused> {
        let listen = self.ready()?.config.interface.listen;
        let old = &self.kept.config.interface;
        let sockets = UdpSocket::bind_group(listen, old.queues).map_err(|error| {
            let hint = if listen.port() == old.listen.port() {
                "; the address in use has the same port: choose another port, or restart the daemon"
            } else {
                ""
            };
            Refused { blame: Blame::System, text: format!("listen {listen}: {error}{hint}") }
        })?;
        Ok(Answer::beside(sockets.into_iter().map(UdpSocket::into_descriptor).collect()))
    }

    fn page(&self) -> Result<Answer, Refused> {
        let Some(listen) = self.kept.config.status_listen else {
            return Err(Refused { blame: Blame::Request, text: "no status page is configured".to_owned() });
        };
        let socket = TcpListener::bind(listen);
        let socket = socket.map_err(|error| Refused { blame: Blame::System, text: error.to_string() })?;
        Ok(Answer::beside(vec![socket.into()]))
    }

    fn sources(&mut self) -> Result<Answer, Refused> {
        let text = "the sources have been handed over already".to_owned();
        let handover = self.ready()?.handover.take().ok_or(Refused { blame: Blame::Request, text })?;
        self.kept.generation = self.kept.generation.wrapping_add(1);
        self.kept.keys.hand_over(&handover);
        Ok(Answer::plain(Reply::Generation { number: self.kept.generation }))
    }

    /// Kill switch first, then addresses and routes; what was done before a failure is taken back.
    fn set(&mut self) -> Result<(), Refused> {
        let mut ready = self.ready.take().ok_or_else(not_ready)?;
        let done = self.put_in_force(&ready.config);
        if let Ok(plan) = &done {
            self.kept.plan = plan.clone();
            std::mem::swap(&mut self.kept.config, &mut ready.config);
            std::mem::swap(&mut self.kept.text, &mut ready.text);
        }
        self.ready = Some(ready);
        done.map(drop)
    }

    fn put_in_force(&self, wanted: &Config) -> Result<InterfacePlan, Refused> {
        let plan = plan_of(wanted)?;
        self.runtime.block_on(kill_switch::change(&self.kept.config, wanted))?;
        if let Err(refused) = self.set_interface(&plan) {
            for step in self.kept.plan.steps_from(&plan) {
                // What had not been done cannot be undone.
                drop(self.take(&[step]));
            }
            // The prefixes in use are those that are to be kept in.
            drop(self.runtime.block_on(kill_switch::change(wanted, &self.kept.config)));
            return Err(refused);
        }
        Ok(plan)
    }

    fn set_interface(&self, plan: &InterfacePlan) -> Result<(), Refused> {
        if *plan == self.kept.plan { Ok(()) } else { self.take(&plan.steps_from(&self.kept.plan)) }
    }

    /// Sets what the configuration says and the interface has not any more.
    pub(super) fn repair(&self, repair: &mut Repair) -> Interface {
        let (name, index) = (&self.kept.config.interface.name, self.kept.index);
        let steps = self.kept.plan.steps_from(&InterfacePlan::default());
        let found = self.runtime.block_on(restore(name, index, &steps));
        if let Ok(Found::Up(taken @ 1.., _)) = &found {
            tracing::warn!(taken, "addresses or routes of the interface were taken away: set again");
        }
        let missing = match found {
            Ok(Found::Gone) => return Interface::Gone,
            Ok(Found::Down | Found::Up(_, None)) => return Interface::Here,
            Ok(Found::Up(_, Some(refused))) => refused.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::error!(
            error = missing,
            "addresses or routes of the interface were taken away and are missing; tried again"
        );
        repair.look_again();
        Interface::Here
    }

    fn take(&self, steps: &[Step]) -> Result<(), Refused> {
        let taken = self.runtime.block_on(take_steps(&self.kept.config.interface.name, self.kept.index, steps));
        taken.map_err(|error| Refused { blame: Blame::System, text: error.to_string() })
    }
}

fn not_ready() -> Refused {
    let text = "no configuration is ready: it must be loaded first".to_owned();
    Refused { blame: Blame::Request, text }
}

//! Files: those of a list, and no others; TCP only where it is needed (landlock(7)).

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::profile::{Profile, Role};

/// The newest form of the rules that this was written for; an older kernel takes what it knows of it.
const NEWEST: ABI = ABI::V7;

/// What resolving a name reads (nsswitch.conf(5), resolv.conf(5)), and the libraries that do it.
const RESOLVER: [&str; 9] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ld.so.cache",
    "/usr/lib",
    "/lib",
    "/lib64",
];

/// Confines this thread and those that it starts; the number of the rules' form that is in force.
///
/// # Errors
/// In words: this kernel has no Landlock, or refuses.
pub(super) fn confine(profile: &Profile) -> Result<String, String> {
    let words = |error: landlock::RulesetError| error.to_string();
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort);
    let rules = rules.handle_access(AccessFs::from_all(NEWEST)).map_err(words)?;
    // Keys connect to KMEs on any port; packets connect to nobody, and nobody listens.
    let kept = if profile.role == Role::Keys { AccessNet::ConnectTcp.into() } else { BitFlags::EMPTY };
    let rules = rules.handle_access(AccessNet::from_all(NEWEST) & !kept).map_err(words)?;
    let rules = rules.scope(Scope::from_all(NEWEST)).map_err(words)?;
    let mut rules = rules.create().map_err(words)?;
    let reading = AccessFs::ReadFile | AccessFs::ReadDir;
    // To write a file is to make it, to cut it, to give it another name, and to remove it.
    let writing =
        reading | (AccessFs::from_write(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSym));
    let resolver = resolver_folder();
    let resolver = RESOLVER.iter().map(Path::new).chain(resolver.as_deref());
    let readable = resolver.filter(|_| profile.role == Role::Keys).map(|path| (path, reading));
    let writable = profile.write.iter().map(|path| (path.as_path(), writing));
    for (path, access) in readable.chain(writable) {
        // What is not there cannot be allowed, and need not be.
        let Ok(fd) = PathFd::new(path) else { continue };
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
        rules = rules.add_rule(PathBeneath::new(fd, access)).map_err(words)?;
    }
    let status = rules.restrict_self().map_err(words)?;
    match (status.ruleset, status.landlock) {
        (RulesetStatus::NotEnforced, _) => Err("this kernel has no Landlock, or it is off".to_owned()),
        (_, LandlockStatus::Available { effective_abi, .. }) => Ok(format!("{}", effective_abi as i32)),
        (RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced, _) => Ok("on".to_owned()),
    }
}

/// Where the resolver's file really lies, if that is not /etc: who manages it puts another in its place there.
fn resolver_folder() -> Option<PathBuf> {
    let real = std::fs::canonicalize("/etc/resolv.conf").ok()?;
    real.parent().filter(|folder| *folder != Path::new("/etc")).map(Path::to_owned)
}

//! Secrets that are known to the test are looked for where they must not be: the memory of all three processes as root reads it,
//! logs, records, state, arguments, environment, the control socket's answers and the status page.

use crate::process::succeed;
use crate::site::Site;
use crate::topology::{inner4, runnable};
use crate::traffic::{Echo, pings};
use crate::world::{HYBRID_WITHIN, World};
use data_encoding::{BASE64, HEXLOWER};
use nix::unistd::Pid;
use plait::config::HttpMethod;
use plait::etsi014::v1::url::BaseUrl;
use plait::identity::{read_psk, read_secret};
use plait::io::kme_client::registry::{KmeClients, Reach};
use plait::io::source::{Etsi014Source, KeySource, SourceSetup};
use plait::keys::request::KeyRequestKind;
use plait::types::id::{KeyId, SaeId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Bytes by which a secret is known again: no 16 bytes of one occur by chance.
const KNOWN_BY: usize = 16;

/// What is looked for, by its first eight bytes.
#[derive(Default)]
struct Canaries {
    by_start: HashMap<[u8; 8], Vec<(String, Vec<u8>)>>,
}

impl Canaries {
    /// Each 32 bytes of a secret as they are, in hex, in base64, and as a list of numbers.
    fn add(&mut self, name: &str, secret: &[u8]) {
        for (number, part) in secret.chunks(32).enumerate().filter(|(_, part)| part.len() == 32) {
            // Not from the first byte on: X25519 changes that of its keys. From the ninth on base64 begins a new group.
            let start = &part[9..9 + KNOWN_BY];
            let list = start.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.add_form(format!("{name}, part {number}"), start);
            self.add_form(format!("{name}, part {number}, hex"), HEXLOWER.encode(start).as_bytes());
            self.add_form(format!("{name}, part {number}, list"), list.as_bytes());
            self.add_form(format!("{name}, part {number}, base64"), BASE64.encode(&start[..15]).as_bytes());
        }
    }

    fn add_form(&mut self, name: String, bytes: &[u8]) {
        let start = bytes[..8].try_into().unwrap();
        self.by_start.entry(start).or_default().push((name, bytes.to_vec()));
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        self.by_start.values().flatten().map(|(name, _)| name)
    }

    /// The names of those that are in it.
    fn found(&self, bytes: &[u8], into: &mut BTreeSet<String>) {
        for (at, start) in bytes.windows(8).enumerate() {
            // A table by one byte would do as well; most memory is zero.
            if start == [0; 8] {
                continue;
            }
            let known = self.by_start.get(<&[u8; 8]>::try_from(start).unwrap());
            let met = known.into_iter().flatten().filter(|(_, whole)| bytes[at..].starts_with(whole));
            into.extend(met.map(|(name, _)| name.clone()));
        }
    }
}

/// What root finds in a process, and the bytes that not even root reads.
fn scan(pid: Pid, canaries: &Canaries) -> (BTreeSet<String>, u64) {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let (mut found, mut hidden) = (BTreeSet::new(), 0);
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        let name = words.nth(3).unwrap_or_default();
        if !rights.starts_with('r') || name.starts_with("[vvar") || name == "[vsyscall]" {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|at| u64::from_str_radix(at, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        match memory.read_exact_at(&mut bytes, start) {
            Ok(()) => canaries.found(&bytes, &mut found),
            Err(_) if name.contains("secretmem") => hidden += end - start,
            Err(error) => assert!(!rights.contains('w'), "{line}: {error}"),
        }
    }
    (found, hidden)
}

/// What is in all files of a folder but those that are made to hold secrets.
fn scan_files(folder: &Path, canaries: &Canaries, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scan_files(&path, canaries, found);
        } else if path.is_file() && !["key", "psk"].iter().any(|kind| path.extension().is_some_and(|own| own == *kind))
        {
            let mut here = BTreeSet::new();
            canaries.found(&std::fs::read(&path).unwrap(), &mut here);
            found.extend(here.into_iter().map(|name| format!("{}: {name}", path.display())));
        }
    }
}

/// Leaves a report of `a` among the world's files, as it is and unpacked; what the command printed.
fn unpacked_report(world: &World) -> Vec<u8> {
    let packed = world.path().join("report.tar.gz");
    let report = world.a.run(&["report", "a", "--out", packed.to_str().unwrap()]);
    assert!(report.status.success(), "{report:?}");
    assert!(Command::new("tar").arg("-xzf").arg(&packed).arg("-C").arg(world.path()).status().unwrap().success());
    report.stdout
}

/// The text between the lines of a PEM file, and its last 32 bytes decoded: those of the private scalar or near it.
fn add_pem(canaries: &mut Canaries, name: &str, text: &str) {
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = BASE64.decode(body.as_bytes()).unwrap();
    // PKCS#8 of a P-256 key: the scalar stands behind 36 bytes of names and lengths.
    canaries.add(name, &der[36..68]);
    canaries.add_form(format!("{name}, its text"), &body.as_bytes()[52..84]);
}

/// The QKD keys of these ids that this site fetched by id: a KME that gives again gives them to us as well.
fn qkd_keys(world: &World, site: &Site, saes: [&str; 2], ids: &BTreeSet<String>) -> Vec<Vec<u8>> {
    let at = |name: &str| world.path().join("pki").join(name);
    let setup = SourceSetup {
        name: "canary".to_owned(),
        reach: Reach {
            url: BaseUrl::parse(&site.config.sources[0].url).unwrap(),
            ca_file: at("ca.pem"),
            cert_file: at(&format!("{}.pem", saes[0])),
            key_file: at(&format!("{}.key", saes[0])),
            key_password_file: None,
            server_name: None,
            pin_sha256: None,
            is_pq_only: false,
        },
        local_sae: SaeId::new(saes[0]).unwrap(),
        remote_sae: SaeId::new(saes[1]).unwrap(),
        timeout: Duration::from_secs(5),
        method: HttpMethod::Post,
    };
    world.net.inside(site.name, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut source = Etsi014Source::new(setup, &mut KmeClients::default()).unwrap();
            let mut keys = Vec::new();
            for id in ids {
                let kind = KeyRequestKind::ById { key_id: KeyId::new(id.as_bytes()).unwrap() };
                let fetched = source.fetch(&kind, Duration::from_millis(200)).await;
                keys.extend(fetched.result.map(|key| key.material.expose().to_vec()));
            }
            keys
        })
    })
}

/// All secrets that the test knows.
fn planted(world: &World, psk: &str, keys: &[Vec<u8>]) -> Canaries {
    let mut canaries = Canaries::default();
    for site in [&world.a, &world.b] {
        let text = std::fs::read_to_string(site.file("key")).unwrap();
        canaries.add(&format!("identity {}", site.name), read_secret(&text).unwrap().1.expose());
        let body: Vec<&str> = text.lines().filter(|line| !line.starts_with("-----")).collect();
        canaries.add_form(format!("identity {}, its text", site.name), &body[0].as_bytes()[12..44]);
    }
    canaries.add("PSK", read_psk(psk).unwrap().expose());
    for (number, key) in keys.iter().enumerate() {
        canaries.add(&format!("QKD key {number}"), key);
    }
    for sae in ["SAE-A", "SAE-B"] {
        let text = std::fs::read_to_string(world.path().join("pki").join(format!("{sae}.key"))).unwrap();
        add_pem(&mut canaries, &format!("TLS key {sae}"), &text);
    }
    canaries
}

#[test]
fn secrets_are_nowhere_but_in_pages_that_root_does_not_read() {
    if !runnable("secrets_are_nowhere_but_in_pages_that_root_does_not_read") {
        return;
    }
    let mut world = World::new();
    world.pair.faults = vec!["gives-again = true".to_owned()];
    let psk = succeed(crate::process::plait(&world.path()).arg("genpsk"));
    for site in [&mut world.a, &mut world.b] {
        let file = site.file("psk");
        std::fs::write(&file, &psk).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        site.config.peers[0].more.push(format!("psk_file = {file:?}"));
        site.config.status = Some("127.0.0.1:9100".to_owned());
    }
    world.set_policy("rekey", "\"2s\"");
    world.set_policy("full", "\"10s\"");
    world.up();
    world.both(&["HYBRID"], HYBRID_WITHIN);
    let _echo = Echo::start(&world.net, "b");
    let mut ids = BTreeSet::new();
    for _ in 0..4 {
        ids.extend(world.b.status().key_ids().into_iter().map(|(_, id)| id));
        pings(&world.net, "a", inner4(2), 100, Duration::from_millis(10));
    }
    world.a.reload();
    assert!(world.a.run(&["reload", "a", "--dry-run"]).status.success());
    let keys =
        [qkd_keys(&world, &world.a, ["SAE-A", "SAE-B"], &ids), qkd_keys(&world, &world.b, ["SAE-B", "SAE-A"], &ids)]
            .concat();
    assert!(keys.len() >= 2, "{} QKD keys of {ids:?} are known", keys.len());

    let canaries = planted(&world, &psk, &keys);
    // The search finds what is there: this test has read all of them.
    let (own, _) = scan(Pid::this(), &canaries);
    let missed =
        canaries.names().filter(|name| name.ends_with(|last: char| last.is_ascii_digit()) && !own.contains(*name));
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&String>::new());

    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for site in [&mut world.a, &mut world.b] {
        let name = site.name;
        let daemon = site.daemon();
        let parts =
            [("keeper", daemon.pid()), ("packets", daemon.part("plait-packets")), ("keys", daemon.part("plait-keys"))];
        for (part, pid) in parts {
            let (mut here, hidden) = scan(pid, &canaries);
            assert!(part == "keeper" || hidden > 0, "{part} has no secret pages");
            for file in ["cmdline", "environ"] {
                canaries.found(&std::fs::read(format!("/proc/{pid}/{file}")).unwrap(), &mut here);
            }
            found.insert(format!("{part} of {name}"), here);
        }
    }
    let mut here = BTreeSet::new();
    canaries.found(&unpacked_report(&world), &mut here);
    scan_files(&world.path(), &canaries, &mut here);
    for arguments in [&["status", "a", "--json"][..], &["events", "a"]] {
        canaries.found(&world.a.run(arguments).stdout, &mut here);
    }
    found.insert("files and answers".to_owned(), here);
    // What a KME answers passes through buffers of the HTTP library, which wipes none; the process that has them has no other secret.
    for of in ["keys of a", "keys of b"] {
        found.entry(of.to_owned()).or_default().retain(|name| !(name.starts_with("QKD") && name.ends_with("base64")));
    }
    found.retain(|_, here| !here.is_empty());
    assert!(found.is_empty(), "{found:#?}");
}

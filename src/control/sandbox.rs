//! What a process has given up before it sees foreign bytes, as `status` says it.

use serde::{Deserialize, Serialize};

/// What is in force; a measure that is not says why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// No capability is left, in any set (capabilities(7)).
    pub capabilities: Measure,
    /// No program gains rights (`PR_SET_NO_NEW_PRIVS`).
    pub no_new_privileges: Measure,
    /// System calls outside a list end the process (seccomp(2)).
    pub system_calls: Measure,
    /// Files outside a list are not there (landlock(7)).
    pub files: Measure,
    /// No core file, and no other process of this user looks in (`PR_SET_DUMPABLE`, `RLIMIT_CORE`).
    pub memory: Measure,
    /// Secrets lie in pages that not even root reads from outside (memfd_secret(2)).
    #[serde(default)]
    pub secrets: Measure,
}

/// One measure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// Whether it is in force.
    pub on: bool,
    /// How far, or why not; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

impl Sandbox {
    /// The measures that are not in force, with why.
    pub fn missing(&self) -> Vec<String> {
        let measures = [
            ("capabilities", &self.capabilities),
            ("no_new_privs", &self.no_new_privileges),
            ("seccomp", &self.system_calls),
            ("landlock", &self.files),
            ("memory", &self.memory),
            ("secret memory", &self.secrets),
        ];
        let off = measures.into_iter().filter(|(_, measure)| !measure.on);
        off.map(|(name, measure)| format!("{name}: {}", measure.text)).collect()
    }

    /// One line for people: `landlock 7, seccomp on, caps none, no core`.
    pub fn text(&self) -> String {
        let word = |measure: &Measure, on: &str, off: &str| if measure.on { on.to_owned() } else { off.to_owned() };
        [
            word(&self.files, &format!("landlock {}", self.files.text), "NO LANDLOCK"),
            word(&self.system_calls, "seccomp on", "NO SECCOMP"),
            word(&self.capabilities, "caps none", "CAPS LEFT"),
            word(&self.no_new_privileges, "no new privileges", "NEW PRIVILEGES"),
            word(&self.memory, "no core", "CORE ALLOWED"),
            word(&self.secrets, "secret memory on", "NO SECRET MEMORY"),
        ]
        .join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_why() {
        let on = |text: &str| Measure { on: true, text: text.to_owned() };
        let all = Sandbox {
            capabilities: on(""),
            no_new_privileges: on(""),
            system_calls: on(""),
            files: on("7"),
            memory: on(""),
            secrets: on(""),
        };
        assert_eq!(all.text(), "landlock 7, seccomp on, caps none, no new privileges, no core, secret memory on");
        assert!(all.missing().is_empty());
        let less = Sandbox { files: Measure { on: false, text: "this kernel has none".to_owned() }, ..all };
        assert_eq!(less.missing(), ["landlock: this kernel has none"]);
        assert!(less.text().starts_with("NO LANDLOCK, seccomp on"));
    }
}

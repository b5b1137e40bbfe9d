//! F2, a simulated pair of key management entities and the quantum link between them: pure rules.

//! `/metrics`: every figure of the status and of the measures as OpenMetrics families (docs/METRICS.md lists them).

use super::live::LiveView;
use super::openmetrics::{Family, Kind, Text};
use super::report::{EpochReport, PeerReport, SourceReport, StatusReport};
use super::time::parse_rfc3339;

/// The words of a peer's state, each a sample: an alert names the one that it waits for.
pub const STATES: [&str; 7] = ["HYBRID", "OFF", "HOLDOVER", "DEGRADED", "HOLDING", "BLOCKED", "DOWN"];

/// The whole text. Everything is labelled with the interface, so that several daemons can be scraped as one.
pub fn text(view: &LiveView) -> String {
    let mut text = Text::default();
    let status = &view.report.status;
    daemon(&mut text, view, status);
    states(&mut text, view, status);
    epochs(&mut text, status);
    exchanges(&mut text, view, status);
    traffic(&mut text, status);
    drops(&mut text, status);
    stocks(&mut text, status);
    requests(&mut text, view, status);
    text.finish()
}

fn daemon(text: &mut Text, view: &LiveView, status: &StatusReport) {
    let labels = [("interface", status.interface.as_str()), ("version", view.report.version.as_str())];
    text.family("plait_build", Kind::Info, "", "Version of the running daemon.").sample(&labels, 1);
    let own = [("interface", status.interface.as_str())];
    let help = "Time since the daemon started.";
    text.family("plait_uptime_seconds", Kind::Gauge, "seconds", help).sample(&own, status.uptime_seconds);
    let mut given_up = text.family("plait_offload_given_up", Kind::Gauge, "", "1 for help of the kernel that failed.");
    for offload in &status.offload_given_up {
        given_up.sample(&[("interface", &status.interface), ("offload", offload)], 1);
    }
}

/// A sample of a family for each peer that has the figure.
fn each_peer<V: std::fmt::Display>(
    mut family: Family<'_>,
    status: &StatusReport,
    figure: impl Fn(&PeerReport) -> Option<V>,
) {
    for peer in &status.peers {
        if let Some(value) = figure(peer) {
            family.sample(&[("interface", &status.interface), ("peer", &peer.name)], value);
        }
    }
}

fn each_source<V: std::fmt::Display>(
    mut family: Family<'_>,
    status: &StatusReport,
    figure: impl Fn(&SourceReport) -> Option<V>,
) {
    for source in &status.sources {
        if let Some(value) = figure(source) {
            let labels = [
                ("interface", status.interface.as_str()),
                ("peer", source.peer.as_str()),
                ("source", source.name.as_str()),
            ];
            family.sample(&labels, value);
        }
    }
}

fn states(text: &mut Text, view: &LiveView, status: &StatusReport) {
    let mut family =
        text.family("plait_peer_state", Kind::Gauge, "", "1 for the state that the peer is in, 0 for others.");
    for peer in &status.peers {
        for state in STATES {
            let labels = [("interface", status.interface.as_str()), ("peer", peer.name.as_str()), ("state", state)];
            family.sample(&labels, u8::from(peer.state == state));
        }
    }
    let help = "Changes of a peer's state since the start.";
    let mut family = text.family("plait_policy_transitions", Kind::Counter, "", help);
    for (peer, measures) in status.peers.iter().zip(&view.measures.peers) {
        for (from, to, count) in &measures.transitions {
            let (interface, peer) = (status.interface.as_str(), peer.name.as_str());
            family.sample(&[("interface", interface), ("peer", peer), ("from", from), ("to", to)], count);
        }
    }
    let help = "Time until traffic stops for want of QKD keys; absent while that clock does not run or has no end.";
    let family = text.family("plait_policy_deadline_seconds", Kind::Gauge, "seconds", help);
    each_peer(family, status, |peer| peer.deadline_seconds);
    let help = "Time until an override of the policy ends; absent while there is none.";
    let family = text.family("plait_policy_override_seconds", Kind::Gauge, "seconds", help);
    each_peer(family, status, |peer| peer.over.as_ref().map(|over| over.remaining_seconds));
}

fn epochs(text: &mut Text, status: &StatusReport) {
    let of = |peer: &PeerReport, figure: fn(&EpochReport) -> Option<f64>| peer.epoch.as_ref().and_then(figure);
    let help = "Confirmed epochs since the start; absent while no epoch is in use.";
    let family = text.family("plait_session_epoch", Kind::Gauge, "", help);
    each_peer(family, status, |peer| peer.epoch.as_ref().map(|epoch| epoch.number));
    let help = "Age of the epoch in use; absent while there is none.";
    let family = text.family("plait_key_age_seconds", Kind::Gauge, "seconds", help);
    each_peer(family, status, |peer| of(peer, |epoch| Some(epoch.age_seconds)));
    let help = "Age of the last QKD key on the chain of the epoch in use; absent while there is none.";
    let family = text.family("plait_qkd_key_age_seconds", Kind::Gauge, "seconds", help);
    each_peer(family, status, |peer| of(peer, |epoch| epoch.qkd_age_seconds));
    let help = "Fresh QKD keys mixed into the epoch in use; absent while there is none.";
    let family = text.family("plait_epoch_qkd_keys", Kind::Gauge, "", help);
    each_peer(family, status, |peer| peer.epoch.as_ref().map(|epoch| epoch.key_ids.len()));
    let help = "Interval of fast rekeys: as configured, or what rekey = \"auto\" makes of it.";
    let family = text.family("plait_rekey_interval_seconds", Kind::Gauge, "seconds", help);
    each_peer(family, status, |peer| Some(peer.policy.rekey_seconds));
    let help = "When the last full handshake was confirmed; absent before the first.";
    let family = text.family("plait_last_handshake_timestamp_seconds", Kind::Gauge, "seconds", help);
    each_peer(family, status, |peer| {
        peer.handshakes.last_full.as_deref().and_then(parse_rfc3339).map(|moment| moment.seconds().0)
    });
}

fn exchanges(text: &mut Text, view: &LiveView, status: &StatusReport) {
    let help = "Exchanges for new keys since the start, by kind and by what came of them.";
    let mut family = text.family("plait_rekeys", Kind::Counter, "", help);
    for peer in &status.peers {
        let done = &peer.handshakes;
        let (failed_fast, failed_full) = (done.failed_fast, done.failed.saturating_sub(done.failed_fast));
        for (kind, result, count) in [
            ("full", "confirmed", done.full),
            ("full", "failed", failed_full),
            ("fast", "confirmed", done.fast),
            ("fast", "failed", failed_fast),
        ] {
            let (interface, peer) = (status.interface.as_str(), peer.name.as_str());
            family.sample(&[("interface", interface), ("peer", peer), ("kind", kind), ("result", result)], count);
        }
    }
    let help = "How long exchanges took that this end began and that gave new keys.";
    let mut family = text.family("plait_rekey_duration_seconds", Kind::Histogram, "seconds", help);
    for (peer, measures) in status.peers.iter().zip(&view.measures.peers) {
        for (kind, took) in [("full", &measures.full), ("fast", &measures.fast)] {
            let (interface, peer) = (status.interface.as_str(), peer.name.as_str());
            family.histogram(&[("interface", interface), ("peer", peer), ("kind", kind)], took);
        }
    }
}

fn traffic(text: &mut Text, status: &StatusReport) {
    let family = text.family("plait_received_bytes", Kind::Counter, "bytes", "Inner bytes delivered.");
    each_peer(family, status, |peer| Some(peer.transfer.received_bytes));
    let family = text.family("plait_sent_bytes", Kind::Counter, "bytes", "Inner bytes sealed.");
    each_peer(family, status, |peer| Some(peer.transfer.sent_bytes));
    let family = text.family("plait_received_packets", Kind::Counter, "packets", "Inner packets delivered.");
    each_peer(family, status, |peer| Some(peer.transfer.received_packets));
    let family = text.family("plait_sent_packets", Kind::Counter, "packets", "Inner packets sealed.");
    each_peer(family, status, |peer| Some(peer.transfer.sent_packets));
}

fn drops(text: &mut Text, status: &StatusReport) {
    let interface = status.interface.as_str();
    let help =
        "Packets and data datagrams that went no further, by reason; without the label peer: they belong to none.";
    let mut family = text.family("plait_dropped_packets", Kind::Counter, "packets", help);
    for peer in &status.peers {
        for (reason, count) in &peer.drops {
            family.sample(&[("interface", interface), ("peer", &peer.name), ("reason", reason)], count);
        }
    }
    for (reason, count) in &status.unclaimed {
        family.sample(&[("interface", interface), ("reason", reason)], count);
    }
    let help = "Datagrams of handshakes and control messages that were refused, by reason; without the label peer: before one was known.";
    let mut family = text.family("plait_refused_datagrams", Kind::Counter, "datagrams", help);
    for peer in &status.peers {
        for (reason, count) in &peer.refused {
            family.sample(&[("interface", interface), ("peer", &peer.name), ("reason", reason)], count);
        }
    }
    for (reason, count) in &status.refused {
        family.sample(&[("interface", interface), ("reason", reason)], count);
    }
}

fn stocks(text: &mut Text, status: &StatusReport) {
    let help = "Keys that the KME says it stores; absent until it said so.";
    each_source(text.family("plait_kme_stored_keys", Kind::Gauge, "", help), status, |source| source.stored_keys);
    let help = "Time since the KME said so; over 95 s the figure is stale.";
    let family = text.family("plait_kme_stored_keys_age_seconds", Kind::Gauge, "seconds", help);
    each_source(family, status, |source| source.stored_keys_age_seconds);
    let help = "Keys a second that came into the stock for this end, over ten minutes; absent while that is not known.";
    let family = text.family("plait_kme_key_income_per_second", Kind::Gauge, "", help);
    each_source(family, status, |source| source.rate_in_per_second);
    let help = "Keys a second that this end used, over ten minutes; absent while that is not known.";
    let family = text.family("plait_kme_key_use_per_second", Kind::Gauge, "", help);
    each_source(family, status, |source| source.rate_out_per_second);
    let help = "How long the stock lasts if it goes on to fall as it does; absent while it does not fall.";
    let family = text.family("plait_kme_stock_lasts_seconds", Kind::Gauge, "seconds", help);
    each_source(family, status, |source| source.lasts_seconds);
    let help =
        "1 while the tunnel gets keys from it, 0 while this end's KME or the other's fails; absent before the first.";
    let family = text.family("plait_kme_up", Kind::Gauge, "", help);
    each_source(family, status, |source| match (source.state.as_str(), &source.not_used) {
        (_, Some(_)) | ("failing", None) => Some(0),
        ("ok", None) => Some(1),
        (_, None) => None,
    });
    let help = "Keys delivered by the KME for use.";
    each_source(text.family("plait_qkd_keys_used", Kind::Counter, "", help), status, |source| Some(source.keys_used));
    let help = "When the client certificate for the KME ends.";
    let family = text.family("plait_certificate_expiry_timestamp_seconds", Kind::Gauge, "seconds", help);
    each_source(family, status, |source| {
        source.certificate_expiry.as_deref().and_then(parse_rfc3339).map(|moment| moment.seconds().0)
    });
}

fn requests(text: &mut Text, view: &LiveView, status: &StatusReport) {
    let with = |source: &SourceReport| [status.interface.clone(), source.peer.clone(), source.name.clone()];
    let help = "Requests to the KME by method and by what came of them: ok, or a class of errors.";
    let mut family = text.family("plait_kme_requests", Kind::Counter, "", help);
    for (source, measures) in status.sources.iter().zip(&view.measures.sources) {
        let [interface, peer, name] = with(source);
        for ((method, result), count) in &measures.requests {
            let labels = [
                ("interface", interface.as_str()),
                ("peer", peer.as_str()),
                ("source", name.as_str()),
                ("method", method),
                ("result", result),
            ];
            family.sample(&labels, count);
        }
    }
    let help = "How long requests to the KME took, whatever came of them.";
    let mut family = text.family("plait_kme_request_duration_seconds", Kind::Histogram, "seconds", help);
    for (source, measures) in status.sources.iter().zip(&view.measures.sources) {
        let [interface, peer, name] = with(source);
        for (method, took) in &measures.took {
            let labels = [
                ("interface", interface.as_str()),
                ("peer", peer.as_str()),
                ("source", name.as_str()),
                ("method", *method),
            ];
            family.histogram(&labels, took);
        }
    }
}

#[cfg(test)]
mod tests;

'use strict';
// Everything that comes from the daemon is put in as text, never as markup: a KME's words are a stranger's words.
const POLL_MS = 2000, ASK_MS = 5000, OLD_S = 8;
const SVG = 'http://www.w3.org/2000/svg';
const KIND = {HYBRID: 'good', OFF: 'calm', HOLDOVER: 'warn', DEGRADED: 'warn', HOLDING: 'wait', BLOCKED: 'bad', DOWN: 'bad'};
const $ = id => document.getElementById(id);
const kind = state => KIND[state] || 'bad';
let live = null, seen = 0, failure = '';

function el(tag, cls, ...inside) {
  const made = document.createElement(tag);
  if (cls) made.className = cls;
  made.append(...inside.filter(part => part !== null && part !== undefined));
  return made;
}
function draw(tag, attributes, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 120) return s + ' s';
  if (s < 7200) return Math.floor(s / 60) + ' min';
  if (s < 172800) return Math.floor(s / 3600) + ' h';
  return Math.floor(s / 86400) + ' days';
}
function clock(seconds) {
  const s = Math.max(0, Math.floor(seconds)), two = n => String(n).padStart(2, '0');
  const days = Math.floor(s / 86400), rest = two(Math.floor(s / 3600) % 24) + ':' + two(Math.floor(s / 60) % 60) + ':' + two(s % 60);
  return days > 0 ? days + ' d ' + rest : rest;
}
function scaled(value, step, units) {
  let at = 0;
  while (value >= step && at < units.length - 1) { value /= step; at++; }
  return (at === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)) + ' ' + units[at];
}
const bits = count => scaled(count, 1000, ['bit/s', 'kbit/s', 'Mbit/s', 'Gbit/s', 'Tbit/s']);
const size = bytes => scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']);
const keyId = id => id.length > 6 ? id.slice(0, 4) + '...' + id.slice(-2) : id;
const names = counts => Object.entries(counts).filter(([, n]) => n > 0).map(([name, n]) => n + ' ' + name.replaceAll('_', '-'));

// A figure that grows or shrinks by itself between two answers.
function ticking(cls, value, sign, show) {
  const made = el('span', cls, show(value));
  made.tick = age => { made.textContent = show(value + sign * age); };
  made.classList.add('ticks');
  return made;
}
const since = (seconds, cls) => ticking(cls || '', seconds, 1, span);

function fact(list, name, ...value) {
  list.append(el('div', '', el('dt', '', name), el('dd', '', ...value)));
  return list.lastChild;
}

function epochFacts(list, peer) {
  const epoch = peer.epoch;
  if (!epoch) return void fact(list, 'Epoch', 'none: no keys in use');
  const every = peer.policy.rekey_seconds, bar = el('i', '');
  const part = age => bar.style.width = Math.min(100, 100 * age / every) + '%';
  part(epoch.age_seconds);
  const age = since(epoch.age_seconds);
  const tick = age.tick;
  age.tick = more => { tick(more); part(epoch.age_seconds + more); };
  const late = epoch.age_seconds > 2 * every + 30;
  fact(list, 'Epoch ' + epoch.number + ', age', el('span', late ? 'warn' : '', age, ' of ' + every + ' s' + (late ? ', LATE' : '')),
    el('div', 'bar ' + (late ? 'warn' : 'good'), bar));
  fact(list, 'Check words, to read aloud', el('span', 'words', epoch.check_words));
  const ids = Object.fromEntries(epoch.key_ids.map(key => [key.source, key.key_id]));
  const mixed = epoch.mixed.map(name => ids[name] ? name + ' (key_ID ' + keyId(ids[name]) + ')' : name).join(' + ');
  fact(list, 'Keys of this epoch', mixed).classList.add('wide');
  fact(list, 'Last QKD key', epoch.qkd_age_seconds === null ? 'none' : since(epoch.qkd_age_seconds),
    epoch.qkd_age_seconds === null ? '' : ' ago');
  fact(list, 'Cipher', epoch.cipher);
}

function peerFacts(peer) {
  const list = el('dl', '');
  epochFacts(list, peer);
  fact(list, 'Endpoint', peer.endpoint || 'not known yet');
  const effective = peer.effective_qkd ? ', in force: ' + peer.effective_qkd : '';
  fact(list, 'QKD policy', 'here: ' + peer.policy.qkd + ', peer: ' + (peer.peer_qkd || 'not known yet') + effective);
  const done = peer.handshakes;
  fact(list, 'Exchanges', done.full + ' full, ' + done.fast + ' fast, ' + done.failed + ' failed');
  fact(list, 'Last full handshake', done.last_full ? done.last_full.replace('T', ' ').replace('Z', ' UTC') : 'none yet');
  fact(list, 'Since the start', size(peer.transfer.received_bytes) + ' received, ' + size(peer.transfer.sent_bytes) + ' sent');
  const dropped = names(peer.drops), refused = names(peer.refused);
  fact(list, 'Dropped packets', dropped.length ? dropped.join(', ') : 'none');
  if (refused.length) fact(list, 'Refused datagrams', refused.join(', '));
  return list;
}

// --- plots: x is age, now at the right; the width is that of the place ---
function canvas(place, height) {
  const width = Math.max(260, place.clientWidth || 340);
  const svg = draw('svg', {viewBox: '0 0 ' + width + ' ' + height, height, role: 'img'});
  place.append(svg);
  return [svg, width];
}
function reach(ages) {
  const most = Math.max(60, ...ages);
  return [120, 300, 600, 900, 1800, 3600, 7200, 14400].find(fits => most <= fits) || most;
}
function ageAxis(svg, width, height, most) {
  for (const [at, anchor] of [[0, 'start'], [.5, 'middle'], [1, 'end']]) {
    const label = at === 1 ? 'now' : span(most * (1 - at)) + ' ago';
    svg.append(draw('text', {x: at * width, y: height - 6, 'text-anchor': anchor}, label));
  }
}

function timeline(place, course, uptime) {
  const height = 92, [svg, width] = canvas(place, height);
  const most = reach([Math.min(uptime, 1800)]);
  const x = age => width * (1 - Math.min(age, most) / most);
  let from = Math.min(uptime, most);
  const marks = course.states.concat([{age_seconds: 0, from: live.status.peers[course.at].state}]);
  for (const mark of marks) {
    if (mark.age_seconds < most) {
      const left = x(from), wide = Math.max(1, x(mark.age_seconds) - left);
      const band = draw('g', {class: kind(mark.from)});
      band.append(draw('rect', {x: left, y: 4, width: wide, height: 22, class: 'band'}));
      band.append(draw('title', {}, mark.from));
      if (wide > 8.5 * mark.from.length + 8) band.append(draw('text', {x: left + 6, y: 19, class: 'onband'}, mark.from));
      svg.append(band);
      from = mark.age_seconds;
    }
  }
  for (const epoch of course.epochs) {
    if (epoch.age_seconds > most) continue;
    const tall = epoch.full ? 34 : 20, left = Math.min(width - 5, Math.max(0, x(epoch.age_seconds) - 2));
    const mark = draw('g', {class: epoch.qkd_keys > 0 ? 'good' : 'warn'});
    const shape = epoch.qkd_keys > 0 ? 'tick' : 'hollow';
    mark.append(draw('rect', {x: left, y: 70 - tall, width: 4, height: tall, class: shape}));
    const what = (epoch.full ? 'full handshake' : 'fast rekey') + ', ' + epoch.qkd_keys + ' QKD keys';
    mark.append(draw('title', {}, 'epoch ' + epoch.number + ': ' + what));
    svg.append(mark);
  }
  svg.append(draw('line', {x1: 0, x2: width, y1: 71, y2: 71, class: 'grid'}));
  ageAxis(svg, width, height, most);
  svg.setAttribute('aria-label', 'States and epochs over time');
}

function nice(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(step => step * power).find(top => value <= top);
}
function plot(place, lines, show, label, least) {
  const height = 120, bottom = 100, [svg, width] = canvas(place, height);
  const points = lines.flatMap(line => line.points);
  const most = reach(points.map(([age]) => age));
  const top = nice(Math.max(least, ...points.map(([, value]) => value)));
  for (const part of [0, .5, 1]) {
    const y = bottom - part * (bottom - 14);
    svg.append(draw('line', {x1: 0, x2: width, y1: y, y2: y, class: 'grid'}));
    if (part > 0) svg.append(draw('text', {x: 0, y: y - 3}, show(top * part)));
  }
  for (const {points, cls, steps} of lines) {
    const at = ([age, value]) => [width * (1 - age / most), bottom - Math.min(1, value / top) * (bottom - 14)];
    let path = '', before = null;
    for (const point of points.map(at)) {
      const step = before && steps ? 'L' + point[0].toFixed(1) + ' ' + before[1].toFixed(1) : '';
      path += step + (before ? 'L' : 'M') + point[0].toFixed(1) + ' ' + point[1].toFixed(1);
      before = point;
    }
    if (before) svg.append(draw('path', {d: path, class: 'line ' + cls}));
  }
  ageAxis(svg, width, height, most);
  svg.setAttribute('aria-label', label);
}

function throughput(place, course) {
  const last = course.traffic.at(-1);
  const legend = (cls, name, value) => el('span', cls, el('i', 'key'), ' ' + name + ' ' + bits(value * 8) + '   ');
  place.append(el('figcaption', '', last ? legend('one', 'received', last[1]) : 'collecting: the first figure comes after 10 s',
    last ? legend('two', 'sent', last[2]) : null));
  if (!last) return;
  const line = (cls, column) => ({cls, points: course.traffic.map(point => [point[0], point[column] * 8])});
  plot(place, [line('one', 1), line('two', 2)], bits, 'Throughput over time', 1000);
}

const fails = source => source.state === 'failing' || source.not_used !== null;

// Two figures: 3.9/s, 0.017/s.
const perSecond = rate => (rate > 0 ? rate.toFixed(Math.min(7, Math.max(0, 1 - Math.floor(Math.log10(rate))))) : '0') + '/s';

function sourceCard(source) {
  const failing = fails(source), cls = failing ? 'bad' : source.state === 'ok' ? 'good' : 'wait';
  const stale = source.stored_keys_stale, figure = el('figure', '');
  const word = failing ? 'FAILING' : source.state === 'ok' ? 'ok' : 'not asked yet';
  figure.append(el('div', 'head', el('b', '', source.name), el('b', cls, word), el('span', 'soft', source.tls || '')));
  if (source.not_used) figure.append(el('div', 'bad', 'No keys from it: ' + source.not_used + ', here or at the other site'));
  if (source.stored_keys === null) {
    figure.append(el('div', '', 'Stock not known yet'));
  } else {
    figure.append(el('div', stale ? 'warn' : '', source.stored_keys + ' keys stored ',
      el('span', stale ? 'warn' : 'soft', '(said ', since(source.stored_keys_age_seconds), ' ago' + (stale ? ', STALE)' : ')'))));
  }
  if (source.rate_in_per_second !== null && source.rate_out_per_second !== null) {
    const lasts = source.lasts_seconds === null ? '' : ', lasts ' + span(source.lasts_seconds) + ' at this rate';
    figure.append(el('div', 'soft', perSecond(source.rate_in_per_second) + ' in, ' + perSecond(source.rate_out_per_second) + ' out' + lasts));
  }
  if (source.last_error) {
    figure.append(el('p', 'error ' + (failing ? 'bad' : 'soft'), 'Last error ', since(source.last_error_age_seconds), ' ago: ' + source.last_error));
  }
  if (source.certificate_expiry) {
    const left = (Date.parse(source.certificate_expiry) - Date.parse(live.time)) / 1000, soon = left < 30 * 86400;
    const words = left < 0 ? 'EXPIRED ' + span(-left) + ' ago' : 'ends in ' + span(left);
    figure.append(el('div', soon ? (left < 0 ? 'bad' : 'warn') : 'soft', 'Client certificate ' + words));
  }
  return figure;
}

function sources(peer) {
  const place = el('div', 'plots');
  const own = live.status.sources.filter(source => source.peer === peer.name);
  const later = [];
  for (const source of own) {
    const stock = live.stocks.find(stock => stock.source === source.name && stock.peer === source.peer);
    const card = sourceCard(source);
    place.append(card);
    if (stock && stock.stored.length > 1) {
      const points = stock.stored.map(([age, keys]) => [age, keys]);
      later.push(() => plot(card, [{points, cls: 'one', steps: true}], n => n + ' keys', 'Stock over time', 1));
    }
  }
  return own.length ? [el('h3', '', 'QKD keys'), place, later] : [null, null, later];
}

function peerCard(peer, at) {
  const course = {...(live.courses[at] || {states: [], epochs: [], traffic: [], meaning: '', state_age_seconds: null}), at};
  const card = el('section', 'card ' + kind(peer.state));
  card.id = 'peer-' + at;
  card.append(el('div', 'head', el('h2', '', peer.name), el('span', 'badge ' + kind(peer.state), peer.state),
    course.state_age_seconds === null ? '' : el('span', 'soft', 'for ', since(course.state_age_seconds))));
  if (course.meaning) card.append(el('p', 'meaning', course.meaning));
  if (peer.deadline_seconds !== null) {
    card.append(el('p', 'count ' + kind(peer.state), 'Traffic stops in ', ticking('', peer.deadline_seconds, -1, clock)));
  }
  const over = peer.override;
  if (over) {
    card.append(el('p', 'count warn', 'Policy overridden: ' + over.qkd + ', ends in ', ticking('', over.remaining_seconds, -1, clock),
      ' (' + over.ends.replace('T', ' ').replace('Z', ' UTC') + '): ' + over.reason));
  }
  const why = live.status.sources.find(source => source.peer === peer.name && fails(source));
  if (why && ['warn', 'bad', 'wait'].includes(kind(peer.state))) {
    card.append(el('p', 'why bad', why.name + ': ' + (why.last_error || why.not_used + ', here or at the other site')));
  }
  card.append(peerFacts(peer));
  const plots = el('div', 'plots'), line = el('figure', ''), flow = el('figure', '');
  line.append(el('h3', '', 'States and epochs'), el('figcaption', '', 'tall: full handshake, short: fast rekey, hollow: without QKD key'));
  flow.append(el('h3', '', 'Throughput'));
  plots.append(line, flow);
  const [title, keys, later] = sources(peer);
  if (title) card.append(title, keys);
  card.append(plots);
  return [card, () => {
    if (live.courses[at]) { timeline(line, course, live.status.uptime_seconds); throughput(flow, course); }
    later.forEach(plot => plot());
  }];
}

function events() {
  const list = live.events || [];
  $('events').hidden = list.length === 0;
  $('events').className = 'card';
  $('events').querySelector('ol').replaceChildren(...list.slice().reverse().map(event => {
    const who = [event.peer, event.source].filter(Boolean).join(', ');
    const when = el('time', '', event.time.slice(0, 19).replace('T', ' '));
    return el('li', '', when, el('b', event.to in KIND ? kind(event.to) : '', who ? who + ': ' : ''), event.text);
  }));
}

function foot() {
  const status = live.status, lines = [];
  const nobody = names(status.unclaimed), refused = names(status.refused);
  if (nobody.length) lines.push('Packets and datagrams of no peer: ' + nobody.join(', '));
  if (refused.length) lines.push('Refused before a peer was known: ' + refused.join(', '));
  const given = status.offload_given_up.length ? ' (' + status.offload_given_up.join(' ') + ' GIVEN UP)' : '';
  lines.push('listen ' + status.listen + ', mtu ' + status.mtu + ', offload ' + (status.offload.join(' ') || 'none') + given);
  lines.push('fingerprint ' + status.fingerprint);
  lines.push('plait ' + live.version + ', up ' + span(status.uptime_seconds) + ', daemon\'s clock ' + live.time.replace('T', ' ').replace('Z', ' UTC'));
  $('foot').replaceChildren(...lines.map(line => el('div', '', line)));
}

function render() {
  const status = live.status, cards = status.peers.slice(0, 64).map(peerCard);
  $('interface').textContent = status.interface;
  document.title = status.state + ' ' + status.interface;
  $('state').textContent = status.state;
  $('state').className = 'badge ' + kind(status.state);
  const link = (peer, at) => {
    const made = el('a', '', peer.name + ' ', el('b', kind(peer.state), peer.state));
    made.href = '#peer-' + at;
    return made;
  };
  const more = status.peers.length - 64;
  $('index').replaceChildren(...(status.peers.length > 1 ? status.peers.slice(0, 64).map(link) : []),
    ...(more > 0 ? [el('span', 'soft', 'and ' + more + ' more: plait status')] : []));
  $('peers').replaceChildren(...cards.map(([card]) => card));
  cards.forEach(([, finish]) => finish());
  events();
  foot();
  tick();
}

// Once a second: ages go on, and an answer that does not come is said loudly.
function tick() {
  const age = live ? (performance.now() - seen) / 1000 : 0;
  const old = live ? age > OLD_S : failure !== '';
  document.body.classList.toggle('stale', old);
  $('alert').hidden = !old;
  if (old) {
    const what = live ? 'All figures below are ' + span(age) + ' old.' : '';
    $('alert').textContent = 'NO ANSWER from the daemon (' + (failure || 'waiting') + '). ' + what;
    if (live) document.title = 'NO ANSWER ' + live.status.interface;
  }
  $('fresh').textContent = live ? 'updated ' + (age < 1.5 ? 'now' : span(age) + ' ago') : 'asking the daemon';
  if (!old) for (const made of document.querySelectorAll('.ticks')) made.tick(age);
}

async function ask() {
  const stop = new AbortController(), timer = setTimeout(() => stop.abort(), ASK_MS);
  try {
    const answer = await fetch('/live.json', {signal: stop.signal, cache: 'no-store'});
    if (!answer.ok) throw new Error((await answer.text()).trim());
    const next = await answer.json();
    if (next.schema !== 1) { location.reload(); return; }
    [live, seen, failure] = [next, performance.now(), ''];
    // Who is copying something keeps the selection; the figures go on after it.
    if (getSelection().isCollapsed) render();
  } catch (error) {
    failure = error.name === 'AbortError' ? 'nothing within 5 s' : error.message;
  } finally {
    clearTimeout(timer);
    tick();
    setTimeout(ask, document.hidden ? 10 * POLL_MS : POLL_MS);
  }
}

addEventListener('resize', () => { if (live) render(); });
setInterval(tick, 1000);
ask();

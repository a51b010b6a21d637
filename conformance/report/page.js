// Everything of the page but the matrix, which matrix.js draws. All texts of the report enter as text, never as markup.
'use strict';
const report = JSON.parse(document.getElementById('data').textContent);
const by = id => document.getElementById(id);

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== false && value != null) node.setAttribute(name, value === true ? '' : value);
  }
  for (const child of children.flat()) if (child != null && child !== false) node.append(child);
  return node;
}

// JSON has no infinities: they come as texts.
const numeric = x => x === 'inf' || x === 'nan' ? Infinity : x === '-inf' ? -Infinity : x;
function ulp(x) {
  x = numeric(x);
  if (x === undefined) return '';
  if (!isFinite(x)) return x < 0 ? '−∞' : '∞';
  const size = Math.abs(x);
  if (size === 0) return '0';
  if (size < 0.01 || size >= 1e4) return x.toExponential(size < 0.01 ? 0 : 1).replace('e+', 'e');
  return size >= 100 ? String(Math.round(x)) : String(+x.toPrecision(size < 1 ? 2 : 3));
}
function percent(share) {
  if (!isFinite(share)) return '∞';
  if (share > 10) return `${count(Math.round(share))} ×`;
  return share === 0 ? '0 %' : share < 0.01 ? '< 1 %' : Math.round(share * 100) + ' %';
}
const ofBound = share => `${percent(share)} ${share > 10 ? '' : 'of '}the bound`;
const count = n => Number(n).toLocaleString('en').replaceAll(',', '\u202f');
const seconds = s => s >= 60 ? Math.floor(s / 60) + ' min ' + Math.round(s % 60) + ' s' : s >= 10 ? s.toFixed(0) + ' s' : s.toFixed(s < 0.1 ? 3 : 1) + ' s';

const clock = s => `${Math.floor(s / 60)}:${String(Math.round(s) % 60).padStart(2, '0')}`;

function copyButton(text) {
  const button = el('button', {class: 'copy', type: 'button', title: 'Copy'}, 'copy');
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // pages opened from a file may have no clipboard
      const area = el('textarea');
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand('copy');
      area.remove();
    }
    button.textContent = 'copied';
    setTimeout(() => { button.textContent = 'copy'; }, 1200);
  });
  return button;
}
const replay = line => el('div', {class: 'replay'}, el('code', null, line), copyButton(line));
const outcomeText = {pass: 'pass', fail: 'fail', crash: 'crash', timeout: 'timeout', mistrusted: 'mistrusted', unsupported: 'refused'};
const chip = outcome => el('span', {class: 'chip ' + outcome}, outcomeText[outcome] || outcome);
const show = id => { by(id).hidden = false; };

function drawHero() {
  const run = report.run, passed = report.passed;
  by('bar-dot').style.background = passed ? 'var(--good)' : 'var(--bad)';
  by('bar-device').textContent = run.device.id || run.driver.name;
  const fact = (name, ...value) => value.some(v => v) && el('div', {class: 'fact'}, el('b', null, name), el('span', null, ...value));
  const hash = run.driver.library_sha256;
  by('hero').append(
    el('div', null,
      el('span', {class: 'stamp ' + (passed ? 'good' : 'bad')}, el('i', null, passed ? '✓' : '✕'), report.verdict),
      el('h1', null, run.device.id || run.driver.name),
      el('p', {class: 'sub'}, [run.device.name, run.device.version].filter(Boolean).join(' · '))),
    el('div', {class: 'facts'},
      fact('driver', [run.driver.name, run.driver.version].filter(Boolean).join(' ')),
      fact('vendor', run.driver.vendor),
      fact('profile', run.profile + (run.shard ? ', shard ' + run.shard : '')),
      fact('math modes', run.modes.join(', ')),
      fact('driver file', hash && el('code', {title: hash}, hash.slice(0, 12) + '…'), hash && copyButton(hash)),
      fact('date', run.date.replace(/T(\d\d:\d\d).*Z$/, ' $1 UTC'))));
}

function drawTiles() {
  const t = report.totals;
  const tile = (name, value, kind) => el('div', {class: 'tile ' + (value === 0 || value === '0' ? 'zero' : kind || '')},
    el('b', null, typeof value === 'number' ? count(value) : value), el('span', null, name));
  by('tiles').append(
    tile('cases', t.cases), tile('passed', t.passed, 'good'), tile('failed', t.failed, 'bad'), tile('crashed', t.crashed, 'bad'),
    tile('timed out', t.timed_out, 'bad'), tile('mistrusted', t.mistrusted, 'warn'), tile('refused', t.unsupported),
    tile('required missing', t.required_missing, 'bad'), tile('worst ULP', ulp(t.worst_ulp)), t.seconds < 60 ? tile('time', seconds(t.seconds)) : tile('minutes', clock(t.seconds)));
  const parts = [[t.passed, '--good', 'passed'], [t.failed + t.crashed + t.timed_out, '--bad', 'failed'],
    [t.mistrusted, '--warn', 'mistrusted'], [t.unsupported, '--quiet', 'refused']];
  for (const [n, colour, name] of parts) {
    if (n) by('split').append(el('i', {style: `flex:${n};background:var(${colour})`, title: `${count(n)} ${name}`}));
  }
}

function failureCard(f) {
  return el('div', {class: 'failure' + (f.outcome === 'unsupported' || f.outcome === 'mistrusted' ? ' soft' : '')},
    el('div', {class: 'head'}, chip(f.outcome), el('code', null, f.id), f.outcome === 'unsupported' && el('span', {class: 'note'}, 'the profile requires it')),
    el('pre', null, f.text),
    f.worst && el('p', {class: 'worst'}, `worst: ${f.worst} (${ulp(f.max_ulp)} ULP; allowed ${f.bound})`),
    replay(f.replay));
}

function drawFailures() {
  if (!report.failures.length) return;
  show('failures');
  by('failures-count').textContent = count(report.failures_in_all);
  const first = 8, list = by('failure-list');
  report.failures.slice(0, first).forEach(f => list.append(failureCard(f)));
  const rest = report.failures.slice(first);
  if (!rest.length) return;
  const button = el('button', {class: 'more', type: 'button'}, `show ${count(rest.length)} more`);
  button.addEventListener('click', () => {
    button.remove();
    rest.forEach(f => list.append(failureCard(f)));
    const left = report.failures_in_all - report.failures.length;
    if (left) list.append(el('p', {class: 'note'}, `${count(left)} more are in report.json`));
  });
  list.append(button);
}

function caseTable(cases) {
  const table = el('table', {class: 'plain'}, el('tr', null, el('th', null, 'case'), el('th', null, ''), el('th', null, 'finding'), el('th', {class: 'right'}, 'time')));
  for (const c of cases) {
    table.append(el('tr', null, el('td', null, el('code', null, c.id)), el('td', null, chip(c.outcome)), el('td', null, c.text),
      el('td', {class: 'right'}, seconds(c.seconds))));
  }
  return table;
}

function drawLists() {
  for (const {suite, cases} of report.lists) {
    if (suite === 'precision') {
      show('probes');
      by('probe-list').append(el('div', {class: 'card scroll'}, caseTable(cases)));
      continue;
    }
    show('suites');
    const passed = cases.filter(c => c.outcome === 'pass').length, refused = cases.filter(c => c.outcome === 'unsupported').length;
    const wrong = cases.length - passed - refused;
    const gauge = el('div', {class: 'gauge'}, el('i', {style: `flex:${passed}`}), el('i', {style: `flex:${wrong}`}), el('i', {style: `flex:${refused};background:none`}));
    by('suite-list').append(el('details', {class: 'suite', open: wrong > 0},
      el('summary', null, el('b', null, suite), gauge, el('span', {class: 'note'}, `${passed} of ${cases.length} passed` + (refused ? `, ${refused} refused` : ''))),
      caseTable([...cases].sort((a, b) => (a.outcome === 'pass') - (b.outcome === 'pass')))));
  }
}

// "f32, f16 (strict, fast)": where something holds; modes are named where it is not all of them.
function placesOf(list) {
  const modes = new Map();
  for (const p of list) modes.set(p.dtype, [...(modes.get(p.dtype) || []), p.mode].filter(Boolean));
  const all = report.run.modes.length;
  return [...modes].map(([dtype, m]) => dtype + (m.length && m.length < all ? ` (${m.join(', ')})` : '')).join(', ');
}

// Ops that share their places and their reason stand in one row.
function placementRows(list) {
  const single = new Map(), rows = new Map();
  for (const p of list) {
    const key = p.op + '\u0000' + p.text;
    single.set(key, [...(single.get(key) || []), p]);
  }
  for (const places of single.values()) {
    const where = placesOf(places), key = where + '\u0000' + places[0].text;
    if (!rows.has(key)) rows.set(key, {where, text: places[0].text, ops: []});
    rows.get(key).ops.push(places[0].op);
  }
  return [...rows.values()];
}

function drawPlacement() {
  const all = report.run.placements;
  if (!all.length) return;
  show('placement');
  const titles = {native: 'Native', decomposed: 'Decomposed', refused: 'Refused'};
  for (const how of ['native', 'decomposed', 'refused']) {
    const list = all.filter(p => p.how === how);
    if (!list.length) continue;
    const table = el('table', {class: 'plain'}, el('tr', null, el('th', null, 'ops'), el('th', null, 'dtypes'), el('th', null, how === 'native' ? '' : 'why')));
    for (const {ops, where, text} of placementRows(list)) {
      const names = el('div', {class: 'cloud'}, ops.map(op => el('code', null, op)));
      table.append(el('tr', null, el('td', null, names), el('td', null, where), el('td', null, text)));
    }
    by('placement-list').append(el('div', {class: 'card'}, el('h3', null, titles[how], ' ', el('small', null, `${new Set(list.map(p => p.op)).size} ops`)),
      el('div', {class: 'scroll'}, table)));
  }
}

function drawVariants() {
  const all = report.run.variants;
  if (!all.length) return;
  show('variants');
  const known = all.reduce((n, v) => n + v.known.length, 0), hit = all.reduce((n, v) => n + v.hit.length, 0);
  by('variants-share').textContent = `${hit} of ${known} ran`;
  const table = el('table', {class: 'plain'}, el('tr', null, el('th', null, 'op'), el('th', null, 'ran'), el('th', null, 'kernels; those that never ran are struck out')));
  for (const v of all) {
    const ran = new Set(v.hit);
    const kernels = v.known.map(name => ran.has(name) ? el('span', {class: 'chip pass'}, name) : el('span', {class: 'chip fail'}, el('s', null, name)));
    table.append(el('tr', null, el('td', null, el('code', null, v.op)), el('td', null, `${v.hit.length} of ${v.known.length}`), el('td', null, el('div', {class: 'cloud'}, kernels))));
  }
  by('variant-list').append(el('div', {class: 'card scroll'}, table));
}

function drawTiming() {
  const chart = (title, rows) => {
    const most = Math.max(...rows.map(r => r.seconds), 1e-9);
    return el('div', {class: 'card'}, el('h3', null, title), rows.map(r => el('div', {class: 'barline'}, el('code', null, r.name),
      el('div', {class: 'gauge'}, el('i', {style: `width:${100 * r.seconds / most}%`})), el('span', {title: `${count(r.cases)} cases`}, `${seconds(r.seconds)} · ${count(r.cases)}`))));
  };
  const slowest = list => [...list].sort((a, b) => b.seconds - a.seconds).slice(0, 12);
  const {suites, ops} = report.timing;
  if (suites.length) by('timing-list').append(chart('By suite: time · cases', slowest(suites)));
  if (ops.length) by('timing-list').append(chart('The slowest ops', slowest(ops)));
}

function drawIdentity() {
  const r = report.run;
  const rows = [['driver', [r.driver.name, r.driver.version, r.driver.vendor].filter(Boolean).join(' · ')], ['library', r.driver.library], ['sha256', r.driver.library_sha256],
    ['build id', r.driver.build_id], ['device', [r.device.id, r.device.name, r.device.version].filter(Boolean).join(' · ')], ['type', r.device.type], ['uuid', r.device.uuid],
    ['suite', r.suite_version], ['lockstep', r.lockstep_version], ['driver ABI', `${r.abi.major}.${r.abi.minor}`], ['seed', String(r.seed)], ['shard', r.shard],
    ['filters', [r.filters.op && 'op ' + r.filters.op, r.filters.dtype && 'dtype ' + r.filters.dtype].filter(Boolean).join(', ')],
    ['CPU threads', r.threads ? String(r.threads) : ''], ['date', r.date], ['bounds', [r.bounds.file || 'built in', r.bounds.sha256].filter(Boolean).join(' · ')], ['digest', report.totals.digest]];
  const table = el('table', {class: 'plain'});
  for (const [name, value] of rows) {
    if (value) table.append(el('tr', null, el('td', {style: 'width:110px;color:var(--quiet)'}, name), el('td', null, el('code', null, value)), el('td', {class: 'right'}, name === 'digest' || name === 'sha256' ? copyButton(value) : '')));
  }
  by('identity-list').append(el('div', {class: 'card'}, table));
}

function drawBar() {
  const names = {failures: 'Failures', matrix: 'Matrix', probes: 'Precision', suites: 'Runtime', placement: 'Placement', variants: 'Variants', timing: 'Time', identity: 'Run'};
  for (const [id, name] of Object.entries(names)) if (!by(id).hidden) by('bar-links').append(el('a', {href: '#' + id}, name));
  const root = document.documentElement, dark = matchMedia('(prefers-color-scheme: dark)');
  const set = theme => { root.dataset.theme = theme; };
  set(dark.matches ? 'dark' : 'light');
  dark.addEventListener('change', e => set(e.matches ? 'dark' : 'light'));
  by('theme').addEventListener('click', () => set(root.dataset.theme === 'dark' ? 'light' : 'dark'));
}

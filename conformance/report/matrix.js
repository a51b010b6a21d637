// The matrix of op × dtype × mode, the small text under the pointer, and the panel of one cell.
const dtypeOrder = ['f32', 'f64', 'f16', 'bf16', 'i8', 'u8', 'i32', 'i64', 'bool'];
const modeOrder = ['strict', 'fast', 'lockstep'];
const inOrder = order => (a, b) => (order.indexOf(a) + 1 || 99) - (order.indexOf(b) + 1 || 99);
const view = {mode: '', measure: 'ulp', suite: '', filter: '', onlyWrong: false};

// The upper ends of the colours --u0 … --u8.
const steps = {ulp: [0, 0.5, 1, 2, 4, 16, 256, 65536], share: [0, 0.1, 0.25, 0.5, 0.7, 0.85, 0.95, 1]};
const stepNames = {ulp: ['0', '½', '1', '2', '4', '16', '256', '65 536', 'more'], share: ['0', '10 %', '25 %', '50 %', '70 %', '85 %', '95 %', '100 %', 'over']};
const stepOf = value => { const at = steps[view.measure].findIndex(end => value <= end); return at < 0 ? 8 : at; };
const inkOf = step => document.documentElement.dataset.theme === 'dark' ? (step < 6 ? '--light-ink' : '--dark-ink') : (step < 5 ? '--dark-ink' : '--light-ink');

const placementOf = new Map();
for (const p of report.run.placements) placementOf.set([p.op, p.dtype, p.mode].join('|'), p);
const findPlacement = c => placementOf.get([c.op, c.dtype, c.mode].join('|')) || placementOf.get([c.op, c.dtype, ''].join('|')) || placementOf.get([c.op, '', ''].join('|'));
const isWrong = c => c.outcome === 'fail' || c.outcome === 'crash' || c.outcome === 'timeout';

// Cells of one suite by op, in order of name, then "mode|dtype". A placement that was refused before any case ran is a cell too.
function rowsOf(suite) {
  const rows = new Map();
  const put = c => {
    if (!rows.has(c.op)) rows.set(c.op, new Map());
    const row = rows.get(c.op), key = c.mode + '|' + c.dtype;
    if (!row.has(key)) row.set(key, c);
  };
  report.cells.filter(c => c.suite === suite).forEach(put);
  if (suite === '') {
    for (const p of report.run.placements) {
      if (p.how === 'refused' && p.dtype && p.mode) put({op: p.op, dtype: p.dtype, mode: p.mode, suite: '', outcome: 'unsupported', text: p.text, cases: 0, passed: 0, required: false});
    }
  }
  return new Map([...rows].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function face(c) {
  if (c.outcome === 'fail') return {text: '✕ ' + (c.errors ? ulp(c.errors.max_ulp) : ''), kind: 'wrong'};
  if (c.outcome === 'crash') return {text: 'crash', kind: 'wrong'};
  if (c.outcome === 'timeout') return {text: 'hang', kind: 'wrong'};
  if (c.outcome === 'mistrusted') return {text: '?', kind: 'mistrust'};
  if (c.outcome === 'unsupported') return {text: '–', kind: 'refused' + (c.required ? ' required-refused' : '')};
  const p = findPlacement(c), kind = (p ? p.how === 'decomposed' : !c.native) ? 'decomposed' : '';
  if (!c.errors) return {text: '✓', kind, step: 0};
  const value = numeric(view.measure === 'ulp' ? c.errors.max_ulp : c.errors.share);
  return {text: view.measure === 'ulp' ? ulp(value) : percent(value).replace(' ', '\u202f'), kind, step: stepOf(value)};
}

function tipText(c) {
  const lines = [`${c.op}  ${c.dtype}  ${c.mode}`];
  if (c.errors) lines.push(`max ${ulp(c.errors.max_ulp)} ULP, p99 ${ulp(c.errors.p99_ulp)}, mean signed ${ulp(c.errors.mean_signed_ulp)}`, `${ofBound(numeric(c.errors.share))}: ${c.bound}`);
  if (c.outcome !== 'pass') lines.push((outcomeText[c.outcome] || c.outcome) + (c.text ? ': ' + c.text.split('\n')[0].slice(0, 160) : ''));
  else lines.push(`${count(c.passed)} of ${count(c.cases)} cases passed`);
  return lines.join('\n');
}

function placeTip(event, c) {
  const tip = by('tip');
  tip.textContent = tipText(c);
  tip.hidden = false;
  const x = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
  const y = event.clientY + 18 + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : event.clientY + 18;
  tip.style.left = x + 'px';
  tip.style.top = y + 'px';
}

function cellButton(c) {
  const {text, kind, step} = face(c);
  const style = step === undefined ? '' : `--fill:var(--u${step});--ink:var(${inkOf(step)})`;
  const button = el('button', {type: 'button', class: kind, style, 'aria-label': tipText(c)}, text);
  button.addEventListener('mousemove', e => placeTip(e, c));
  button.addEventListener('mouseleave', () => { by('tip').hidden = true; });
  button.addEventListener('click', () => openDrawer(c, button));
  return button;
}

function drawMatrix() {
  const rows = rowsOf(view.suite), columns = new Map();  // dtypes by mode
  for (const row of rows.values()) {
    for (const c of row.values()) {
      if (view.mode && c.mode !== view.mode) continue;
      if (!columns.has(c.mode)) columns.set(c.mode, new Set());
      columns.get(c.mode).add(c.dtype);
    }
  }
  const modes = [...columns.keys()].sort(inOrder(modeOrder));
  const keys = modes.flatMap(mode => [...columns.get(mode)].sort(inOrder(dtypeOrder)).map((dtype, i) => ({key: mode + '|' + dtype, dtype, gap: i === 0 && mode !== modes[0]})));
  const top = el('tr', null, el('th', {class: 'op', rowspan: 2}, 'op'));
  for (const mode of modes) top.append(el('th', {colspan: columns.get(mode).size, class: mode !== modes[0] ? 'gap' : ''}, mode || 'any mode'));
  const second = el('tr', null, keys.map(k => el('th', {class: k.gap ? 'gap' : ''}, k.dtype)));
  const body = el('tbody');
  const wanted = view.filter.toLowerCase().split(/[\s,]+/).filter(Boolean);
  for (const [op, row] of rows) {
    if (wanted.length && !wanted.some(w => op.toLowerCase().includes(w))) continue;
    if (view.onlyWrong && !keys.some(k => row.has(k.key) && row.get(k.key).outcome !== 'pass')) continue;
    body.append(el('tr', null, el('th', {class: 'op'}, op), keys.map(k => el('td', {class: k.gap ? 'gap' : ''}, row.has(k.key) && cellButton(row.get(k.key))))));
  }
  if (!body.children.length) body.append(el('tr', null, el('td', {colspan: keys.length + 1}, el('p', {class: 'note'}, 'No op matches.'))));
  by('cells').replaceChildren(el('thead', null, top, second), body);
  drawLegend();
}

function drawLegend() {
  const scale = stepNames[view.measure].map((name, i) => el('i', {style: `background:var(--u${i});color:var(${inkOf(i)})`}, name));
  const key = (kind, text, sign) => el('span', {class: 'key'}, el('i', {class: kind}, sign || ''), text);
  by('legend').replaceChildren(el('span', null, view.measure === 'ulp' ? 'worst ULP, up to' : 'share of the bound, up to'), el('span', {class: 'scale'}, scale),
    key('decomposed', 'made of smaller ops'), key('refused', 'refused', '–'), key('wrong', 'failed', '✕'), key('mistrust', 'mistrusted', '?'));
}

function suiteTable(c) {
  const parts = report.cells.filter(x => x.suite && x.op === c.op && x.dtype === c.dtype && x.mode === c.mode);
  if (parts.length < 2) return null;
  const right = text => el('td', {class: 'right'}, text);
  const table = el('table', {class: 'plain'}, el('tr', null, el('th', null, 'suite'), ['passed', 'max ULP', 'of bound'].map(t => el('th', {class: 'right'}, t))));
  for (const p of parts) {
    table.append(el('tr', null, el('td', null, p.suite), right(`${count(p.passed)} / ${count(p.cases)}`), right(p.errors ? ulp(p.errors.max_ulp) : ''), right(p.errors ? percent(numeric(p.errors.share)) : '')));
  }
  return [el('h4', null, 'By suite'), table];
}

function errorPart(c) {
  if (!c.errors) return [];
  const e = c.errors, share = numeric(e.share);
  const box = (name, value) => el('div', null, el('b', null, value), el('span', null, name));
  return [
    el('div', {class: 'numbers'}, box('max ULP', ulp(e.max_ulp)), box('p99 ULP', ulp(e.p99_ulp)), box('mean signed', ulp(e.mean_signed_ulp))),
    el('h4', null, 'Of what is allowed'),
    el('div', {class: 'gauge' + (share <= 1 ? '' : ' over')}, el('i', {style: `width:${Math.min(100, share * 100)}%`})),
    el('p', {class: 'note'}, `${ofBound(share)}: ${c.bound}; over ${count(e.elements)} elements`),
    el('h4', null, 'Worst element'), el('p', null, el('code', null, e.worst)), c.replay && replay(c.replay)];
}

function openDrawer(c, button) {
  document.querySelectorAll('#cells button.open').forEach(b => b.classList.remove('open'));
  if (button) button.classList.add('open');
  const placement = findPlacement(c), drawer = by('drawer');
  const failures = report.failures.filter(f => f.op === c.op && f.dtype === c.dtype && f.mode === c.mode);
  const how = placement ? placement.how + (placement.text && placement.text !== c.text ? ': ' + placement.text : '') : c.native ? 'native' : '';
  drawer.replaceChildren(...[
    el('button', {class: 'close', type: 'button', 'aria-label': 'Close', onclick: closeDrawer}, '×'),
    el('h3', null, c.op), el('p', null, chip(c.outcome), ' ', el('span', {class: 'chip plain'}, c.dtype), ' ', el('span', {class: 'chip plain'}, c.mode), ' ', c.required && el('span', {class: 'chip plain'}, 'required')),
    c.cases > 0 && el('p', {class: 'note'}, `${count(c.passed)} of ${count(c.cases)} cases passed` + (c.unsupported ? `, ${count(c.unsupported)} refused` : '')),
    how && el('p', {class: 'note'}, how),
    c.text && !failures.length && el('p', null, c.text),
    ...errorPart(c), ...(suiteTable(c) || []),
    failures.length > 0 && el('h4', null, 'Cases that did not pass'),
    ...failures.slice(0, 5).flatMap(f => [el('p', null, chip(f.outcome), ' ', f.text), replay(f.replay)]),
    !failures.length && c.gravest_replay && replay(c.gravest_replay)].flat().filter(Boolean));
  drawer.hidden = false;
}

function closeDrawer() {
  by('drawer').hidden = true;
  document.querySelectorAll('#cells button.open').forEach(b => b.classList.remove('open'));
}

function segments(id, field, choices) {
  const buttons = choices.map(([value, name]) => {
    const button = el('button', {type: 'button', 'aria-pressed': String(view[field] === value)}, name);
    button.addEventListener('click', () => {
      view[field] = value;
      buttons.forEach(b => b.setAttribute('aria-pressed', String(b === button)));
      drawMatrix();
    });
    return button;
  });
  by(id).append(...buttons);
}

function drawControls() {
  const modes = [...new Set(report.cells.map(c => c.mode))].sort(inOrder(modeOrder));
  if (modes.length > 1) segments('pick-mode', 'mode', [['', 'all modes'], ...modes.map(m => [m, m])]);
  else by('pick-mode').remove();
  segments('pick-measure', 'measure', [['ulp', 'worst ULP'], ['share', 'share of bound']]);
  by('pick-suite').append(...['', ...new Set(report.cells.map(c => c.suite).filter(Boolean))].map(s => el('option', {value: s}, s || 'all')));
  by('pick-suite').addEventListener('change', e => { view.suite = e.target.value; drawMatrix(); });
  by('filter').addEventListener('input', e => { view.filter = e.target.value; drawMatrix(); });
  by('only-wrong').addEventListener('change', e => { view.onlyWrong = e.target.checked; drawMatrix(); });
  document.addEventListener('keydown', e => { if (e.key === 'Escape') closeDrawer(); });
  new MutationObserver(drawMatrix).observe(document.documentElement, {attributeFilter: ['data-theme']});
}

drawHero();
drawTiles();
drawFailures();
drawLists();
drawPlacement();
drawVariants();
drawTiming();
drawIdentity();
drawBar();
if (report.cells.length || report.run.placements.length) {
  drawControls();
  drawMatrix();
} else {
  by('matrix').hidden = true;
}

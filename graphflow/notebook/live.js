// The browser's half of the live picture. Rows come from graphflow/notebook/rows.py:
//   [at, op, id, home, label, ...], with op  0 run starts   + activation or call starts   . it ends   > along an edge
//                                            s node skipped   ? waits for approval   ! got an answer to that
//                                            t piece of a model's text   m model answered   w retried   x run ends
// Ids are those of the picture's elements (data-id): the whole way to a node or edge.
// Laws: text is set by textContent, never parsed; the picture is parsed as XML, and only ours; memory is bounded.

const SVG = "http://www.w3.org/2000/svg";
const SIGNS = { running: "\u25B6", asking: "?", done: "\u2713", mixed: "!", failed: "\u2717", cancelled: "\u2298", skipped: "\u2013" };
const MOST_ENTRIES = 40, MOST_TOKENS = 40, MOST_ROWS = 20000, TAIL = 280;
const HIGH = 620; // of the picture, in pixels; one that is higher is scrolled
const LEAST_SCALE = 0.8; // below that, labels cannot be read
const stores = new Map(); // by the widget's own name: each call of ours is given another object for the same model

// -- what happened, folded to a state -------------------------------------------------------------------------------------
function fresh() {
  return { nodes: new Map(), used: new Map(), log: new Map(), speaking: new Map(), open: new Map(), asked: new Map(), status: "", at: 0, last: "" };
}

function nodeOf(state, id) {
  let node = state.nodes.get(id);
  if (!node) state.nodes.set(id, (node = { running: 0, asking: 0, done: 0, failed: 0, cancelled: 0, skipped: 0 }));
  return node;
}

function note(state, home, entry) {
  if (!home) return;
  let entries = state.log.get(home);
  if (!entries) state.log.set(home, (entries = []));
  entries.push(entry);
  if (entries.length > MOST_ENTRIES) entries.shift();
}

function use(state, edge) {
  state.used.set(edge, (state.used.get(edge) || 0) + 1);
}

// What one activation or call says stops when it ends, whatever its questions are.
function silence(state, number) {
  for (const [key, speaker] of state.speaking) if (speaker.number === number) state.speaking.delete(key);
}

const APPLY = {
  "0": (state, [, , , home, label, given]) => {
    state.status = "running";
    state.last = "the start";
    note(state, home, { label, given });
  },
  x: (state, [, , , home, status, answer]) => {
    state.status = status;
    state.last = "the end";
    state.speaking.clear();
    note(state, home, { label: status, given: answer });
  },
  "+": (state, [at, , id, home, label, given, number, edge]) => {
    if (id) nodeOf(state, id).running++;
    if (edge) use(state, edge);
    const entry = { label, given, number, how: "running", at };
    note(state, home, entry);
    state.open.set(number, entry);
  },
  ".": (state, [, , id, home, label, answer, number, how, seconds]) => {
    if (id) {
      const node = nodeOf(state, id);
      node.running = Math.max(0, node.running - 1);
      node[how]++;
    }
    const entry = state.open.get(number) || { label, number };
    state.open.delete(number);
    Object.assign(entry, { answer, how, seconds });
    if (entry.at === undefined) note(state, home, entry);
    silence(state, number);
  },
  s: (state, [, , id, home, label, given]) => {
    if (id) nodeOf(state, id).skipped++;
    note(state, home, { label, how: "skipped", given });
  },
  "?": (state, [, , id, home, label, answer, key]) => {
    if (id) nodeOf(state, id).asking++;
    const entry = { label, how: "asking", answer };
    state.asked.set(key, entry);
    note(state, home, entry);
  },
  "!": (state, [, , id, , , answer, key]) => {
    if (id) nodeOf(state, id).asking = Math.max(0, nodeOf(state, id).asking - 1);
    const entry = state.asked.get(key);
    state.asked.delete(key);
    if (entry) Object.assign(entry, { how: "answered", answer });
  },
  ">": (state, row) => {
    if (!row[6]) use(state, row[5]);
  },
  t: (state, [, , , home, label, text, channel, number, question]) => {
    const key = `${number} ${question}`;
    const before = channel === "restart" ? "" : state.speaking.get(key)?.text || "";
    if (channel === "text" || channel === "restart" || !before)
      state.speaking.set(key, { label, home, number, channel, text: (before + text).slice(-TAIL) });
  },
  m: (state, [, , , home, label, text, model, , number, question]) => {
    state.speaking.delete(`${number} ${question}`);
    if (text) note(state, home, { label: `${label}: ${model}`, how: "model", answer: text });
  },
  w: (state, [, , , home, label, given]) => note(state, home, { label, how: "tried again", given }),
};

function apply(state, row) {
  state.at = row[0];
  if (row[1] !== "t") state.last = row[4];
  APPLY[row[1]](state, row);
}

function stateName(node) {
  if (!node) return "waiting";
  if (node.asking) return "asking";
  if (node.running) return "running";
  if (node.failed && node.done) return "mixed";
  for (const name of ["failed", "done", "cancelled", "skipped"]) if (node[name]) return name;
  return "waiting";
}

// The name of a node on its way, without that of the outermost graph.
function nameOf(id) {
  return id.split(" > ").slice(1).join(" > ");
}

// -- one store for each widget: its rows survive its views and the kernel -------------------------------------------------
function storeOf(model) {
  const name = model.get("name");
  let store = stores.get(name);
  if (store) return store;
  store = { rows: [...(model.get("rows") || [])], ended: false, state: fresh(), position: 0, following: true, picked: null, views: new Set(), beyond: 0 };
  stores.set(name, store);
  for (const row of store.rows) apply(store.state, row);
  store.position = store.rows.length;
  model.on("msg:custom", (message) => {
    if (message.begin) {
      Object.assign(store, { rows: [], state: fresh(), position: 0, following: true, ended: false, beyond: 0 });
      for (const view of store.views) view.reset();
    } else if (message.rows) {
      take(store, message.rows);
    } else if (message.end) {
      store.ended = true;
      for (const view of store.views) view.paintBar();
    }
  });
  model.on("change:rows", () => {
    const rows = model.get("rows") || [];
    if (rows.length <= store.rows.length) return; // they have come one by one
    store.rows = [...rows];
    seek(store, rows.length);
  });
  return store;
}

function take(store, rows) {
  const room = Math.max(0, MOST_ROWS - store.rows.length);
  store.rows.push(...rows.slice(0, room));
  store.beyond += Math.max(0, rows.length - room);
  if (store.following) {
    for (const row of rows) apply(store.state, row);
    store.position = store.rows.length;
    for (const view of store.views) view.show(rows);
  } else {
    for (const view of store.views) view.paintBar();
  }
}

function seek(store, position) {
  const forward = position >= store.position;
  if (!forward) Object.assign(store, { state: fresh(), position: 0 });
  const rows = store.rows.slice(store.position, position);
  for (const row of rows) apply(store.state, row);
  store.position = position;
  store.following = position >= store.rows.length;
  for (const view of store.views) view.show(forward && rows.length <= 20 ? rows : null);
}

// -- a view ---------------------------------------------------------------------------------------------------------------
function make(kind, parent, name, text) {
  const element = document.createElement(kind);
  if (name) element.className = name;
  if (text !== undefined) element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

function parsed(text) {
  const page = new DOMParser().parseFromString(text, "image/svg+xml");
  const svg = page.documentElement;
  if (svg.nodeName !== "svg") return null;
  for (const bad of svg.querySelectorAll("script,foreignObject,iframe")) bad.remove();
  for (const element of svg.querySelectorAll("*"))
    for (const { name, value } of [...element.attributes])
      if (/^on/i.test(name) || (/href$/i.test(name) && !value.startsWith("#"))) element.removeAttribute(name);
  return document.importNode(svg, true);
}

class View {
  constructor(model, store, el) {
    Object.assign(this, { model, store, el, tokens: 0, playing: null, scrolled: -1e9, moved: false, looking: false });
    el.classList.add("gf-live");
    const body = make("div", el, "gf-body");
    this.picture = make("div", body, "gf-picture");
    this.picture.addEventListener("scroll", () => { // by a hand, or by us
      if (!this.moved) this.scrolled = performance.now();
      this.moved = false;
    });
    this.side = make("div", body, "gf-side");
    this.now = make("div", this.side, "gf-now");
    this.messages = make("div", this.side, "gf-messages");
    this.bar = make("div", el, "gf-bar");
    this.play = make("button", this.bar, "gf-play", "\u25B6");
    this.play.title = "play the walk again";
    this.slider = make("input", this.bar, "gf-slider");
    Object.assign(this.slider, { type: "range", min: 0, step: 1 });
    this.slider.setAttribute("aria-label", "how far the walk is shown");
    this.where = make("span", this.bar, "gf-where");
    this.status = make("span", this.bar, "gf-status");
    this.slider.addEventListener("input", () => { this.stop(); seek(store, Number(this.slider.value)); });
    this.slider.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow")) event.stopPropagation(); // else JupyterLab's notebook takes it away
    });
    this.play.addEventListener("click", () => (this.playing ? this.stop() : this.start()));
    this.draw();
    this.show(null);
    this.laid = new ResizeObserver(() => {
      if (!el.isConnected || !el.clientWidth) return;
      this.laid.disconnect();
      this.measure();
      this.show(null); // only now is it known where nodes are
    });
    this.laid.observe(el);
  }

  draw() {
    this.nodes = new Map();
    this.edges = new Map();
    const svg = parsed(this.model.get("svg"));
    if (!svg) return;
    svg.setAttribute("role", "group"); // there are buttons in it: it is no image
    this.picture.replaceChildren(svg);
    this.size(svg);
    this.layer = document.createElementNS(SVG, "g");
    (svg.querySelector("g") || svg).append(this.layer);
    for (const group of svg.querySelectorAll("[data-id]")) {
      const id = group.getAttribute("data-id");
      if (group.classList.contains("edge")) this.edges.set(id, { group, path: group.querySelector("path"), points: null });
      else this.addNode(id, group);
    }
  }

  // A picture is made smaller to fit as long as it can be read; beyond that it is scrolled.
  size(svg) {
    const { width, height } = svg.viewBox.baseVal;
    const [wide, tall] = [width * 4 / 3, height * 4 / 3]; // points to pixels
    svg.style.minWidth = `${Math.round(wide * LEAST_SCALE)}px`;
    svg.classList.toggle("gf-fit", tall * LEAST_SCALE <= HIGH);
  }

  // A sub-agent that is drawn open is an area and a dot in it: both are it.
  addNode(id, group) {
    const known = this.nodes.get(id);
    if (known) {
      known.groups.push(group);
      return;
    }
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    const pick = (event) => { event.preventDefault(); event.stopPropagation(); this.pick(id); };
    group.addEventListener("click", pick);
    group.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") pick(event); });
    this.nodes.set(id, { group, groups: [group], badge: null, shown: "" });
  }

  // Where nodes are is asked once and for all of them, before anything is written: each question after a change costs a layout.
  measure() {
    const boxes = [...this.nodes.values()].map((drawn) => [drawn, drawn.group.getBBox()]);
    for (const [drawn, box] of boxes) {
      drawn.badge = document.createElementNS(SVG, "text");
      drawn.badge.setAttribute("class", "gf-badge");
      drawn.badge.setAttribute("x", box.x + box.width - 2);
      drawn.badge.setAttribute("y", box.y + 3);
      drawn.badge.setAttribute("text-anchor", "middle");
      drawn.shown = "";
      this.layer.append(drawn.badge);
    }
    this.still = matchMedia("(prefers-reduced-motion:reduce)").matches;
  }

  reset() {
    this.stop();
    for (const [id] of this.nodes) this.paintNode(id);
    for (const [, edge] of this.edges) edge.group.classList.remove("gf-used");
    this.paintBar();
    this.paintSide();
  }

  // rows: what has just happened, so that only what it touched is painted; null: anything may have.
  show(rows) {
    if (rows) {
      for (const id of new Set(rows.map((row) => row[2]))) this.paintNode(id);
      const moves = rows.filter((row) => row[1] === ">" || (row[1] === "+" && row[7])).slice(-MOST_TOKENS);
      for (const row of moves) this.move(row[1] === ">" ? row[5] : row[7], row[1] === ">" && row[6]);
      const begun = rows.findLast((row) => row[1] === "+" && row[2]);
      if (begun) this.follow(begun[2]);
    } else {
      for (const [id] of this.nodes) this.paintNode(id);
      for (const [id, edge] of this.edges) edge.group.classList.toggle("gf-used", this.store.state.used.has(id));
    }
    this.paintSide();
    this.paintBar();
  }

  paintNode(id) {
    const drawn = this.nodes.get(id);
    if (!drawn) return;
    const node = this.store.state.nodes.get(id);
    const name = stateName(node);
    const ended = node ? node.done + node.failed + node.cancelled : 0;
    const count = name === "running" ? node.running : name === "asking" ? node.asking : ended;
    const shown = name === "waiting" ? "" : name + count;
    if (shown === drawn.shown) return;
    drawn.shown = shown;
    for (const group of drawn.groups) {
      for (const other of Object.keys(SIGNS)) group.classList.toggle("gf-is-" + other, other === name);
      group.dataset.state = name;
    }
    if (!drawn.badge) return; // not laid out yet
    drawn.badge.textContent = name === "waiting" ? "" : SIGNS[name] + (count > 1 ? count : "");
    const ink = { running: "run", asking: "ask", done: "done", mixed: "fail", failed: "fail" }[name] || "off";
    drawn.badge.style.fill = `var(--gl-${ink})`;
  }

  // Brings into view what has just begun, in a picture that is scrolled; not while somebody scrolls it.
  follow(id) {
    const drawn = this.nodes.get(id), pane = this.picture;
    if (!drawn || this.looking || performance.now() - this.scrolled < 3000) return;
    this.looking = true;
    requestAnimationFrame(() => {
      this.looking = false;
      if (pane.scrollHeight <= pane.clientHeight + 8) return;
      const box = drawn.group.getBoundingClientRect(), room = pane.getBoundingClientRect();
      if (box.top >= room.top && box.bottom <= room.bottom) return;
      this.moved = true;
      pane.scrollTop += box.top - room.top - room.height / 3;
    });
  }

  move(id, off) {
    const edge = this.edges.get(id);
    if (!edge || !edge.path) return;
    if (!off) edge.group.classList.add("gf-used");
    if (this.tokens >= MOST_TOKENS || this.still) return;
    if (!edge.points) {
      const length = edge.path.getTotalLength();
      const points = Array.from({ length: 9 }, (_, i) => edge.path.getPointAtLength((length * i) / 8));
      edge.points = edge.group.dataset.turned ? points.reverse() : points; // drawn from its head to its tail
    }
    const token = document.createElementNS(SVG, "circle");
    token.setAttribute("r", off ? 3 : 4.5);
    token.setAttribute("class", off ? "gf-token gf-off" : "gf-token");
    this.layer.append(token);
    this.tokens++;
    const frames = edge.points.map((p) => ({ transform: `translate(${p.x}px,${p.y}px)` }));
    const gone = () => { token.remove(); this.tokens--; };
    const moving = token.animate(frames, { duration: 650, easing: "ease-in-out" });
    moving.onfinish = gone;
    moving.oncancel = gone;
  }

  pick(id) {
    this.store.picked = this.store.picked === id ? null : id;
    for (const view of this.store.views) view.paintSide();
  }

  paintSide() {
    const { state, picked } = this.store;
    const speakers = [...state.speaking.values()].slice(-4);
    const names = speakers.map((speaker) => speaker.label);
    const apart = (speaker) => (names.indexOf(speaker.label) === names.lastIndexOf(speaker.label) ? "" : ` #${speaker.number.split(/[.c]/)[1]}`);
    this.now.replaceChildren();
    for (const speaker of speakers) {
      const say = make("div", this.now, "gf-say");
      make("b", say, "", speaker.label + apart(speaker) + (speaker.channel === "text" ? "" : ` (${speaker.channel})`));
      make("span", say, "gf-dim", speaker.text);
    }
    for (const [id, drawn] of this.nodes) for (const group of drawn.groups) group.classList.toggle("gf-picked", id === picked);
    const entries = picked === null ? null : state.log.get(picked) || [];
    const mark = picked === null ? "-" : [picked, entries.length, entries.map((e) => e.how).join()].join("\u0000");
    if (mark === this.mark) return;
    this.mark = mark;
    this.messages.replaceChildren();
    if (entries === null) {
      make("div", this.messages, "gf-hint", "Click a node to see its messages.");
      return;
    }
    make("h4", this.messages, "", nameOf(picked).slice(0, 200));
    if (!entries.length) make("div", this.messages, "gf-hint", "Nothing has come here yet.");
    for (const entry of [...entries].reverse()) this.paintEntry(entry, picked);
  }

  paintEntry(entry, picked) {
    const box = make("div", this.messages, "gf-entry");
    const head = make("div", box);
    make("span", head, "", (SIGNS[entry.how] ? SIGNS[entry.how] + " " : "") + (entry.label === nameOf(picked) ? entry.how || "" : entry.label));
    make("span", head, "gf-dim", entry.seconds === undefined ? "" : duration(entry.seconds));
    for (const [what, text] of [["in", entry.given], ["out", entry.answer]]) {
      if (text === undefined || text === "") continue;
      make("pre", box, "", text).dataset.what = what;
    }
  }

  paintBar() {
    const { rows, position, state, ended, beyond } = this.store;
    this.slider.max = rows.length;
    this.slider.value = position;
    this.slider.disabled = this.play.disabled = !rows.length;
    this.where.textContent = rows.length
      ? `${position} of ${rows.length} \u00B7 ${duration(state.at)} \u00B7 ${String(state.last).slice(0, 60)}` + (beyond ? ` (${beyond} more are not kept)` : "")
      : "nothing has run yet";
    this.status.textContent = state.status;
    this.status.dataset.status = state.status;
    this.el.dataset.status = state.status || "waiting";
    this.el.dataset.ended = ended;
  }

  start() {
    if (this.store.position >= this.store.rows.length) seek(this.store, 0);
    this.play.textContent = "\u275A\u275A";
    const pause = Math.max(25, Math.min(350, 12000 / this.store.rows.length));
    this.playing = setInterval(() => {
      if (this.store.position >= this.store.rows.length) return this.stop();
      seek(this.store, this.store.position + 1);
    }, pause);
  }

  stop() {
    clearInterval(this.playing);
    this.playing = null;
    this.play.textContent = "\u25B6";
  }
}

function duration(seconds) {
  return seconds < 0.001 ? `${Math.round(seconds * 1e6)} \u00B5s` : seconds < 1 ? `${(seconds * 1e3).toPrecision(3)} ms` : `${seconds.toFixed(2)} s`;
}

export default {
  initialize({ model }) {
    storeOf(model);
    return () => stores.delete(model.get("name"));
  },
  render({ model, el }) {
    const store = storeOf(model);
    const view = new View(model, store, el);
    store.views.add(view);
    return () => { view.stop(); view.laid.disconnect(); store.views.delete(view); };
  },
};

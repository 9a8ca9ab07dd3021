// Types into the page of chat.js, in a page of straw, and prints what it shows and what it sends: a line of JSON for each.
// Arguments: the path of chat.js, and the exchanges as JSON.

class Element {
  constructor(kind) {
    Object.assign(this, { kind, children: [], listeners: {}, value: "", textContent: "" });
    this.classList = { add() {} };
  }
  append(...more) { this.children.push(...more); }
  replaceChildren() { this.children = []; }
  remove() { this.gone = true; }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  setAttribute(name, value) { this[name] = value; }
  all(kind, found = []) {
    for (const child of this.children) {
      if (child.kind === kind) found.push(child);
      child.all(kind, found);
    }
    return found;
  }
}

globalThis.document = { createElement: (kind) => new Element(kind) };
const [path, exchanges] = process.argv.slice(2);
const page = (await import(path)).default;
const state = {
  title: "t", exchanges: [], state: "", message: "", draft: "", now: "", status: "", problem: "", questions: [], others: [],
};
const heard = {};
const say = (value) => console.log(JSON.stringify(value));
const model = {
  get: (name) => state[name],
  set: (name, value) => { state[name] = value; if (name === "request") say({ ...value, sent: 0 }); },
  save_changes() {},
  on: (name, listener) => { (heard[name] ||= []).push(listener); },
};
const become = (name, value) => {
  state[name] = value;
  for (const listener of heard[`change:${name}`]) listener();
};
const el = new Element("div");
page.render({ model, el });
become("exchanges", JSON.parse(exchanges));
say(el.all("p").map((each) => each.textContent));
const [line] = el.all("textarea");
const key = (more) => line.listeners.keydown({ key: "Enter", stopPropagation() {}, preventDefault() {}, ...more });
const click = (words) => {
  const found = el.all("button").filter((each) => each.textContent === words && !each.hidden);
  for (const button of found) button.listeners.click();
};
line.value = "hello";
key({ shiftKey: true });
key({});
line.value = "  ";
key({});
become("message", "hello");
become("state", "working");
line.value = "too early";
key({});
click("undo"); // which is not there now
become("now", "<i>Hel");
say(el.all("p").map((each) => each.textContent));
click("stop");
become("questions", [{ id: "q", about: "approval", title: "pay", lines: ["<b>5"], schema: {} }]);
become("state", "waiting");
say(el.all("div").map((each) => each.textContent).filter((text) => text.includes("<b>5")));
click("allow");
click("give up");
become("questions", []);
become("others", ["nap waits for the clock"]);
click("look again");
become("others", []);
line.value = "";
become("draft", "lost?");
become("state", "");
say([line.value]);
click("undo");

// Fills in the form of form.js in a page of straw, and prints what it sends: a line for each answer.
// Arguments: the path of form.js, and the questions as JSON.

class Element {
  constructor(kind) {
    Object.assign(this, { kind, children: [], listeners: {}, hidden: false, value: "", checked: false, textContent: "" });
    this.classList = { add() {} };
    this.role = "";
  }
  append(...more) {
    this.children.push(...more);
    if (this.kind === "select" && this.children.length === 1) this.value = "0";
  }
  replaceChildren() { this.children = []; }
  addEventListener(name, listener) { this.listeners[name] = listener; }
  setAttribute(name, value) { this[name] = value; }
  all(test, found = []) {
    for (const child of this.children) {
      if (test(child)) found.push(child);
      child.all(test, found);
    }
    return found;
  }
}

globalThis.document = { createElement: (kind) => new Element(kind) };
const [path, questions] = process.argv.slice(2);
const page = (await import(path)).default;
const state = { questions: JSON.parse(questions), status: "waiting", problem: "" };
const model = { get: (name) => state[name], set: (name, value) => { state[name] = value; }, save_changes() {}, on() {} };
const el = new Element("div");
page.render({ model, el });
const kinds = (kind) => el.all((each) => each.kind === kind);
const say = () => console.log(JSON.stringify({ ...state.answer, sent: 0 }));
const [form] = kinds("form");
const [first, second] = kinds("textarea");
const [arm] = kinds("select");
first.value = "fine";
form.listeners.submit({ preventDefault() {} });
say();
arm.value = "1";
arm.listeners.change();
second.value = "dull";
form.listeners.submit({ preventDefault() {} });
say();
for (const button of kinds("button").filter((each) => each.type === "button")) {
  state.answer = null;
  button.listeners.click();
  if (state.answer) say(); // what opens a field sends nothing
}

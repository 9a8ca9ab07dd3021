// The browser's half of a chat. What was said comes from graphflow/notebook/chat_view.py; what is wanted goes back as a request:
//   {what: "say", text}, {what: "answer", id, value, arm}, {what: "go on"}, {what: "undo"} or {what: "stop"}.
// questions.js stands before it.
// Law: text is set by textContent, never parsed.

const HINTS = {
  "": "Say something",
  working: "It is at work",
  waiting: "It waits for your answer above",
};

function render({ model, el }) {
  el.classList.add("gf-chat");
  const part = (kind, name, inside) => {
    const element = made(kind, "", inside || el);
    element.className = `gf-${name}`;
    return element;
  };
  part("div", "title").textContent = model.get("title");
  const talk = part("div", "talk");
  const status = part("div", "status");
  const questions = part("div", "questions");
  const problem = part("div", "problem");
  problem.setAttribute("role", "alert");
  const form = part("form", "line");
  const line = made("textarea", "", form);
  line.rows = 1;
  const ask = (what, more) => {
    model.set("request", { what, ...more, sent: Date.now() });
    model.save_changes();
  };
  const button = (words, what, inside) => {
    const made_ = made("button", words, inside || form);
    made_.type = what ? "button" : "submit";
    if (what) made_.addEventListener("click", () => ask(what));
    return made_;
  };
  const sayIt = button("say");
  const stop = button("stop", "stop");
  const undo = button("undo", "undo");
  const say = () => {
    if (!line.value.trim() || model.get("state")) return;
    ask("say", { text: line.value });
    line.value = "";
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    say();
  });
  line.addEventListener("keydown", (event) => {
    event.stopPropagation(); // the notebook has keys of its own
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    say();
  });

  const bubble = (name, words) => {
    const element = part("p", name, talk);
    element.textContent = words;
    return element;
  };
  // What is being said changes often: its bubble is kept, and the exchanges before it are not drawn anew.
  let now = null;
  const drawNow = () => {
    if (!model.get("now")) {
      if (now) now.remove();
      now = null;
      return;
    }
    if (!now) now = bubble("answer", "");
    now.textContent = model.get("now");
    talk.scrollTop = talk.scrollHeight;
  };
  const drawTalk = () => {
    talk.replaceChildren();
    now = null;
    for (const exchange of model.get("exchanges")) {
      bubble("said", exchange.message);
      const who = part("div", "who", talk);
      who.textContent = exchange.who;
      bubble("answer", exchange.answer);
    }
    if (model.get("message")) bubble("said", model.get("message"));
    drawNow();
    talk.scrollTop = talk.scrollHeight;
  };
  const drawQuestions = () => {
    questions.replaceChildren();
    for (const question of model.get("questions")) {
      const send = (value, arm) => ask("answer", { id: question.id, value, arm: arm || "" });
      const complain = (text) => { problem.textContent = text; };
      questions.append(questionForm(question, send, complain));
    }
    for (const words of model.get("others")) made("div", words, questions);
    if (model.get("others").length) button("look again", "go on", questions);
    // Who is asked must see it; on a page that is only opened, nothing moves.
    if (questions.children.length && model.get("state")) form.scrollIntoView?.({ block: "nearest" });
  };
  const drawState = () => {
    const state = model.get("state");
    line.disabled = sayIt.disabled = state !== "";
    line.placeholder = HINTS[state];
    stop.hidden = !state;
    stop.textContent = state === "waiting" ? "give up" : "stop";
    undo.hidden = !stop.hidden;
    undo.disabled = !model.get("exchanges").length;
    if (!state && model.get("draft") && !line.value) line.value = model.get("draft");
  };
  const follow = (names, draw) => {
    for (const name of names) model.on(`change:${name}`, draw);
    draw();
  };
  follow(["exchanges", "message"], drawTalk);
  follow(["now"], drawNow);
  follow(["questions", "others"], drawQuestions);
  follow(["state", "exchanges", "draft"], drawState);
  follow(["status"], () => { status.textContent = model.get("status"); });
  follow(["problem"], () => { problem.textContent = model.get("problem"); });
}

export default { render };

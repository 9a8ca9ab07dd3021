// The browser's half of the form of a run that waits. Questions come from graphflow/notebook/form.py; an answer goes back as
// {id, value, arm}. questions.js stands before it.
// Law: text is set by textContent, never parsed.

function render({ model, el }) {
  el.classList.add("gf-form");
  const draw = () => {
    el.replaceChildren();
    made("div", model.get("status"), el);
    for (const question of model.get("questions")) {
      const send = (value, arm) => {
        model.set("answer", { id: question.id, value, arm: arm || "", sent: Date.now() });
        model.save_changes();
      };
      el.append(questionForm(question, send, (text) => model.set("problem", text)));
    }
    const problem = made("div", model.get("problem"), el);
    problem.setAttribute("role", "alert");
  };
  model.on("change:questions", draw);
  model.on("change:status", draw);
  model.on("change:problem", () => {
    el.querySelector("[role=alert]").textContent = model.get("problem");
  });
  draw();
}

export default { render };

// Questions to a person, as a form and a chat both ask them: {id, about, title, lines, schema}. Each of them is put before the script
// that shows it.
// Laws: text is set by textContent, never parsed; what is wanted is read from the JSON schema, and is checked by the kernel.

function made(kind, text, inside) {
  const element = document.createElement(kind);
  if (text) element.textContent = text;
  if (inside) inside.append(element);
  return element;
}

// -- schemas --------------------------------------------------------------------------------------------------------------
function resolved(schema, whole) {
  if (!schema || typeof schema.$ref !== "string") return schema || {};
  let found = whole;
  for (const part of schema.$ref.replace("#/", "").split("/")) found = (found || {})[part];
  return { ...(found || {}), ...schema, $ref: undefined };
}

function armsOf(schema, whole) {
  return (schema.anyOf || schema.oneOf || []).map((arm) => resolved(arm, whole));
}

function nameOf(schema) {
  return String(schema.title || schema.const || schema.type || "JSON");
}

// -- inputs: each is {element, value()}; value() is undefined where nothing was typed ---------------------------------------
function typed(label, schema, write) {
  const row = made("label");
  made("span", label, row);
  const input = made(write || "input", "", row);
  return { row, input };
}

function choice(label, names) {
  const row = made("label");
  made("span", label, row);
  const select = made("select", "", row);
  names.forEach((name, number) => {
    const option = made("option", name, select);
    option.value = String(number);
  });
  return { row, select };
}

function field(label, given, whole, depth) {
  const schema = resolved(given, whole);
  const arms = armsOf(schema, whole);
  const some = arms.filter((arm) => arm.type !== "null");
  if (arms.length === 2 && some.length === 1) {
    const inner = field(label, { ...some[0], default: schema.default ?? null }, whole, depth);
    return { element: inner.element, value: () => inner.value() ?? null };
  }
  if (arms.length) return union(label, arms, whole, depth);
  if (schema.enum) {
    const { row, select } = choice(label, schema.enum.map(String));
    const usual = schema.enum.indexOf(schema.default);
    if (usual >= 0) select.value = String(usual);
    return { element: row, value: () => schema.enum[Number(select.value)] };
  }
  if (schema.type === "boolean") {
    const { row, input } = typed(label, schema);
    input.type = "checkbox";
    input.checked = schema.default === true;
    return { element: row, value: () => input.checked };
  }
  if (schema.type === "object" && schema.properties && depth < 4) return model(label, schema, whole, depth);
  return line(label, schema);
}

function line(label, schema) {
  const isText = schema.type === "string";
  const isNumber = schema.type === "integer" || schema.type === "number";
  const { row, input } = typed(isText || isNumber ? label : `${label} (JSON)`, schema, isText ? "textarea" : "input");
  if (isNumber) input.type = "number";
  if (isNumber) input.step = schema.type === "integer" ? "1" : "any";
  if (schema.default !== undefined && schema.default !== null) {
    input.value = isText ? schema.default : JSON.stringify(schema.default);
  }
  return {
    element: row,
    value: () => {
      if (isText) return input.value === "" && schema.default === null ? undefined : input.value;
      if (input.value.trim() === "") return undefined;
      return isNumber ? Number(input.value) : JSON.parse(input.value);
    },
  };
}

function model(label, schema, whole, depth) {
  const box = made("fieldset");
  made("legend", label, box);
  const parts = Object.entries(schema.properties).map(([name, inner]) => [name, field(name, inner, whole, depth + 1)]);
  for (const [, part] of parts) box.append(part.element);
  return {
    element: box,
    value: () => {
      const value = {};
      for (const [name, part] of parts) {
        const given = part.value();
        if (given !== undefined) value[name] = given;
      }
      return value;
    },
  };
}

function union(label, arms, whole, depth) {
  const box = made("div");
  const { row, select } = choice(label, arms.map(nameOf));
  const parts = arms.map((arm) => field(nameOf(arm), arm, whole, depth + 1));
  const show = () => parts.forEach((part, number) => (part.element.hidden = number !== Number(select.value)));
  box.append(row, ...parts.map((part) => part.element));
  select.addEventListener("change", show);
  show();
  const chosen = () => arms[Number(select.value)];
  const arm = () => (chosen().type === "object" ? String(chosen().title || "") : "");
  return { element: box, value: () => parts[Number(select.value)].value(), arm };
}

function approval(question, send, complain) {
  const box = made("div");
  box.className = "gf-buttons";
  const say = (words, value) => {
    const button = made("button", words, box);
    button.type = "button";
    button.addEventListener("click", () => send(value()));
    return button;
  };
  say("allow", () => ({ consent: "allow" }));
  say("always in this run", () => ({ consent: "always" }));
  const fields = question.arguments ? edited(question, send, complain, box) : [];
  const reason = made("input");
  reason.placeholder = "why not";
  say("deny", () => ({ consent: "deny", reason: reason.value }));
  box.append(reason, ...fields);
  return box;
}

// A yes to other arguments, typed as JSON: a button in the box, and the fields that it opens.
function edited(question, send, complain, box) {
  const change = made("button", "change it", box);
  const text = made("textarea");
  const allow = made("button", "allow it so");
  text.value = question.arguments;
  text.hidden = allow.hidden = true;
  change.type = allow.type = "button";
  change.addEventListener("click", () => {
    text.hidden = allow.hidden = !text.hidden;
  });
  allow.addEventListener("click", () => {
    try {
      send({ consent: "edit", arguments: JSON.parse(text.value) });
    } catch (error) {
      complain(`that is no JSON: ${error.message}`);
    }
  });
  return [text, allow];
}

// A question as a form. `send(value, arm)` is given the answer, `complain(text)` what is wrong with what was typed.
function questionForm(question, send, complain) {
  const box = made("form");
  box.className = "gf-question";
  made("strong", question.title, box);
  for (const text of question.lines) made("div", text, box).className = "gf-asked";
  box.addEventListener("keydown", (event) => event.stopPropagation()); // the notebook has keys of its own
  if (question.about === "approval") {
    box.addEventListener("submit", (event) => event.preventDefault()); // Enter is no clear yes
    box.append(approval(question, send, complain));
    return box;
  }
  const input = field("answer", question.schema, question.schema, 0);
  box.append(input.element);
  const button = made("button", "answer", box);
  button.type = "submit";
  box.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      send(input.value() ?? null, input.arm ? input.arm() : "");
    } catch (error) {
      complain(`that is no JSON: ${error.message}`);
    }
  });
  return box;
}

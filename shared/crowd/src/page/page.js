"use strict";

// ---- small tools -----------------------------------------------------------------------------------------------

const byId = (id) => document.getElementById(id);

/** Makes an element. Text is always text; properties are set as properties, `aria-…`, `role` and `for` as attributes. */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (/^(aria-|role$|for$)/.test(name)) node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children.filter((child) => child != null && child !== ""));
  return node;
}

const button = (text, onclick, className = "") => el("button", { type: "button", className, onclick }, text);
const money = (amount) => "$" + Number(amount || 0).toFixed(2);
const text = (value) => (value == null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value));
const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);
const own = (object, key) => (object != null && Object.hasOwn(object, key) ? object[key] : undefined);

/** The URL if it is one that may be shown or opened, else null. */
function webUrl(value) {
  try {
    const url = new URL(text(value), location.origin);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

function notice(message) {
  byId("notice").textContent = message;
  byId("notice").hidden = !message;
}

/** Shows a view and moves the focus to its heading, so that screen readers follow. */
function show(...children) {
  clearInterval(state.ticker);
  clearTimeout(state.refresh);
  byId("main").replaceChildren(...children);
  const heading = byId("main").querySelector("h1");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
  scrollTo(0, 0);
}

// ---- requester HTML --------------------------------------------------------------------------------------------

const PLAIN_TAGS = new Set("P BR HR B I U S EM STRONG SMALL SUB SUP CODE PRE BLOCKQUOTE UL OL LI DL DT DD TABLE CAPTION THEAD TBODY TR TD TH DIV SPAN FIGURE FIGCAPTION".split(" "));
const HEADINGS = { H1: "h3", H2: "h3", H3: "h4", H4: "h4", H5: "h5", H6: "h6" };
const DROPPED_TAGS = new Set("SCRIPT STYLE TEMPLATE NOSCRIPT IFRAME OBJECT EMBED SVG MATH FORM BUTTON SELECT TEXTAREA TITLE HEAD AUDIO VIDEO".split(" "));

/** Copies the harmless part of hostile HTML: known tags without their attributes, links and images with a web URL.
 *  DOMParser's document is inert: nothing in it loads or runs. */
function harmless(html) {
  const target = el("div", { className: "instructions" });
  copyChildren(new DOMParser().parseFromString(text(html), "text/html").body, target);
  // Without tags it is plain text, whose lines are its writer's.
  if (!target.children.length) target.classList.add("plain");
  return target;
}

function copyChildren(from, to) {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.append(node.data);
    if (node.nodeType !== Node.ELEMENT_NODE) continue;
    const tag = node.tagName.toUpperCase();
    if (DROPPED_TAGS.has(tag)) continue;
    let copy = to;
    if (HEADINGS[tag]) copy = el(HEADINGS[tag]);
    else if (PLAIN_TAGS.has(tag)) copy = el(tag);
    else if (tag === "A" && webUrl(node.getAttribute("href")))
      copy = el("a", { href: webUrl(node.getAttribute("href")), target: "_blank", rel: "noopener noreferrer nofollow" });
    else if (tag === "IMG" && /^https?:/i.test(node.getAttribute("src")) && webUrl(node.getAttribute("src")))
      copy = el("img", { src: webUrl(node.getAttribute("src")), alt: node.getAttribute("alt") || "" });
    copyChildren(node, copy);
    if (copy !== to) to.append(copy);
  }
}

const instructions = (html, open) => html && el("details", { open }, el("summary", {}, "Instructions"), harmless(html));

// ---- the worker API --------------------------------------------------------------------------------------------

const state = { token: sessionStorage.getItem("token"), pools: [], tasks: [], ticker: 0, refresh: 0 };

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function api(method, path, body) {
  const headers = {};
  if (state.token) headers.Authorization = "Worker " + state.token;
  if (body) headers["Content-Type"] = "application/json";
  const request = { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store" };
  let reply;
  try {
    reply = await fetch("/api/worker/v1" + path, request);
  } catch {
    throw new Refusal(0, "The server does not answer. Check your connection and try again.");
  }
  const answer = await reply.json().catch(() => ({}));
  if (reply.ok) return answer;
  if (state.token && (reply.status === 401 || answer.code === "AUTHENTICATION_ERROR")) signOut();
  throw new Refusal(reply.status, problems(answer) || "The server refused (status " + reply.status + ").");
}

/** The message of an error reply, with its fields. */
function problems(answer) {
  const fields = Object.entries(answer.payload || {}).filter(([, field]) => field && field.message);
  return [answer.message, ...fields.map(([name, field]) => name + ": " + field.message)].filter(Boolean).join(" · ");
}

/** Runs something that the worker asked for: one at a time, with problems shown on the page. */
async function attempt(action) {
  if (state.busy) return;
  state.busy = true;
  document.querySelectorAll("main button").forEach((node) => (node.disabled = true));
  notice("");
  try {
    await action();
  } catch (error) {
    notice(error.message);
    if (!(error instanceof Refusal)) console.error(error);
  } finally {
    state.busy = false;
    document.querySelectorAll("main button").forEach((node) => (node.disabled = false));
  }
}

// ---- signing in ------------------------------------------------------------------------------------------------

function inviteFromFragment() {
  const invite = new URLSearchParams(location.hash.slice(1)).get("invite");
  if (invite) {
    sessionStorage.setItem("invite", invite);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("invite") || "";
}

function line(label, props) {
  const input = el("input", { type: "text", ...props });
  return [input, el("label", { className: "line" }, el("span", {}, label), input)];
}

function signInView() {
  byId("who").hidden = true;
  const locale = new Intl.Locale(navigator.language || "en").maximize();
  const languages = [...new Set(navigator.languages.map((tag) => tag.slice(0, 2).toUpperCase()))];
  const [login, loginLine] = line("Login", { autocomplete: "username", required: true, autocapitalize: "none" });
  const [password, passwordLine] = line("Password", { type: "password", autocomplete: "current-password", required: true });
  const [invite, inviteLine] = line("Invitation code", { value: inviteFromFragment(), autocomplete: "off" });
  const [spoken, spokenLine] = line("Languages you read (EN, DE, …)", { value: languages.join(", ") });
  const [country, countryLine] = line("Country (two letters)", { value: locale.region || "", maxLength: 2 });
  const adult = el("input", { type: "checkbox" });
  const submit = async (event) => {
    event.preventDefault();
    await attempt(async () => {
      const profile = {
        languages: spoken.value.toUpperCase().split(/[\s,]+/).filter(Boolean),
        country: country.value.toUpperCase(),
        client_type: "BROWSER",
        adult_allowed: adult.checked,
      };
      const body = { login: login.value, password: password.value, invite: invite.value, profile };
      state.token = (await api("POST", "/workers", body)).token;
      sessionStorage.setItem("token", state.token);
      await home();
    });
  };
  const about = el("details", {}, el("summary", {}, "About you"), spokenLine, countryLine,
    el("label", { className: "option" }, adult, "Show me tasks with adult content"));
  show(el("form", { className: "card narrow", onsubmit: submit }, el("h1", {}, "Sign in"),
    el("p", { className: "soft" }, "New here? Choose a login and a password, and enter the code you were given."),
    loginLine, passwordLine, inviteLine, about, el("button", { type: "submit" }, "Sign in")));
}

function signOut() {
  state.token = null;
  sessionStorage.clear();
  signInView();
}

// ---- the list of pools -----------------------------------------------------------------------------------------

async function refreshMe() {
  const me = await api("GET", "/me");
  byId("login").textContent = me.login;
  byId("earned").textContent = money(me.earned);
  byId("who").hidden = false;
  return me;
}

async function home() {
  const [me, pools, active] = await Promise.all([refreshMe(), api("GET", "/pools"), api("GET", "/assignments?status=ACTIVE")]);
  state.pools = pools.items;
  const cards = active.items.map(activeCard).concat(state.pools.map(poolCard));
  const nothing = me.banned ? "You can no longer take tasks here." : "There is nothing to do right now. This page looks again every half minute.";
  show(el("h1", {}, "Tasks for you"), ...(cards.length ? cards : [el("p", { className: "card" }, nothing)]));
  // Not while somebody reads: a list with something in it stays as it is.
  if (!cards.length) state.refresh = setTimeout(() => attempt(home), 30_000);
}

function poolCard(pool) {
  const pay = pool.training ? "training, unpaid" : pool.reward > 0 ? money(pool.reward) + " a page" : "unpaid";
  const minutes = Math.max(1, Math.round(pool.assignment_max_duration_seconds / 60));
  return el("section", { className: "card" },
    el("div", { className: "row" }, el("h2", {}, text(pool.title)), el("span", { className: "badge" }, pay)),
    el("p", {}, text(pool.description)),
    el("p", { className: "soft" }, "You have " + minutes + " min for a page."),
    instructions(pool.instructions, false),
    button(pool.training ? "Start training" : "Start", () => attempt(() => take(pool))));
}

function activeCard(assignment) {
  return el("section", { className: "card" },
    el("div", { className: "row" }, el("h2", {}, "You have a page in work"), el("span", { className: "badge" }, assignment.tasks.length + " tasks")),
    button("Continue", () => attempt(async () => work(assignment))));
}

async function take(pool) {
  const taken = await api("POST", "/pools/" + encodeURIComponent(pool.pool_id) + "/assignments");
  if (taken.assignment) return work(taken.assignment, pool, true);
  await home();
  notice(taken.reason || "There are no more tasks for you in this pool.");
}

// ---- a page of tasks -------------------------------------------------------------------------------------------

function work(assignment, pool, fresh) {
  // A pool that was closed meanwhile is no longer listed, but its page can still be finished.
  const key = "pool:" + assignment.pool_id;
  pool ||= state.pools.find((listed) => listed.pool_id === assignment.pool_id) || JSON.parse(sessionStorage.getItem(key));
  if (!pool && assignment.task_spec) pool = { title: "Your page in work", ...assignment };
  if (!pool) throw new Refusal(0, "This page cannot be shown any more. It goes to somebody else when its time is over.");
  sessionStorage.setItem(key, JSON.stringify(pool));
  const config = viewConfig(pool.task_spec);
  const drafts = JSON.parse(sessionStorage.getItem("draft:" + assignment.id) || "[]");
  state.assignment = assignment;
  state.config = config;
  state.hotkeys = hotkeys(config);
  state.tasks = assignment.tasks.map((task, index) => taskView(task, index, drafts[index] || {}, pool.task_spec));
  const timer = el("span", { className: "timer", role: "timer" });
  state.progress = el("span", { className: "soft", "aria-live": "polite" });
  const give = (way) => attempt(() => giveBack(way));
  show(el("h1", {}, text(pool.title)), instructions(pool.instructions, fresh && !sessionStorage.getItem("read:" + assignment.pool_id)),
    el("div", { className: "bar top row" }, state.progress, timer), ...state.tasks.map((task) => task.node),
    el("div", { className: "bar bottom row" }, button("Submit", () => attempt(() => submit(pool))),
      el("span", { className: "facts" }, button("Skip", () => give("skip"), "quiet"), button("Leave", () => give("exit"), "quiet"))));
  sessionStorage.setItem("read:" + assignment.pool_id, "yes");
  const until = deadline(assignment, fresh);
  state.ticker = setInterval(() => tick(timer, until), 1000);
  tick(timer, until);
  state.tasks.forEach((task) => task.fields.forEach((field) => field.sync()));
  activate(state.tasks.find((task) => !answered(task)) || state.tasks[0]);
}

/** When the page expires on this computer's clock, which may be wrong: a fresh page has all its time left. */
function deadline(assignment, fresh) {
  const [created, expires] = [assignment.created, assignment.expires].map((time) => Date.parse(time + "Z"));
  return fresh ? Date.now() + (expires - created) : Math.min(expires, Date.now() + (expires - created));
}

function tick(timer, until) {
  const left = Math.max(0, Math.ceil((until - Date.now()) / 1000));
  timer.textContent = left ? Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0") + " left" : "Time is over";
  timer.classList.toggle("late", left < 30);
}

async function submit(pool) {
  const wrong = state.tasks.filter((task) => !validate(task));
  if (wrong.length) {
    activate(wrong[0], true);
    throw new Refusal(0, wrong.length === 1 ? "One task needs an answer." : wrong.length + " tasks need an answer.");
  }
  const { id, reward, training } = state.assignment;
  const solutions = state.tasks.map((task) => ({ output_values: task.output }));
  let result;
  try {
    result = await api("POST", "/assignments/" + id + "/submit", { solutions });
  } catch (error) {
    if (error.status === 409) await home();
    throw error;
  }
  if (result.status === "ACTIVE") return showHints(result.hints || []);
  sessionStorage.removeItem("draft:" + id);
  await refreshMe();
  await take(pool);
  if (!byId("notice").textContent) notice(training ? "Well done." : "Thank you! " + (reward > 0 ? money(reward) + (result.status === "ACCEPTED" ? " earned." : " when it is accepted.") : ""));
}

function showHints(hints) {
  state.tasks.forEach((task) => (task.hint.hidden = true));
  for (const hint of hints) {
    const task = state.tasks[hint.task_index];
    if (!task) continue;
    task.hint.textContent = "Not right yet. " + (hint.message || "");
    task.hint.hidden = false;
  }
  activate(state.tasks[hints[0]?.task_index] || state.tasks[0], true);
  if (!hints.length) notice("Some answers are not right yet. Correct them and submit again.");
}

async function giveBack(way) {
  await api("POST", "/assignments/" + state.assignment.id + "/" + way);
  sessionStorage.removeItem("draft:" + state.assignment.id);
  await home();
}

// ---- one task --------------------------------------------------------------------------------------------------

function taskView(data, index, output, spec) {
  const task = { index, input: data.input_values, output, fields: [] };
  task.hint = el("p", { className: "hint", role: "status", hidden: true });
  const content = state.config ? render(own(state.config, "view"), task) : plainView(task, spec);
  const title = el("h2", { id: "task-" + index }, "Task " + (index + 1));
  task.node = el("section", { className: "card task", "aria-labelledby": "task-" + index }, title, task.hint, content);
  task.node.addEventListener("focusin", () => activate(task));
  task.node.addEventListener("pointerdown", () => activate(task));
  return task;
}

function activate(task, scroll) {
  if (!task) return;
  state.active = task;
  state.tasks.forEach((other) => other.node.classList.toggle("active", other === task));
  if (scroll) task.node.scrollIntoView({ block: "nearest" });
  state.progress.textContent = state.tasks.filter(answered).length + " of " + state.tasks.length + " answered";
}

const missing = (field, task) => {
  const value = getPath(task.output, field.path);
  if (value == null || value === "" || (Array.isArray(value) && !value.length)) return true;
  return typeof value === "object" && field.flags === true && !Object.values(value).includes(true);
};

/** A task counts as answered when nothing that it requires is missing, and something was entered at all. */
function answered(task) {
  const required = task.fields.filter((field) => field.required);
  return required.length ? !required.some((field) => missing(field, task)) : Object.keys(task.output).length > 0;
}

function validate(task) {
  let valid = true;
  for (const field of task.fields) {
    const wrong = field.required && missing(field, task);
    field.error.hidden = !wrong;
    field.error.textContent = wrong ? field.hint || "Please answer this." : "";
    valid &&= !wrong;
  }
  return valid;
}

function getPath(object, path) {
  return path.split(".").reduce((value, key) => own(value, key), object);
}

function setPath(object, path, value) {
  const keys = path.split(".");
  if (keys.some((key) => key === "__proto__")) return;
  const last = keys.pop();
  for (const key of keys) object = own(object, key) && typeof object[key] === "object" ? object[key] : (object[key] = {});
  // A value that is not set is absent, never null.
  if (value === undefined || value === "") delete object[last];
  else object[last] = value;
}

/** Stores an answer; the next task that lacks one becomes the active one. */
function answer(task, path, value, advance) {
  setPath(task.output, path, value);
  task.hint.hidden = true;
  notice("");
  for (const field of task.fields) {
    field.sync();
    if (field.path === path) field.error.hidden = true;
  }
  sessionStorage.setItem("draft:" + state.assignment.id, JSON.stringify(state.tasks.map((other) => other.output)));
  const open = (other) => !answered(other);
  const next = state.tasks.slice(task.index).find(open) || state.tasks.find(open);
  activate(advance && next ? next : task, advance);
}

// ---- Template Builder ------------------------------------------------------------------------------------------

function viewConfig(spec) {
  const view = own(spec, "view_spec") || {};
  if (view.type !== "tb" && !view.config) return null;
  try {
    return typeof view.config === "string" ? JSON.parse(view.config) : view.config;
  } catch {
    return null;
  }
}

/** Follows `{"$ref": "vars.name"}`. */
function deref(node) {
  for (let hops = 0; hops < 16 && own(node, "$ref"); hops++) node = getPath(state.config, String(node.$ref));
  return node;
}

class Unsupported extends Error {}

/** Counts what is built for a task: references can make a small config endless. */
function spend(task) {
  task.nodes = (task.nodes || 0) + 1;
  if (task.nodes > 5000) throw new Unsupported("more than a page can hold");
}

/** The value of a property: a constant, or what a data component or helper gives. */
function value(node, task) {
  node = deref(node);
  if (node == null || typeof node !== "object" || Array.isArray(node) || !own(node, "type")) return node;
  spend(task);
  const path = text(deref(node.path));
  switch (node.type) {
    case "data.input":
      return (path ? getPath(task.input, path) : task.input) ?? value(node.default, task);
    case "data.output":
      return getPath(task.output, path) ?? value(node.default, task);
    case "helper.join":
      return (deref(node.items) || []).map((item) => text(value(item, task))).join(text(value(node.by, task)));
    default:
      throw new Unsupported(node.type);
  }
}

/** Builds a component. What cannot be built, or is broken, leaves a box that says so; the rest of the page works. */
function render(node, task) {
  const component = deref(node);
  const type = text(own(component, "type"));
  try {
    spend(task);
    if (!Object.hasOwn(COMPONENTS, type)) throw new Unsupported(type || "without a type");
    return COMPONENTS[type](component, task);
  } catch (error) {
    const what = error instanceof Unsupported ? error.message : type + " (" + error.message + ")";
    return el("p", { className: "unsupported" }, "Unsupported component: " + what + ". Skip this page if you cannot answer without it.");
  }
}

const COMPONENTS = {
  "view.list": (node, task) =>
    el("div", { className: "list" + (value(node.direction, task) === "horizontal" ? " across" : "") },
      ...(deref(node.items) || []).map((item) => render(item, task))),
  "view.text": (node, task) => labelled(node, task, el("p", { className: "text" }, text(value(node.content, task)))),
  "view.markdown": (node, task) => labelled(node, task, el("p", { className: "text" }, text(value(node.content, task)))),
  "view.image": (node, task) => labelled(node, task, picture(value(node.url, task), task)),
  "field.radio-group": (node, task) => choiceField(node, task, "options", listedOptions(node, task)),
  "field.button-radio-group": (node, task) => choiceField(node, task, "buttons", listedOptions(node, task)),
  "field.select": (node, task) => choiceField(node, task, "options", listedOptions(node, task)),
  "field.checkbox-group": (node, task) => flagsField(node, task),
  "field.text": (node, task) => textField(node, task, el("input", { type: "text" })),
  "field.textarea": (node, task) => textField(node, task, el("textarea", { rows: 3 })),
};

function labelled(node, task, content) {
  const label = text(value(node.label, task));
  return label ? el("div", {}, el("span", { className: "label" }, label), content) : content;
}

function picture(url, task) {
  const source = webUrl(url);
  if (!source || !text(url)) return el("p", { className: "unsupported" }, "This task has no image that can be shown.");
  const image = el("img", { className: "picture", alt: "Image of task " + (task.index + 1), loading: "lazy", referrerPolicy: "no-referrer" });
  image.onerror = () => image.replaceWith(el("p", { className: "unsupported" }, "The image did not load. Skip this page if it stays so."));
  image.src = source;
  return image;
}

function listedOptions(node, task) {
  return (deref(node.options) || []).map(deref).map((option) => {
    const stored = value(option.value, task);
    return { value: stored, label: text(value(option.label, task) ?? stored) };
  });
}

/** What all fields share: where they write, whether they must be answered, how they complain. */
function newField(node, task) {
  const data = deref(node.data);
  if (own(data, "type") !== "data.output") throw new Unsupported("a field that writes to " + text(own(data, "type")));
  const condition = deref(node.validation);
  const error = el("p", { className: "invalid", role: "alert", hidden: true });
  const hint = text(value(own(condition, "hint"), task));
  const field = { path: text(deref(data.path)), required: own(condition, "type") === "condition.required", hint, error, sync() {} };
  const start = value(data.default, task);
  if (start !== undefined && getPath(task.output, field.path) === undefined) setPath(task.output, field.path, start);
  task.fields.push(field);
  return field;
}

function group(node, task, field, className, rows) {
  const label = text(value(node.label, task));
  const hint = text(value(node.hint, task));
  return el("fieldset", label ? {} : { "aria-label": "Answer" }, label && el("legend", {}, label),
    hint && el("p", { className: "soft" }, hint), el("div", { className }, ...rows), field.error);
}

function choiceField(node, task, className, options) {
  const field = newField(node, task);
  field.options = options;
  const name = "task-" + task.index + "-" + field.path;
  const inputs = options.map((option) => el("input", { type: "radio", name, onchange: () => answer(task, field.path, option.value) }));
  field.sync = () => inputs.forEach((input, n) => (input.checked = same(getPath(task.output, field.path), options[n].value)));
  const key = (n) => keyOf(task, field, options[n].value, n);
  const rows = options.map((option, n) => el("label", { className: "option" }, inputs[n], el("span", {}, option.label), key(n) && el("kbd", {}, key(n))));
  return group(node, task, field, className, rows);
}

function flagsField(node, task) {
  const field = newField(node, task);
  field.flags = true;
  const options = listedOptions(node, task);
  const chosen = () => getPath(task.output, field.path) || {};
  const flip = (option, on) => answer(task, field.path, { ...chosen(), [text(option.value)]: on });
  const inputs = options.map((option) => el("input", { type: "checkbox", onchange: (event) => flip(option, event.target.checked) }));
  field.sync = () => inputs.forEach((input, n) => (input.checked = own(chosen(), text(options[n].value)) === true));
  const rows = options.map((option, n) => el("label", { className: "option" }, inputs[n], el("span", {}, option.label)));
  return group(node, task, field, "options", rows);
}

function textField(node, task, input) {
  const field = newField(node, task);
  input.placeholder = text(value(node.placeholder, task));
  input.oninput = () => answer(task, field.path, field.parse ? field.parse(input.value) : input.value);
  field.sync = () => {
    if (document.activeElement !== input) input.value = text(getPath(task.output, field.path));
  };
  const label = text(value(node.label, task)) || "Your answer";
  return el("div", {}, el("label", { className: "line" }, el("span", {}, label), input), field.error);
}

/** A project without a Template Builder view: its own markup and script are never run, so its inputs are listed and
 *  its outputs asked for by their specification. */
function plainView(task, spec) {
  const parts = Object.entries(task.input || {}).map(([name, given]) => {
    const shown = own(own(spec, "input_spec"), name);
    if (own(shown, "hidden")) return "";
    const isImage = own(shown, "type") === "url" || /^https?:\S+\.(png|jpe?g|gif|webp)$/i.test(text(given));
    return labelled({ label: name }, task, isImage ? picture(given, task) : el("p", { className: "text" }, text(given)));
  });
  for (const [name, field] of Object.entries(own(spec, "output_spec") || {})) {
    if (field.hidden) continue;
    const node = { label: name, data: { type: "data.output", path: name } };
    if (field.required !== false) node.validation = { type: "condition.required" };
    const allowed = field.allowed_values || (field.type === "boolean" ? [true, false] : null);
    if (allowed) parts.push(choiceField(node, task, "buttons", allowed.map((stored) => ({ value: stored, label: text(stored) }))));
    else {
      parts.push(textField(node, task, el("input", { type: "text" })));
      const number = (typed) => (typed.trim() === "" ? undefined : Number.isFinite(Number(typed)) ? Number(typed) : typed);
      if (field.type === "integer" || field.type === "float") task.fields.at(-1).parse = number;
    }
  }
  return el("div", { className: "list" }, ...parts.filter(Boolean));
}

// ---- keyboard --------------------------------------------------------------------------------------------------

/** The keys that the project's `plugin.hotkeys` sets: key → {path, payload}. Null if the project has none. */
function hotkeys(config) {
  const plugins = (deref(own(config, "plugins")) || []).map(deref).filter((plugin) => own(plugin, "type") === "plugin.hotkeys");
  if (!plugins.length) return null;
  const keys = new Map();
  for (const [key, node] of plugins.flatMap((plugin) => Object.entries(plugin))) {
    const action = deref(node);
    if (own(action, "type") !== "action.set") continue;
    keys.set(key.toLowerCase(), { path: text(own(deref(action.data), "path")), payload: deref(action.payload) });
  }
  return keys;
}

/** The key that chooses an option: the project's, else its number in the task's first list of options. */
function keyOf(task, field, option, n) {
  if (state.hotkeys) {
    const found = [...state.hotkeys].find(([, action]) => action.path === field.path && same(action.payload, option));
    return found ? found[0] : "";
  }
  return task.fields.find((other) => other.options) === field && n < 9 ? String(n + 1) : "";
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !state.active?.node.isConnected || state.busy) return;
  if (event.target.matches?.("input[type=text], input[type=password], textarea, select")) return;
  const task = state.active;
  const pressed = event.key.toLowerCase();
  let action = state.hotkeys?.get(pressed);
  if (!state.hotkeys && /^[1-9]$/.test(pressed)) {
    const field = task.fields.find((candidate) => candidate.options);
    const option = field?.options[Number(pressed) - 1];
    if (option) action = { path: field.path, payload: option.value };
  }
  if (!action) return;
  event.preventDefault();
  answer(task, action.path, action.payload, true);
});

// ---- start -----------------------------------------------------------------------------------------------------

byId("sign-out").onclick = signOut;
// A notice is read before the next click; then it is in the way.
document.addEventListener("pointerdown", () => notice(""));
if (state.token) {
  inviteFromFragment();
  attempt(home).then(() => byId("main").hasChildNodes() || signInView());
} else {
  signInView();
}

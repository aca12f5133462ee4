// Updates the list from events, and sends forms without leaving the page. The site works without this script too.

const list = document.querySelector("#links");
const state = document.querySelector("#state");
const news = document.querySelector("#news");

if (list) {
  // The browser reconnects by itself, and sends the id of the last event.
  const events = new EventSource(`/events?after=${list.dataset.after}`);
  // Every link follows: the others were deleted while the page was disconnected.
  events.addEventListener("replay", () => [...list.children].forEach((item) => (item.dataset.doubtful = "")));
  events.addEventListener("current", () => keepingFocus(() =>
    list.querySelectorAll("[data-doubtful]").forEach((item) => item.remove())));
  events.addEventListener("upserted", ({ data }) => keepingFocus(() => upsert(parse(data))));
  events.addEventListener("deleted", ({ data }) => keepingFocus(() => remove(data)));
  events.addEventListener("dust", ({ data }) =>
    show(data, data === "live" ? "Live" : "The store is away. This is what it said last."));
  events.addEventListener("error", () => show("away", "The site does not answer. Trying again."));
}

const editing = document.querySelector("[data-events]");

if (editing) {
  const events = new EventSource(editing.dataset.events);
  // The current state comes first. The form was rendered from it, unless the link has changed since.
  events.addEventListener("upserted", ({ data }) => {
    const link = JSON.parse(data);
    const fields = [...editing.querySelectorAll("input:not([type=hidden])")];
    if (fields.some(({ name, defaultValue }) => (link[name] ?? "") !== defaultValue))
      tell("Someone else has changed this link meanwhile.", true);
  });
  events.addEventListener("deleted", () => tell("Someone else has deleted this link.", true));
}

function show(name, text) {
  state.dataset.state = name;
  state.textContent = text;
}

function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
}

function upsert(item) {
  const old = document.getElementById(item.id);
  old?.removeAttribute("data-doubtful");
  if (old?.outerHTML === item.outerHTML) return;
  const next = [...list.children].find(({ dataset }) => dataset.slug > item.dataset.slug);
  if (old) old.replaceWith(item);
  else list.insertBefore(item, next ?? null);
  item.classList.add("fresh");
  item.addEventListener("animationend", () => item.removeAttribute("class"), { once: true });
  tell(`${item.querySelector(".title").textContent} was ${old ? "changed" : "added"}.`);
}

function remove(slug) {
  const item = document.getElementById(`link-${slug}`);
  if (!item) return;
  tell(`${item.querySelector(".title").textContent} was deleted.`);
  item.remove();
}

// Announces changes to screen readers, and shows failures to everyone.
function tell(text, failed = false) {
  news.textContent = text;
  news.className = failed ? "failed" : "unseen";
}

// Keeps the focus on a button of an item when the item is replaced, and moves it to the next item after a removal.
function keepingFocus(change) {
  const item = document.activeElement?.closest("#links > li");
  if (!item) return change();
  const place = [...list.children].indexOf(item);
  const control = [...item.querySelectorAll("a, button")].indexOf(document.activeElement);
  change();
  if (item.isConnected) return;
  const heir = document.getElementById(item.id) ?? list.children[Math.min(place, list.children.length - 1)];
  (heir?.querySelectorAll("a, button")[control] ?? document.querySelector("#all")).focus();
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.api) return;
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(form));
  const body = form.dataset.method === "DELETE" ? undefined : JSON.stringify(fields);
  let answer;
  try {
    const headers = { "content-type": "application/json" };
    answer = await fetch(form.dataset.api, { method: form.dataset.method, headers, body });
  } catch {
    return refuse(form, { message: "The site does not answer. Please try again in a moment." });
  }
  if (!answer.ok) return refuse(form, await answer.json().catch(() => ({ message: "Something went wrong here." })));
  if (form.dataset.method === "PATCH") return location.assign("/");
  refuse(form, {});
  if (form.dataset.method === "POST") {
    form.reset();
    form.querySelector("input").focus();
  }
});

// Shows the errors beside their fields, and moves the focus to the first.
function refuse(form, { message = "", errors = {} }) {
  const alert = form.querySelector(".alert");
  if (!alert) return tell(message, Boolean(message));
  alert.textContent = message;
  for (const input of form.querySelectorAll("input:not([type=hidden])")) {
    const messages = errors[input.name] ?? [];
    document.getElementById(`${input.name}-error`).textContent = messages.join(", ");
    if (messages.length) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
  form.querySelector("[aria-invalid]")?.focus();
}

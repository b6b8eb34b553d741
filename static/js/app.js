// All behaviour of the pages: one module, no framework. It listens once on the document, so swapped content
// needs no set-up. Pages work without it; every shortcut clicks a control that is there to be seen.
//
// What the markup may say:
//   data-drawer          a link whose htmx answer opens in the drawer        data-peek     the same, docked, arrow keys go on
//   data-open="id"       opens that dialog        data-close   closes the dialog around it
//   data-key="a"         this key clicks it       data-go="m"  `g` then this key follows it      data-slash  `/` focuses it
//   data-region          a place whose content is swapped: focus goes to its first invalid field, else its [data-focus]
//   data-plain           a button that sends its form without htmx
//   data-mod-enter       a form that Ctrl Enter sends       data-draft="name"   what is typed in it survives a sign-out
//   data-copy="id"       copies the value of that field   data-secret  its value goes when the page is left
//   data-until="ISO"     its text is the time left          data-ends           its text is the end of the chosen length

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const isTyping = (target) =>
  target.closest?.("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]");
const wide = matchMedia("(min-width: 720px)");

// ---- The reader's time zone, for the server

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (zone && !document.cookie.includes(`zone=${encodeURIComponent(zone)}`)) {
  document.cookie = `zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
}

// ---- Progress line

let running = 0;

document.addEventListener("htmx:before:request", () => {
  running += 1;
  $("#loading").classList.add("on");
});

document.addEventListener("htmx:finally:request", () => {
  running = Math.max(0, running - 1);
  if (running === 0) $("#loading").classList.remove("on");
});

// ---- Toasts: what was done, with Undo inside when the server put it there; also for what failed

function toast(text, { reload = false } = {}) {
  const note = document.createElement("div");
  note.className = "toast";
  note.append(text);
  if (reload) {
    const again = document.createElement("a");
    again.className = "btn sm";
    again.href = location.href;
    again.textContent = "Reload";
    note.append(again);
  }
  $("#toasts").replaceChildren(note);
  $("#live").textContent = text;
  showToasts();
}

function showToasts() {
  const box = $("#toasts");
  if (!box.children.length) return;
  if (box.matches(":popover-open")) box.hidePopover();
  box.showPopover();
  hideToastsLater(box);
}

function hideToastsLater(box) {
  clearTimeout(box.timer);
  box.timer = setTimeout(() => {
    if (box.matches(":hover, :focus-within")) return hideToastsLater(box);
    box.hidePopover();
    box.replaceChildren();
  }, 7000);
}

document.addEventListener("htmx:response:error", (event) => {
  const { response, text } = event.detail.ctx;
  if (response.status === 422) return;
  const isSentence = response.headers.get("Content-Type")?.startsWith("text/plain");
  const said = isSentence && text ? text : "That did not work. Nothing was changed. Try again.";
  toast(said, { reload: response.status === 409 });
});

document.addEventListener("htmx:error", (event) => {
  if (event.detail.ctx) toast("No connection. Nothing was changed.");
});

// ---- Drawer, peek and dialogs

async function openIn(link) {
  const drawer = $("#drawer");
  const docked = link.matches("[data-peek]");
  if (!link.hasAttribute("hx-get")) await htmx.ajax("GET", link.href, { target: "#drawer-body" });
  drawer.opener = link;
  drawer.classList.toggle("peek", docked);
  if (!drawer.open) docked && wide.matches ? drawer.show() : drawer.showModal();
  focusInside($("#drawer-body"));
}

function openDialog(id) {
  const dialog = $(`#${id}`);
  if (dialog.open) return;
  dialog.opener = document.activeElement;
  dialog.showModal();
  if (id === "palette") {
    $("#palette-q").value = "";
    htmx.trigger($("form", dialog), "palette-open");
  }
}

function markPeek(link) {
  $$("a[data-peek][aria-current]").forEach((other) => other.removeAttribute("aria-current"));
  link?.setAttribute("aria-current", "true");
}

function openNav(isOpen) {
  $("#side").classList.toggle("open", isOpen);
  $("[data-nav-open]").setAttribute("aria-expanded", isOpen);
  (isOpen ? $("[data-nav-close]") : $("[data-nav-open]")).focus();
}

function isOutside(dialog, event) {
  const box = dialog.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

document.addEventListener("click", (event) => {
  const target = event.target;
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
  const peek = target.closest("a[data-peek]");
  if (peek && isPlain) {
    event.preventDefault();
    markPeek(peek);
    openIn(peek);
  }
  const opener = target.closest("[data-open]");
  if (opener && isPlain) {
    event.preventDefault();
    openDialog(opener.dataset.open);
  }
  const closer = target.closest("[data-close]");
  if (closer?.closest("dialog")) {
    event.preventDefault();
    closer.closest("dialog").close();
  }
  if (target.closest("[data-nav-open]")) openNav(true);
  if (target.closest("[data-nav-close]")) openNav(false);
  if (target.closest("[data-queue-toggle]")) toggleQueue();
  const stepper = target.closest("[data-step]");
  if (stepper) step(Number(stepper.dataset.step));
  if (target.closest(".q a")) $(".rv")?.classList.remove("show-queue");
  if (target.matches("dialog:modal") && isOutside(target, event)) target.close();
});

document.addEventListener(
  "close",
  (event) => {
    const opener = event.target.opener;
    markPeek(null);
    // What opened it may have been swapped meanwhile: its successor has the same id.
    (opener?.isConnected ? opener : opener?.id && document.getElementById(opener.id))?.focus();
  },
  true,
);

function toggleQueue() {
  $(".rv").classList.toggle("show-queue");
  $(".q[aria-current]")?.scrollIntoView({ block: "center" });
}

// ---- hx-confirm in our own dialog: the first sentence is the title, the rest explains, data-ok names the deed

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx?.confirm) return;
  event.preventDefault();
  const dialog = $("#confirm");
  const [, title, text] = ctx.confirm.match(/^(.*?[?.])\s*(.*)$/s) ?? [null, ctx.confirm, ""];
  $("#confirm-title").textContent = title;
  $("#confirm-text").textContent = text;
  $("#confirm-ok").textContent = ctx.sourceElement.dataset.ok ?? "Go on";
  dialog.opener = ctx.sourceElement;
  dialog.returnValue = "no";
  dialog.showModal();
  const answer = () => (dialog.returnValue === "yes" ? issueRequest() : dropRequest());
  dialog.addEventListener("close", answer, { once: true });
});

// ---- After a swap: open what asked for the drawer, and say by focus what is new

function focusInside(region) {
  const field = $("[aria-invalid=true]", region);
  const focusable = field?.matches("fieldset, div") ? $("input", field) : field;
  (focusable ?? $("[data-focus]", region))?.focus({ preventScroll: !field });
}

function swappedRegion(source) {
  // When a swap replaces its own source, htmx 4 hands over the new target here: so look at regions, not at the form.
  if (source?.closest?.(".queue")) return $("#detail");
  return source?.closest?.("[data-region]");
}

document.addEventListener("htmx:after:swap", (event) => {
  const source = event.detail.ctx?.sourceElement;
  if (source?.matches?.("[data-drawer]")) {
    openIn(source);
    restoreDraft($("#drawer-body"));
  } else {
    showRegion(swappedRegion(source));
  }
  showToasts();
  tick();
  showEnd();
  followTheme();
});

function showRegion(region) {
  if (!region?.isConnected) return;
  if (region.matches("[data-quiet]")) return;
  if (region.id === "detail") {
    if ($("#drawer").open) $("#drawer").close();
    $(".d-scroll")?.scrollTo(0, 0);
    $(".q[aria-current]")?.scrollIntoView({ block: "nearest" });
  }
  focusInside(region);
}

document.addEventListener("htmx:config:request", (event) => {
  const { sourceElement, request } = event.detail.ctx;
  if (sourceElement?.matches?.("[role=search]") && request.body instanceof FormData) {
    // Tidy addresses: empty filters stay out of them.
    for (const [name, value] of [...request.body]) if (value === "") request.body.delete(name);
  }
  const current = $("#detail")?.dataset.current;
  if (current && sourceElement?.matches?.("[data-carry-from]")) {
    request.action += `${request.action.includes("?") ? "&" : "?"}from=${encodeURIComponent(current)}`;
  }
});

function followTheme() {
  const next = $("[data-theme-now]")?.dataset.themeNow;
  if (next) document.documentElement.dataset.theme = next;
}

// ---- Drafts: what was typed into a form is kept until it is sent, also across a sign-out in between

const drafts = {
  fields: (form) => $$("textarea, input[type=text], input:not([type]), select", form).filter((field) => field.name),
  key: (form) => `draft:${form.dataset.draft}`,
};

document.addEventListener("input", (event) => {
  const form = event.target.closest("form[data-draft]");
  if (!form) return;
  const kept = Object.fromEntries(drafts.fields(form).map((field) => [field.name, field.value]));
  sessionStorage.setItem(drafts.key(form), JSON.stringify(kept));
});

document.addEventListener("htmx:after:request", (event) => {
  const { response, hx, sourceElement } = event.detail.ctx;
  const form = sourceElement?.closest?.("form[data-draft]");
  if (form && response.status === 200 && !hx.redirect) sessionStorage.removeItem(drafts.key(form));
});

function restoreDraft(root) {
  const form = $("form[data-draft]", root);
  const kept = form && JSON.parse(sessionStorage.getItem(drafts.key(form)) ?? "null");
  if (!kept) return;
  let isUsed = false;
  for (const field of drafts.fields(form)) {
    if (field.value || !kept[field.name]) continue;
    field.value = kept[field.name];
    isUsed = true;
  }
  if (isUsed) toast("We kept what you had written.");
}

// ---- A button whose answer is a page of its own, in a form whose other answers htmx swaps

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-plain]");
  if (!button) return;
  event.preventDefault();
  const said = document.createElement("input");
  Object.assign(said, { type: "hidden", name: button.name, value: button.value });
  button.form.append(said);
  button.form.action = button.formAction;
  button.form.submit();
});

// ---- Values to carry elsewhere

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) copy(document.getElementById(button.dataset.copy));
});

async function copy(field) {
  field.select();
  // Without https there is no clipboard for pages: then the field stays selected for Ctrl C.
  const isCopied = await (navigator.clipboard?.writeText(field.value) ?? Promise.reject()).then(
    () => true,
    () => false,
  );
  const label = field.labels[0].textContent;
  toast(isCopied ? `${label} copied.` : `${label} is selected: press Ctrl C.`);
}

addEventListener("pagehide", () => {
  // A page that the browser keeps for Back must not bring a secret back.
  for (const field of $$("[data-secret]")) field.value = "";
});

// ---- Keyboard

let lead = "";
let leadTimer;

const areSingleKeysOn = () => document.body.dataset.keys !== "off";

document.addEventListener("keydown", (event) => {
  const withMod = event.metaKey || event.ctrlKey;
  if (withMod && event.key.toLowerCase() === "k") {
    event.preventDefault();
    return openDialog("palette");
  }
  if (withMod && event.key === "Enter") return sendForm(event);
  if (event.key === "Escape" && $("#drawer[open]:not(:modal)") && !isTyping(event.target)) return $("#drawer").close();
  if (event.target.id === "palette-q") return paletteKeys(event);
  if (event.target.closest?.("[role=grid]") && gridKeys(event)) return;
  if (event.key === "Escape" && isTyping(event.target)) return event.target.blur();
  if (isTyping(event.target) || $("dialog:modal") || withMod || event.altKey || !areSingleKeysOn()) return;
  singleKey(event);
});

function sendForm(event) {
  const form = event.target.closest("form[data-mod-enter]");
  if (!form) return;
  event.preventDefault();
  form.requestSubmit();
}

function singleKey(event) {
  const key = event.key.toLowerCase();
  if (event.repeat) return;
  if (lead) return follow(event, key);
  if (key === "g") return startLead();
  if (key === "?") return press(event, () => openDialog("shortcuts"));
  if (key === "/" && $("[data-slash]")) return press(event, () => $("[data-slash]").focus());
  if (key === "j" && event.shiftKey) return press(event, () => step(-1));
  if (event.shiftKey) return;
  const control = $$(`[data-key="${CSS.escape(key)}"]`).find((found) => found.checkVisibility());
  if (control) return press(event, () => (isTyping(control) ? control.focus() : control.click()));
  if (key === "j") return press(event, () => step(1));
  const row = event.target.closest?.("tr, [data-row]");
  if (row && key === "x") return press(event, () => $("input[type=checkbox]", row)?.click());
  if (row && key === "o") press(event, () => $("a", row)?.click());
}

function press(event, action) {
  event.preventDefault();
  action();
}

function startLead() {
  lead = "g";
  clearTimeout(leadTimer);
  leadTimer = setTimeout(() => (lead = ""), 1500);
}

function follow(event, key) {
  lead = "";
  const link = $(`[data-go="${CSS.escape(key)}"]`);
  if (link) press(event, () => link.click());
}

function step(by) {
  const items = $$(".queue .q, [data-list] > *").filter((item) => item.checkVisibility());
  if (!items.length) return;
  const at = items.findIndex((item) => item.matches("[aria-current]") || item.contains(document.activeElement));
  const link = $("a", items[Math.min(Math.max(at + by, 0), items.length - 1)]);
  link?.closest(".queue") ? link.click() : link?.focus();
}

function paletteKeys(event) {
  const options = $$("#palette-list [role=option]");
  const at = options.findIndex((option) => option.ariaSelected === "true");
  if (event.key === "Enter") return press(event, () => options[at]?.click());
  if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
  event.preventDefault();
  if (!options.length) return;
  const next = options[(at + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length];
  options[at]?.setAttribute("aria-selected", "false");
  next.setAttribute("aria-selected", "true");
  next.scrollIntoView({ block: "nearest" });
  event.target.setAttribute("aria-activedescendant", next.id);
}

// ---- Grids: one tab stop, arrow keys inside

const STEPS = {
  ArrowRight: [1, 0],
  ArrowLeft: [-1, 0],
  ArrowDown: [0, 1],
  ArrowUp: [0, -1],
  Home: [-Infinity, 0],
  End: [Infinity, 0],
};
const clamp = (value, most) => Math.min(Math.max(value, 0), most);

function gridKeys(event) {
  const by = STEPS[event.key];
  const cell = event.target.closest("td, th");
  if (!by || !cell) return false;
  const rows = [...cell.closest("table").rows].filter((row) => !row.classList.contains("grp"));
  const y = clamp(rows.indexOf(cell.parentElement) + by[1], rows.length - 1);
  const next = rows[y].cells[clamp(cell.cellIndex + by[0], rows[y].cells.length - 1)];
  const stop = $("a", next) ?? next;
  event.preventDefault();
  rove(stop);
  stop.focus();
  next.scrollIntoView({ block: "nearest", inline: "nearest" });
  if ($("#drawer[open].peek") && stop.matches("a[data-peek]")) peekOn(stop);
  return true;
}

async function peekOn(link) {
  markPeek(link);
  await htmx.ajax("GET", link.href, { target: "#drawer-body" });
  $("#drawer").opener = link;
  link.focus();
}

function rove(stop) {
  $$("[role=grid] [tabindex='0']").forEach((other) => (other.tabIndex = -1));
  stop.tabIndex = 0;
}

function armGrids() {
  for (const grid of $$("[role=grid]")) {
    if ($("[tabindex='0']", grid)) continue;
    const first = $("a[data-peek]", grid) ?? $("a", grid);
    if (first) first.tabIndex = 0;
  }
}

document.addEventListener("htmx:after:settle", armGrids);
document.addEventListener("focusin", (event) => {
  if (event.target.closest("[role=grid]") && event.target.matches("a, td, th")) rove(event.target);
});

// ---- Clock: time left, and the end of a chosen length in the reader's own zone

function human(minutes) {
  if (minutes < 1) return "less than a minute";
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${String(minutes % 60).padStart(2, "0")}` : `${hours} h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} d ${hours % 24} h` : `${days} d`;
}

function tick() {
  for (const left of $$("[data-until]")) {
    const minutes = Math.floor((new Date(left.dataset.until) - Date.now()) / 60000);
    left.textContent = minutes < 0 ? "over" : human(minutes);
  }
}

function clockTime(instant) {
  const time = instant.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (instant.toDateString() === new Date().toDateString()) return `today at ${time}`;
  const day = instant.toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short" });
  return `${day.replace(",", "")} at ${time}`;
}

function showEnd() {
  const end = $("[data-ends]");
  const chosen = end && $("input[name=length]:checked", end.closest("form"));
  if (!chosen) return;
  const seconds = Number(chosen.value);
  const from = end.dataset.ends ? new Date(end.dataset.ends) : new Date();
  end.textContent = seconds ? `${clockTime(new Date(from.getTime() + seconds * 1000))}, your time` : "when you give it back";
}

document.addEventListener("change", (event) => {
  if (event.target.name === "length") showEnd();
});

// ---- The session: a question two minutes before it ends

function watchSession() {
  const seconds = Number(document.body.dataset.sessionSeconds);
  if (!seconds) return;
  clearTimeout(watchSession.timer);
  watchSession.timer = setTimeout(() => openDialog("session"), Math.max(0, seconds - 120) * 1000);
}

document.addEventListener("session-prolonged", (event) => {
  document.body.dataset.sessionSeconds = event.detail.value;
  $("#session").close();
  watchSession();
});

// ---- At the start

armGrids();
showToasts();
tick();
showEnd();
watchSession();
restoreDraft(document);
setInterval(tick, 15000);
$(".q[aria-current]")?.scrollIntoView({ block: "center" });

// A dialog that lists weights, shows their licences, and fetches those the user has agreed to; opened from the Doctor's
// button, from the menu of the nodes that load models, and by a command.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

const EVENT = "likeness.fetch";
const LABEL = "Get weights…";
const COMMAND = "Likeness.GetWeights";
const STYLE = `
.likeness-weights { width: min(980px, 94vw); max-height: 86vh; padding: 0; border: 1px solid var(--border-color);
  border-radius: 10px; background: var(--comfy-menu-bg); color: var(--input-text); font-size: 13px; }
.likeness-weights::backdrop { background: rgb(0 0 0 / 55%); }
.likeness-weights form { display: flex; flex-direction: column; max-height: 86vh; margin: 0; }
.likeness-weights header, .likeness-weights footer { padding: 12px 16px; display: flex; gap: 10px; align-items: center; }
.likeness-weights header b { font-size: 15px; } .likeness-weights footer span { flex: 1; color: var(--descrip-text); }
.likeness-weights main { overflow-y: auto; padding: 0 16px; flex: 1; border-block: 1px solid var(--border-color); }
.likeness-weights section { margin: 14px 0; } .likeness-weights h3 { margin: 0 0 4px; font-size: 13px; }
.likeness-weights .terms { display: flex; gap: 8px; padding: 6px 8px; border-radius: 6px;
  background: var(--comfy-input-bg); }
.likeness-weights .file { display: grid; grid-template-columns: 20px 1fr 96px 190px; gap: 8px; padding: 4px 8px;
  align-items: start; }
.likeness-weights .file small.failed { grid-column: 2 / -1; white-space: pre-line; color: var(--error-text); }
.likeness-weights .file small { color: var(--descrip-text); overflow-wrap: anywhere; }
.likeness-weights .file .size { text-align: right; } .likeness-weights .failed { color: var(--error-text); }
.likeness-weights progress { width: 100%; } .likeness-weights input { margin: 2px 0; }
.likeness-weights button, .likeness-weights input[type=search] { padding: 6px 12px; border-radius: 6px; color: inherit;
  border: 1px solid var(--border-color); background: var(--comfy-input-bg); }
.likeness-weights header input { flex: 1; } .likeness-weights button:disabled { opacity: 0.45; }`;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

class WeightsDialog {
  constructor(listed, words) {
    this.files = new Map(listed.weights.map((file) => [file.id, file]));
    this.states = listed.states;
    this.rows = new Map();
    this.sections = [];
    this.dialog = this.build(words);
    document.body.append(this.dialog);
    this.heard = (event) => this.show(event.detail);
    api.addEventListener(EVENT, this.heard);
    this.dialog.addEventListener("close", () => this.close());
    this.dialog.showModal();
  }

  build(words) {
    this.main = element("main");
    this.search = element("input", { type: "search", placeholder: "file, node or licence", value: words });
    this.search.addEventListener("input", () => this.filter());
    this.said = element("span", { role: "status" });
    this.get = element("button", { type: "button", disabled: true, textContent: "Get" });
    this.get.addEventListener("click", () => this.fetch());
    this.stop = element("button", { type: "button", textContent: "Stop", hidden: true });
    this.stop.addEventListener("click", () => this.cancel());
    const form = element(
      "form",
      { method: "dialog" },
      element("header", {}, element("b", { textContent: "Weights that are not here" }), this.search),
      this.main,
      element("footer", {}, this.said, this.stop, this.get, element("button", { textContent: "Close" })),
    );
    this.fill();
    return element("dialog", { className: "likeness-weights" }, element("style", { textContent: STYLE }), form);
  }

  fill() {
    const groups = new Map();
    for (const file of this.files.values()) {
      if (!file.path) groups.set(file.terms, [...(groups.get(file.terms) ?? []), file]);
    }
    for (const [terms, files] of groups) this.sections.push(this.section(terms, files));
    if (!groups.size) this.main.append(element("p", { textContent: "Every known file is here." }));
    for (const state of Object.values(this.states)) this.show(state);
    this.filter();
  }

  section(terms, files) {
    const agree = element("input", { type: "checkbox" });
    agree.addEventListener("change", () => this.count());
    const label = element("label", { className: "terms" }, agree);
    label.append(element("span", { textContent: `I have read and agree to: ${terms}` }));
    const body = element("section", {}, label, ...files.map((file) => this.row(file)));
    this.main.append(body);
    return { terms, files, agree, body };
  }

  row(file) {
    const pick = element("input", { type: "checkbox", disabled: Boolean(file.problem) });
    pick.setAttribute("aria-label", `get ${file.id}`);
    pick.addEventListener("change", () => {
      if (pick.checked) this.pickNeeds(file);
      this.count();
    });
    const nodes = file.used_by.map((id) => LiteGraph.registered_node_types[id]?.title ?? id).join(", ");
    const from = file.from.length ? ` · from ${new URL(file.from[0]).host}` : "";
    const unchecked = file.hash_known ? "" : " · no published hash: checked against this download ever after";
    const about = element("span", {}, element("b", { textContent: file.id }));
    about.append(element("br"), element("small", { textContent: `${nodes} · goes to ${file.target}${from}${unchecked}` }));
    if (file.problem) about.append(element("br"), element("small", { className: "failed", textContent: file.problem }));
    const state = element("small");
    const body = element("label", { className: "file" }, pick, about);
    body.append(element("span", { className: "size", textContent: file.size }), state);
    this.rows.set(file.id, { pick, state, body, words: `${file.id} ${file.file} ${file.used_by} ${file.terms} ${nodes}` });
    return body;
  }

  pickNeeds(file) {
    for (const id of file.needs) {
      const row = this.rows.get(id);
      if (row && !row.pick.checked) {
        row.pick.checked = true;
        this.pickNeeds(this.files.get(id));
      }
    }
  }

  filter() {
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const { body, files } of this.sections) {
      let shown = 0;
      for (const file of files) {
        const row = this.rows.get(file.id);
        const fits = row.pick.checked || words.every((word) => row.words.toLowerCase().includes(word));
        row.body.style.display = fits ? "" : "none";
        shown += fits;
      }
      body.style.display = shown ? "" : "none";
    }
  }

  picked() {
    return [...this.rows].filter(([, row]) => row.pick.checked).map(([id]) => this.files.get(id));
  }

  count() {
    const files = this.picked();
    const open = this.sections.filter((s) => !s.agree.checked && s.files.some((file) => files.includes(file)));
    const megabytes = files.reduce((sum, file) => sum + (file.bytes ?? 0), 0) / 1e6;
    this.get.disabled = !files.length || open.length > 0;
    const unknown = files.filter((file) => !file.bytes).length;
    const more = unknown ? ` and ${unknown} of unknown size` : "";
    this.get.textContent = files.length ? `Get ${files.length} file(s), ${megabytes.toFixed(0)} MB${more}` : "Get";
    this.said.textContent = files.length && open.length ? "Agree to the licence above the files you chose." : "";
    this.filter();
  }

  async fetch() {
    const agreed = Object.fromEntries(this.picked().map((file) => [file.id, file.terms]));
    this.get.disabled = true;
    await this.post("/likeness/fetch", { agreed });
  }

  async cancel() {
    const under = Object.values(this.states).filter((s) => s.state === "running" || s.state === "waiting");
    await this.post("/likeness/fetch/cancel", { ids: under.map((state) => state.id) });
  }

  async post(path, body) {
    const headers = { "Content-Type": "application/json" };
    const answer = await api.fetchApi(path, { method: "POST", headers, body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
    this.said.textContent = said.error ?? "";
    this.said.className = said.error ? "failed" : "";
  }

  show(state) {
    this.states[state.id] = state;
    const row = this.rows.get(state.id);
    if (row) this.showRow(row, state);
    this.stop.hidden = !Object.values(this.states).some((s) => s.state === "running" || s.state === "waiting");
  }

  showRow(row, state) {
    row.state.className = state.state === "failed" ? "failed" : "";
    row.state.dataset.state = state.state;
    if (state.state === "running" && state.total) {
      const bar = element("progress", { max: state.total, value: state.done });
      row.state.replaceChildren(bar, ` ${(state.done / 1e6).toFixed(0)} of ${(state.total / 1e6).toFixed(0)} MB`);
      return;
    }
    row.state.textContent = state.state === "done" ? "here now" : state.message || state.state;
    if (state.state === "done") {
      row.pick.checked = false;
      row.pick.disabled = true;
      this.came = true;
    }
  }

  close() {
    api.removeEventListener(EVENT, this.heard);
    this.dialog.remove();
    // lists of files in Load nodes are as old as the page
    if (this.came) app.extensionManager.command.execute("Comfy.RefreshNodeDefinitions");
  }
}

async function open(words = "") {
  const answer = await api.fetchApi("/likeness/weights");
  if (!answer.ok) {
    const detail = `The server answered ${answer.status}.`;
    app.extensionManager.toast.add({ severity: "error", summary: "Likeness", detail, life: 6000 });
    return;
  }
  new WeightsDialog(await answer.json(), words);
}

const isOurs = (node) => (node.comfyClass ?? node.type ?? "").startsWith("LikenessLoad");
const wordsOf = (node) => (node.comfyClass ?? node.type).replace("Likeness", "");

app.registerExtension({
  name: "Likeness.Weights",
  commands: [{ id: COMMAND, label: "Likeness: get weights", icon: "pi pi-download", function: () => open() }],
  menuCommands: [{ path: ["Extensions", "Likeness"], commands: [COMMAND] }],
  nodeCreated(node) {
    if (node.comfyClass !== "LikenessDoctor") return;
    const button = node.addWidget("button", LABEL, null, () => open());
    button.serialize = false;
    button.options.serialize = false;
  },
  getNodeMenuItems(node) {
    return isOurs(node) ? [null, { content: `Likeness: ${LABEL}`, callback: () => open(wordsOf(node)) }] : [];
  },
});

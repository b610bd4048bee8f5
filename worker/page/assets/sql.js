// The SQL page: an editor whose statements the server's planner reads while they are written, and
// what comes of them when they are run. Everything that is shown of them is set as text, never as
// markup.

const at = (id) => document.getElementById(id);
const body = document.body;
const say = (text) => { at("status").textContent = text; };

// --- the token ---

// It stands behind '#' in the address that the terminal shows, which browsers send nowhere. It is kept
// for this tab alone, so that the page can be loaded anew.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  sessionStorage.setItem("weir-sql-token", given);
  history.replaceState(null, "", location.pathname);
}
const token = sessionStorage.getItem("weir-sql-token") ?? "";

function notice(text) {
  at("notice").textContent = text;
  at("notice").hidden = !text;
}

/** What the server answers; an answer that refuses is one with `error` or `diagnostics`. */
async function ask(what, body, signal) {
  const response = await fetch(`/v1/sql/${what}`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-weir-token": token },
    body: JSON.stringify(body),
    signal,
  });
  const text = await response.text();
  try {
    return JSON.parse(text);
  } catch {
    return { error: text.trim() || `the server answers ${response.status}` };
  }
}

// --- small things ---

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Sets a text where it is another. */
function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const grouped = (n) => Math.round(n).toLocaleString("en-US");
const plural = (n, word) => `${grouped(n)} ${word}${n === 1 ? "" : "s"}`;

function lasted(ms) {
  if (ms < 10_000) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

function rate(n) {
  if (n < 10) return `${n.toFixed(1)} rows/s`;
  if (n < 10_000) return `${Math.round(n)} rows/s`;
  return n < 1e6 ? `${Math.round(n / 1e3)} k rows/s` : `${(n / 1e6).toFixed(1)} M rows/s`;
}

// --- light and dark ---

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("weir-theme", name);
}
const chosen = localStorage.getItem("weir-theme");
if (chosen) theme(chosen);
at("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme;
  const dark = now ? now === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  theme(dark ? "light" : "dark");
});

// --- the editor ---

const [cm, words, begun] = await Promise.all([
  import(body.dataset.editor),
  fetch("/v1/sql/words").then((answer) => answer.json()),
  ask("begun", {}).catch(() => ({ error: "weir does not answer; is it still running in the terminal?" })),
]);
if (begun.error) notice(begun.error);
at("folder").textContent = begun.folder ?? "";

const dialect = cm.SQLDialect.define({
  keywords: words.keywords.join(" ").toLowerCase(),
  // What is both is a word first, as at the prompt.
  builtin: words.functions.filter((name) => !words.keywords.includes(name)).join(" ").toLowerCase(),
  types: "",
  identifierQuotes: "`",
  operatorChars: "*+-%<>!=&|^/",
});

const { tags } = cm;
const colours = cm.HighlightStyle.define([
  { tag: tags.keyword, color: "var(--blue)", fontWeight: "600" },
  { tag: [tags.standard(tags.name), tags.typeName], color: "var(--teal)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--bad)" },
  { tag: tags.comment, color: "var(--soft)", fontStyle: "italic" },
]);

const look = cm.EditorView.theme({
  "&": { height: "100%", fontSize: "13.5px", backgroundColor: "transparent", color: "var(--ink)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: 'ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace', lineHeight: "1.6" },
  ".cm-content": { caretColor: "var(--ink)", padding: "10px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "transparent", color: "var(--soft)", border: "none" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "var(--calmback)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--pick)" },
  "&.cm-focused .cm-matchingBracket": { backgroundColor: "var(--lit)", outline: "none" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1px", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn) 1px", textUnderlineOffset: "3px" },
  ".cm-lint-marker": { width: ".8em", height: ".8em" },
  ".cm-lint-marker-error": { content: "none", backgroundColor: "var(--bad)", borderRadius: "50%" },
  ".cm-lint-marker-warning": { content: "none", backgroundColor: "var(--warn)", borderRadius: "50%" },
  ".cm-tooltip": { backgroundColor: "var(--card)", color: "var(--ink)", border: "1px solid var(--edge)", borderRadius: "8px", boxShadow: "0 6px 24px rgba(10, 20, 40, .18)", overflow: "hidden" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "inherit", maxHeight: "17em" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 12px 3px 8px", display: "flex", gap: "18px" },
  ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--blue)", color: "var(--card)" },
  ".cm-completionLabel": { fontFamily: "ui-monospace, monospace", flex: "1" },
  ".cm-completionDetail": { fontStyle: "normal", color: "inherit", opacity: ".75", margin: "0" },
  ".cm-diagnostic": { padding: "6px 12px", maxWidth: "620px", whiteSpace: "pre-wrap" },
  ".cm-diagnostic-error": { borderLeft: "4px solid var(--bad)" },
  ".cm-diagnostic-warning": { borderLeft: "4px solid var(--warn)" },
  ".cm-placeholder": { color: "var(--faint)" },
});

let understood = { diagnostics: [], statements: [], tables: [] };
let checking;

/** What is wrong with the text as it is; what is known of it is shown beside it. */
async function check(view) {
  checking?.abort();
  checking = new AbortController();
  const text = view.state.doc.toString();
  try {
    const checked = await ask("check", { text }, checking.signal);
    if (checked.error) {
      notice(checked.error);
      return [];
    }
    notice("");
    if (text !== view.state.doc.toString()) return [];
    understood = checked;
    problems(view);
    catalog();
    meaning(view);
    return checked.diagnostics.map((found) => whole(found, text));
  } catch (error) {
    if (error.name !== "AbortError") notice("weir does not answer; is it still running in the terminal?");
    return [];
  }
}

/** A stretch that can be seen. */
function whole({ from, to, severity, message }, text) {
  const end = Math.min(Math.max(to, from + 1), text.length);
  return { from: Math.min(from, Math.max(0, end - 1)), to: end, severity, message };
}

async function complete(context) {
  const before = context.state.sliceDoc(Math.max(0, context.pos - 1), context.pos);
  // Blanks alone ask for nothing, unless a table's name has to follow.
  const line = context.state.sliceDoc(Math.max(0, context.pos - 12), context.pos);
  if (!context.explicit && !/[\w'.`$]/.test(before) && !/\b(from|join|into)\s$/i.test(line)) return null;
  const text = context.state.doc.toString();
  const found = await ask("complete", { text, offset: context.pos }).catch(() => null);
  if (!found?.candidates?.length || context.aborted) return null;
  const kinds = { column: "property", table: "class", function: "function", option: "property" };
  const options = found.candidates.map(({ text, what }) => ({
    label: text.replace(/'$/, ""),
    apply: (view, completion, from, to) => {
      // The quote that ends a text may be there already.
      const end = text.endsWith("'") && view.state.sliceDoc(to, to + 1) === "'" ? to + 1 : to;
      view.dispatch({
        changes: { from, to: end, insert: text },
        selection: { anchor: from + text.length },
        userEvent: "input.complete",
      });
    },
    detail: what,
    type: kinds[what] ?? what,
  }));
  return { from: found.from, options, filter: false };
}

const start = begun.text ?? "";
const saved = JSON.parse(sessionStorage.getItem("weir-sql-text") ?? "null");
const keepText = cm.EditorView.updateListener.of((update) => {
  if (update.docChanged) {
    sessionStorage.setItem("weir-sql-text", JSON.stringify({ start, text: update.state.doc.toString() }));
  }
  if (update.docChanged || update.selectionSet) meaning(update.view);
});

// In a root of its own the editor's styles are sheets that need no <style>, which the page's policy
// (CSP) would not let in.
const root = at("editor").attachShadow({ mode: "open" });
const run = (only) => () => { start_run(only); return true; };
const editor = new cm.EditorView({
  parent: root,
  root,
  state: cm.EditorState.create({
    doc: saved?.start === start ? saved.text : start,
    extensions: [
      cm.Prec.highest(cm.keymap.of([
        { key: "Mod-Enter", run: run(true) },
        { key: "Mod-Shift-Enter", run: run(false) },
        { key: "Tab", run: cm.acceptCompletion },
      ])),
      cm.lintGutter(), cm.lineNumbers(), cm.highlightActiveLineGutter(), cm.highlightSpecialChars(),
      cm.history(), cm.drawSelection(), cm.dropCursor(), cm.EditorState.allowMultipleSelections.of(true),
      cm.indentOnInput(), cm.bracketMatching(), cm.closeBrackets(), cm.highlightActiveLine(),
      cm.highlightSelectionMatches(), cm.rectangularSelection(),
      cm.keymap.of([...cm.closeBracketsKeymap, ...cm.defaultKeymap, ...cm.searchKeymap, ...cm.historyKeymap,
        ...cm.completionKeymap, ...cm.lintKeymap]),
      dialect.extension, cm.syntaxHighlighting(colours), look,
      cm.autocompletion({ override: [complete], icons: false, activateOnTypingDelay: 80, maxRenderedOptions: 60 }),
      cm.linter(check, { delay: 250 }),
      cm.EditorView.contentAttributes.of({ "aria-label": "SQL statements", spellcheck: "false" }),
      cm.placeholder("CREATE TABLE …;  SELECT …;"),
      keepText,
    ],
  }),
});
cm.forceLinting(editor);
editor.focus();

// --- what is known of the text ---

function problems(view) {
  const list = at("problems");
  list.replaceChildren();
  for (const found of understood.diagnostics.slice(0, 20)) {
    const line = view.state.doc.lineAt(Math.min(found.from, view.state.doc.length));
    const item = element("button", found.severity);
    item.type = "button";
    item.append(element("b", "", `${line.number}:${found.from - line.from + 1}`), element("span", "", found.message));
    item.addEventListener("click", () => {
      const { from, to } = whole(found, view.state.doc.toString());
      view.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
      view.focus();
    });
    list.append(item);
  }
  const more = understood.diagnostics.length - 20;
  if (more > 0) list.append(element("p", "quiet", `and ${more} more`));
}

function catalog() {
  const open = new Set([...at("tables").querySelectorAll("details[open]")].map((each) => each.dataset.name));
  at("tables").replaceChildren(...understood.tables.map(({ name, columns }) => {
    const table = element("details");
    table.dataset.name = name;
    table.open = open.has(name);
    table.append(element("summary", "", name));
    const list = element("ul");
    for (const column of columns) list.append(element("li", "", column));
    table.append(list);
    return table;
  }));
  if (!understood.tables.length) at("tables").append(element("p", "quiet", "Nothing is declared. CREATE TABLE does."));
}

/** The statement at the cursor: what it asks for, and its plan. */
function meaning(view) {
  const head = view.state.selection.main.head;
  const here = understood.statements.find(({ from, to }) => from <= head && head <= to);
  const parts = [];
  if (!here) {
    parts.push(element("p", "quiet", "No statement."));
  } else if (here.kind !== "query" && here.kind !== "insert") {
    parts.push(element("p", "quiet", here.kind === "told" ? "Asks how things are." : "Declares what others use."));
  } else if (!here.plan) {
    parts.push(element("p", "quiet", "Cannot run as it stands."));
  } else {
    parts.push(element("p", "quiet", here.bounded ? "Ends when everything was read." : "Has no end by itself."));
    if (here.schema.length) {
      const list = element("dl", "schema");
      for (const { name, type } of here.schema) list.append(element("dt", "", name), element("dd", "", type));
      parts.push(list);
    }
    const plan = element("details", "plan");
    plan.open = at("meaning").querySelector("details.plan")?.open ?? false;
    const text = element("pre", "plan", here.plan);
    text.tabIndex = 0;
    plan.append(element("summary", "", "Plan"), text);
    parts.push(plan);
  }
  at("meaning").replaceChildren(...parts);
}

// --- runs ---

let stream;
let running = null;
/** By statement: its card and what is in it. */
let cards = [];

at("run").addEventListener("click", () => start_run(false));
at("one").addEventListener("click", () => start_run(true));
at("stop").addEventListener("click", async () => {
  at("stop").disabled = true;
  const stopped = await ask("stop", { run: running }).catch(() => ({ error: "weir does not answer" }));
  if (stopped.error) notice(stopped.error);
});

async function start_run(onlyHere) {
  if (running) {
    notice("A run goes on; stop it before the next one.");
    return;
  }
  running = "?";
  const { from, to } = editor.state.selection.main;
  const text = editor.state.doc.toString();
  const asked = await ask("run", { text, only: onlyHere ? [from, to] : null })
    .catch(() => ({ error: "weir does not answer; is it still running in the terminal?" }));
  running = null;
  if (!asked.run) {
    const [first] = asked.diagnostics ?? [];
    notice(asked.error ?? `Nothing was run. ${first?.message ?? ""}`);
    // What was written since is judged anew by itself.
    if (asked.diagnostics && text === editor.state.doc.toString()) {
      editor.dispatch(cm.setDiagnostics(editor.state, asked.diagnostics.map((found) => whole(found, text))));
      understood = { ...understood, diagnostics: asked.diagnostics };
      problems(editor);
    }
    return;
  }
  notice("");
  running = asked.run;
  cards = [];
  at("results").replaceChildren();
  buttons();
  follow(asked.run);
}

function buttons() {
  at("run").disabled = running !== null;
  at("one").disabled = running !== null;
  at("stop").disabled = running === null;
}

/** Follows a run to its end; a stream that is cut goes on with what is kept. */
function follow(name) {
  stream?.close();
  stream = new EventSource(`/v1/sql/runs/${name}`);
  stream.addEventListener("state", (event) => {
    const state = JSON.parse(event.data);
    state.statements.forEach((each, number) => progress(number, each, state));
    const ends = (how) => state.statements.some(({ state }) => state === how);
    if (state.ended) over(["failed", "stopped"].find(ends) ?? "done");
    else say(`running ${lasted(Math.max(0, ...state.statements.map(({ tookMs }) => tookMs)))}`);
  });
  stream.addEventListener("rows", (event) => rows(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    // The browser tries again by itself, unless there is nothing to be had.
    if (stream.readyState === EventSource.CLOSED) over("weir does not answer, or has forgotten this run");
    else say("no answer; trying again");
  });
}

function over(text) {
  stream?.close();
  running = null;
  say(text);
  buttons();
}

const names = {
  waiting: "waiting", running: "running", done: "done", stopped: "stopped", failed: "failed", skipped: "not run",
};
const tones = { running: "busy", done: "good", failed: "bad" };

function card(number) {
  if (cards[number]) return cards[number];
  const made = {
    root: element("article", "card result"),
    title: element("code", "title"),
    state: element("span", "state"),
    numbers: element("span", "counts"),
    choice: element("div", "choice"),
    message: element("p", "message"),
    text: element("pre", "plan"),
    bound: element("p", "quiet bound"),
    table: element("table"),
    log: element("table", "log"),
    byKey: new Map(),
    columns: null,
    mode: null,
  };
  made.text.tabIndex = 0;
  const bar = element("div", "bar");
  bar.append(made.title, made.state, made.numbers, made.choice);
  made.scroll = element("div", "scroll");
  made.scroll.tabIndex = 0;
  made.scroll.setAttribute("role", "region");
  made.scroll.setAttribute("aria-label", "Rows");
  made.scroll.append(made.table, made.log);
  made.choice.setAttribute("role", "group");
  made.choice.setAttribute("aria-label", "How rows are shown");
  for (const mode of ["table", "changelog"]) {
    const button = element("button", "", mode);
    button.type = "button";
    button.dataset.mode = mode;
    button.addEventListener("click", () => show(made, mode));
    made.choice.append(button);
  }
  made.root.append(bar, made.message, made.text, made.scroll, made.bound);
  cards[number] = made;
  at("results").append(made.root);
  return made;
}

function show(card, mode) {
  card.mode = mode;
  card.table.hidden = mode !== "table";
  card.log.hidden = mode === "table";
  for (const button of card.choice.children) button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
  bound(card);
}

function progress(number, each, { most, mostBytes }) {
  // Declarations that went well are not worth a card each.
  if (each.kind === "declares" && ["done", "waiting", "running"].includes(each.state)) return;
  const it = card(number);
  it.now = each;
  it.most = most;
  it.mostBytes = mostBytes;
  it.root.dataset.state = each.state;
  it.root.dataset.kind = each.kind;
  set(it.title, each.title);
  it.state.className = `state ${tones[each.state] ?? ""}`;
  set(it.state, names[each.state] ?? each.state);
  const isJob = each.kind === "query" || each.kind === "insert";
  const parts = [];
  if (each.columns.length) parts.push(plural(each.rows, "row"));
  if (isJob && each.state !== "waiting" && each.state !== "skipped") {
    if (each.state === "running") parts.push(rate(each.rate));
    parts.push(`${grouped(each.rowsIn)} read`, lasted(each.tookMs));
  }
  set(it.numbers, parts.join("   "));
  set(it.message, each.message);
  it.message.hidden = !each.message;
  it.message.classList.toggle("problem", each.state === "failed");
  set(it.text, each.text);
  it.text.hidden = !each.text;
  it.scroll.hidden = !each.columns.length;
  it.choice.hidden = !each.columns.length || !isJob;
  if (each.columns.length && !it.columns) heads(it, each);
  bound(it);
}

/** The heads of both tables. */
function heads(it, { columns, corrected }) {
  it.columns = columns;
  for (const [table, first] of [[it.table, []], [it.log, ["op"]]]) {
    const row = element("tr");
    for (const name of first) row.append(element("th", "", name));
    for (const { name, type } of columns) {
      const head = element("th", isNumber(type) ? "r" : "", name);
      head.scope = "col";
      head.title = type;
      row.append(head);
    }
    const top = element("thead");
    top.append(row);
    table.append(top, element("tbody"));
  }
  it.corrected = corrected;
  show(it, "table");
}

const isNumber = (type) => /^(TINYINT|SMALLINT|INT|BIGINT|FLOAT|DOUBLE|DECIMAL)/.test(type);

/** What is not shown is said. */
function bound(it) {
  const { now, most, mostBytes } = it;
  if (!now?.columns.length || !it.columns) return;
  const isLog = it.mode === "changelog";
  const all = isLog ? now.changes : now.rows;
  const shown = (isLog ? it.log : it.table).tBodies[0].rows.length;
  const which = isLog || now.newest ? "newest" : "first";
  // Wide rows are fewer.
  const bytes = `${mostBytes >> 20} MiB`;
  const text = all > shown && shown > 0
    ? `the ${which} ${grouped(shown)} of ${plural(all, isLog ? "change" : "row")}; the page keeps ${grouped(most)} or ${bytes}, INSERT INTO writes all`
    : `the page keeps at most ${grouped(most)} ${isLog ? "changes" : "rows"} or ${bytes}`;
  set(it.bound, all === 0 && now.state !== "running" ? "no rows" : text);
}

function cells(row, it, into) {
  row.forEach((value, column) => {
    const cell = element("td", isNumber(it.columns[column]?.type ?? "") ? "r" : "");
    if (value === null) cell.append(element("i", "null", "NULL"));
    else cell.textContent = value;
    into.append(cell);
  });
}

function rows({ statement, reset, missed, changes }) {
  const it = card(statement);
  if (!it.columns) return;
  const table = it.table.tBodies[0];
  const log = it.log.tBodies[0];
  if (reset) {
    it.byKey.clear();
    table.replaceChildren();
    log.replaceChildren();
    for (const { key, row } of reset) put(it, table, key, row);
  }
  // What follows does not follow what is shown.
  if (missed) log.replaceChildren();
  const lines = document.createDocumentFragment();
  for (const { op, key, row } of changes.slice(-it.most)) {
    if (op === "x") continue;
    const line = element("tr", op === "+I" ? "" : op === "+U" ? "up" : "down");
    line.append(element("td", "op", op));
    cells(row, it, line);
    lines.append(line);
  }
  log.append(lines);
  while (log.rows.length > it.most) log.rows[0].remove();
  if (!reset) {
    for (const { op, key, row } of changes) {
      if (key === null) continue;
      if (op === "+I" || op === "+U") put(it, table, key, row, op === "+U");
      else if (op === "-D" || op === "x") {
        it.byKey.get(key)?.remove();
        it.byKey.delete(key);
      } else {
        // What takes its place comes next, or in a moment.
        it.byKey.get(key)?.classList.add("leaving");
      }
    }
    // Nothing took its place: it has gone.
    for (const left of table.querySelectorAll("tr.leaving")) {
      it.byKey.delete(Number(left.dataset.key));
      left.remove();
    }
  }
  bound(it);
}

/** Puts a row where the row with this key is, or behind all others. */
function put(it, table, key, row, flash) {
  const line = element("tr", flash ? "new" : "");
  line.dataset.key = key;
  cells(row, it, line);
  const old = it.byKey.get(key);
  if (old) old.replaceWith(line);
  else table.append(line);
  it.byKey.set(key, line);
}

// --- a manifest ---

const dialog = at("manifest");
at("keep").addEventListener("click", () => {
  set(at("manifest-problem"), "");
  dialog.showModal();
});
at("manifest-close").addEventListener("click", () => dialog.close());
at("manifest-save").addEventListener("click", save);
dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  save();
});

async function save() {
  const name = at("manifest-name").value.trim();
  const parallelism = Number(at("manifest-parallelism").value) || 0;
  const text = editor.state.doc.toString();
  const made = await ask("manifest", { text, name, parallelism }).catch(() => ({ error: "weir does not answer" }));
  if (!made.manifest) {
    set(at("manifest-problem"), made.error ?? made.diagnostics.map(({ message }) => message).join("\n"));
    return;
  }
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([made.manifest], { type: "application/yaml" }));
  link.download = `${name}.yaml`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  dialog.close();
  say(`${name}.yaml is saved`);
}

if (!token) notice("This page was opened without its token, so it can only look: use the address that weir shows in the terminal, with what stands behind '#'.");
buttons();

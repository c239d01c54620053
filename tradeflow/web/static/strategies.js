// Strategies on their symbols: parameters, orders, profit and loss; halted and resumed by who has the token.

import { badge, setBadge } from "./books.js";
import { attribute, h, rows, text } from "./dom.js";
import { count, duration, signed } from "./format.js";
import { live } from "./live.js";

let token = ""; // in this page's memory only

export function mount(main) {
  const silent = h("p", { class: "reason" });
  const said = h("p", { class: "note", role: "status" });
  const list = h("div", { class: "feeds" });
  const input = h("input", { type: "password", autocomplete: "off", placeholder: "TRADEFLOW_TOKEN", "aria-label": "Token", oninput: () => (token = input.value) });
  input.value = token;
  const everything = { strategy: "", symbol: "" };
  const bar = h("div", { class: "bar-of-controls" }, input, ...buttons(everything, "everything", said));
  main.append(h("div", { class: "heading" }, h("h1", {}, "Strategies"), bar), said, silent, list);
  return () => {
    const workers = live.strategies?.silent_workers ?? [];
    text(silent, workers.length ? `✖ These workers don’t answer, so their strategies are missing here: ${workers.join(", ")}` : "");
    const runs = (live.strategies?.strategies ?? []).map((run) => [`${run.strategy}/${run.params_hash}/${run.symbols}`, run]);
    rows(list, runs, (run) => makeRun(run, said), updateRun);
  };
}

function buttons(word, what, said) {
  const button = (action, name) => h("button", { type: "button", onclick: () => say(action, word, what, said) }, name);
  return [button("halt", `Halt ${what === "everything" ? what : ""}`.trim()), button("reduce-only", "Reduce only"), button("resume", "Resume")];
}

async function say(action, word, what, said) {
  if (!token) {
    text(said, "Enter the worker’s TRADEFLOW_TOKEN first: whoever has it may halt and resume.");
    return;
  }
  if (what === "everything" && !confirm(`${action}: all strategies, on all symbols?`)) return;
  text(said, `${action} ${what} …`);
  try {
    const answer = await fetch(`/control/${action}`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ ...word, reason: "from the dashboard" }),
    });
    const body = await answer.json();
    text(said, answer.ok ? `Said: ${action} ${what}. It is in force within a second.` : `✖ ${body.title}: ${body.detail}`);
  } catch (error) {
    text(said, `✖ Not said: the worker does not answer (${error.message}).`);
  }
}

const FACTS = ["Orders", "Open", "Profit and loss", "Lag", "Worker"];

function makeRun(run, said) {
  const state = badge();
  const reason = h("p", { class: "reason" });
  const values = FACTS.map(() => h("dd"));
  const parameters = h("dl", { class: "parameters" });
  const word = { [run.class === "PlainAgent" ? "agent" : "strategy"]: run.strategy, symbol: run.symbols.length === 1 ? run.symbols[0] : "" };
  const what = `${run.strategy} ${run.symbols.join("+")}`;
  const card = h(
    "section",
    { class: "card feed run", tabindex: "0" },
    h("h2", {}, run.strategy, h("span", { class: "symbols" }, run.symbols.join(" + ")), state),
    reason,
    h("dl", {}, ...FACTS.map((name, index) => h("div", {}, h("dt", {}, name), values[index]))),
    h("details", {}, h("summary", {}, "Parameters"), parameters),
    h("div", { class: "bar-of-controls" }, ...buttons(word, what, said)),
  );
  card.classList.add("row");
  return Object.assign(card, { state, reason, values, parameters });
}

function updateRun(card, run) {
  const state = live.status !== "open" ? "unknown" : run.halted ? "broken" : run.steered ? "stale" : run.shadow ? "syncing" : "live";
  attribute(card, "data-state", state);
  setBadge(card.state, state, run.halted || run.steered, { broken: "halted itself", stale: run.steered, syncing: "shadow", live: "running" }[state]);
  text(card.reason, run.halted);
  const profit = Object.entries(run.pnl).map(([currency, amount]) => `${signed(amount)} ${currency}`);
  const values = [count(run.orders), count(run.open_orders), profit.join(", ") || "–", duration(run.lag_ms), run.worker];
  values.forEach((value, index) => text(card.values[index], value));
  rows(card.parameters, Object.entries(run.parameters).map(([name, value]) => [name, [name, value]]), ([name]) => h("div", {}, h("dt", {}, name), h("dd")), (row, [, value]) => text(row.lastChild, value));
}

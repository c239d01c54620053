// All books, by symbol: state, top, spread, age.

import { attribute, h, rows, text } from "./dom.js";
import { ago, padded, percent, places, SHAPES } from "./format.js";
import { live, now, place, stateOf } from "./live.js";
import { spark } from "./spark.js";

export const title = "Books";

export function badge() {
  return h("span", { class: "state" });
}

export function setBadge(element, state, reason, words = state) {
  attribute(element, "data-state", state);
  text(element, `${SHAPES[state] ?? "?"} ${words ?? state}`);
  attribute(element, "title", reason || null);
}

export function summary() {
  const states = {};
  for (const book of live.books.values()) states[stateOf(book)] = (states[stateOf(book)] ?? 0) + 1;
  return states;
}

export function mount(main) {
  const counts = h("div", { class: "tiles" });
  const groups = h("div", { class: "groups" });
  main.append(h("div", { class: "heading" }, h("h1", {}, "Books"), counts), groups);
  return () => {
    const states = summary();
    const shown = ["live", "syncing", "stale", "broken", "unknown"].filter((state) => states[state] || state === "live");
    rows(counts, shown.map((state) => [state, state]), makeTile, (tile, state) => {
      text(tile.firstChild, String(states[state] ?? 0));
      setBadge(tile.lastChild, state, "");
    });
    const symbols = new Map();
    for (const book of live.books.values()) {
      symbols.set(book.symbol, [...(symbols.get(book.symbol) ?? []), book]);
    }
    const named = [...symbols].sort().map((group) => [group[0], group]);
    for (const [, group] of named) group[1].sort(byExchange);
    rows(groups, named, makeGroup, updateGroup);
  };
}

export const byExchange = (one, other) => one.exchange.localeCompare(other.exchange);

const makeTile = () => h("div", { class: "tile" }, h("strong"), badge());

function makeGroup([symbol]) {
  const body = h("tbody");
  const heads = ["Exchange", "State", "Bid", "Ask", "Mid", "Spread", "Spread %", "Last minutes", "Age"];
  const best = h("span", { class: "best" });
  const group = h(
    "section",
    { class: "card" },
    h("h2", {}, h("a", { href: `#/symbol/${symbol}`, class: "row" }, symbol), best),
    h("table", { class: "books" }, h("colgroup", {}, ...heads.map((head) => h("col", { class: head.toLowerCase().replaceAll(/[^a-z]/g, "") }))), h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), body),
  );
  Object.assign(group, { body, best });
  return group;
}

function updateGroup(group, [, books]) {
  const digits = places(books.flatMap((book) => [book.bid?.[0], book.ask?.[0]].filter(Boolean)));
  text(group.best, edge(books));
  rows(group.body, books.map((book) => [place(book), book]), makeRow, (row, book) => updateRow(row, book, digits));
}

// Best bid and ask over all live exchanges; where the bid is above the ask, by how much.
export function edge(books) {
  const good = books.filter((book) => stateOf(book) === "live" && book.bid && book.ask);
  if (good.length < 2) return "";
  const bid = good.reduce((best, book) => (Number(book.bid[0]) > Number(best.bid[0]) ? book : best));
  const ask = good.reduce((best, book) => (Number(book.ask[0]) < Number(best.ask[0]) ? book : best));
  const difference = Number(bid.bid[0]) - Number(ask.ask[0]);
  const points = ((10000 * difference) / Number(ask.ask[0])).toFixed(1);
  return difference > 0
    ? `⇄ ${bid.exchange} bids ${points} bp above ${ask.exchange}’s ask, before fees`
    : `best bid ${bid.exchange}, best ask ${ask.exchange}, ${Math.abs(points).toFixed(1)} bp apart`;
}

const LABELS = ["Bid", "Ask", "Mid", "Spread", "Spread %", "Last minutes", "Age"];

function makeRow(book) {
  const cells = LABELS.map((label) => h("td", { "data-label": label, class: label === "Last minutes" ? "trend" : label === "Spread" ? "number wide" : "number" }));
  const chart = spark();
  cells[5].append(chart);
  const state = badge();
  const reason = h("span", { class: "reason" });
  const row = h("tr", {}, h("th", { scope: "row" }, book.exchange), h("td", { class: "standing" }, state, reason), ...cells);
  Object.assign(row, { cells_: cells, state, reason, chart });
  return row;
}

function updateRow(row, book, digits) {
  const state = stateOf(book);
  setBadge(row.state, state, book.reason);
  text(row.reason, state === "live" ? "" : state === "unknown" ? "" : book.reason);
  attribute(row, "data-state", state);
  const [bid, ask, mid, spread, share, , age] = row.cells_;
  move(bid, padded(book.bid?.[0], digits), state);
  move(ask, padded(book.ask?.[0], digits), state);
  text(mid, padded(book.mid, digits));
  text(spread, padded(book.spread, digits));
  text(share, percent(book.spread_pct));
  text(age, book.event_time ? ago(now() - book.event_time / 1e6) : "–");
  row.chart.draw(live.mids.get(place(book)) ?? []);
}

// A price and the way that it went, by an arrow.
function move(cell, value, state) {
  const before = cell.value;
  if (state !== "live") attribute(cell, "data-way", null);
  if (before === value) return;
  cell.value = value;
  const way = before && value !== "–" && state === "live" ? (Number(value) > Number(before) ? "up" : "down") : null;
  attribute(cell, "data-way", way);
  text(cell, value);
}

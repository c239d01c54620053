// One symbol on all its exchanges: ladders side by side, depth, mids, trades.

import { badge, byExchange, edge, setBadge } from "./books.js";
import { Chart, look } from "./charts.js";
import { attribute, h, rows, text } from "./dom.js";
import { ago, clock, padded, percent, places } from "./format.js";
import { live, now, place, stateOf } from "./live.js";

const OLD = 5000; // ms that levels may be behind
const LADDER = 10; // levels a side that are written; the chart has all that came

export function mount(main, symbol) {
  const tabs = h("nav", { class: "tabs", "aria-label": "Symbols" });
  const best = h("p", { class: "best" });
  const ladders = h("div", { class: "ladders" });
  const tape = h("tbody");
  const depth = h("div", { class: "chart", role: "img", "aria-label": `Depth of ${symbol}` });
  const mids = h("div", { class: "chart", role: "img", "aria-label": `Mid of ${symbol} over time` });
  const charts = {
    depth: new Chart(depth, { y: "size up to there", x: "price", price: "x" }),
    mids: new Chart(mids, { time: true, price: "y" }),
  };
  main.append(
    tabs,
    h("h1", {}, symbol),
    best,
    ladders,
    h(
      "div",
      { class: "panels" },
      h("section", { class: "card" }, h("h2", {}, "Depth"), depth),
      h("section", { class: "card" }, h("h2", {}, "Mid, since this page was opened"), mids),
      h("section", { class: "card tape", tabindex: "0", "aria-label": "Trades" }, h("h2", {}, "Trades"), h("table", {}, h("thead", {}, h("tr", {}, ...["Time", "Exchange", "Side", "Price", "Size"].map((head) => h("th", { scope: "col" }, head)))), tape)),
    ),
  );
  let shown = false;
  return () => {
    const symbols = [...new Set([...live.books.values()].map((book) => book.symbol))].sort();
    rows(tabs, symbols.map((name) => [name, name]), (name) => h("a", { class: "row", href: `#/symbol/${name}` }, name), (tab, name) => attribute(tab, "aria-current", name === symbol ? "page" : null));
    if (!shown && tabs.children.length) {
      tabs.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
      shown = true;
    }
    const tops = [...live.books.values()].filter((book) => book.symbol === symbol).sort(byExchange);
    text(best, live.books.size && !tops.length ? `${symbol} is not served here` : edge(tops));
    const books = tops.map(withLevels);
    const digits = places(books.flatMap((book) => [...(book.bids ?? []), ...(book.asks ?? [])].map(([price]) => price)));
    rows(ladders, books.map((book) => [book.exchange, book]), makeLadder, (card, book) => updateLadder(card, book, digits));
    const trades = live.trades.slice(-30).reverse();
    rows(tape, trades.map((trade) => [`${trade.exchange}/${trade.epoch}/${trade.sequence}`, trade]), makeTrade, () => {});
    charts.depth.draw(() => books.filter((book) => book.bids && stateOf(book) === "live").flatMap(cumulated));
    charts.mids.draw(() => tops.map(line).filter((trace) => trace.x.length));
  };
}

// A book's levels come from its owner, which may have fallen silent since: the worse of both states counts.
function withLevels(top) {
  const levels = live.levels.get(place(top));
  if (!levels) return { ...top, state: "syncing", reason: "its levels have not come yet" };
  const book = { ...top, ...levels };
  const age = now() - levels.event_time / 1e6;
  if (top.state !== "live") return { ...book, state: top.state, reason: top.reason };
  if (levels.state === "live" && age > OLD) return { ...book, state: "stale", reason: `its levels are ${ago(age)} old` };
  return book;
}

const line = (book) => {
  const points = live.mids.get(place(book)) ?? [];
  return { name: book.exchange, mode: "lines", x: points.map(([time]) => new Date(time)), y: points.map(([, mid]) => mid), line: look(book.exchange) };
};

// Two steps of one look: what could be sold down to a price, and bought up to one.
function cumulated(book) {
  return [book.bids, book.asks].map((levels, side) => {
    let total = 0;
    return {
      name: book.exchange,
      legendgroup: book.exchange,
      showlegend: side === 0,
      mode: "lines",
      x: levels.map(([price]) => Number(price)),
      y: levels.map(([, size]) => (total += Number(size))),
      line: { ...look(book.exchange), shape: side ? "hv" : "vh" },
    };
  });
}

function makeLadder(book) {
  const state = badge();
  const reason = h("p", { class: "reason" });
  const age = h("span", { class: "age" });
  const asks = h("tbody", { class: "asks" });
  const middle = h("tbody", { class: "middle" }, h("tr", {}, h("td", { colspan: "2" })));
  const bids = h("tbody", { class: "bids" });
  const heads = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Price"), h("th", { scope: "col" }, "Size")));
  const card = h("section", { class: "card ladder" }, h("h2", {}, book.exchange, state, age), reason, h("table", {}, heads, asks, middle, bids));
  return Object.assign(card, { state, reason, age, asks, middle: middle.querySelector("td"), bids });
}

function updateLadder(card, book, digits) {
  const state = stateOf(book);
  const [bids, asks] = [(book.bids ?? []).slice(0, LADDER), (book.asks ?? []).slice(0, LADDER)];
  attribute(card, "data-state", state);
  setBadge(card.state, state, book.reason);
  text(card.reason, state === "live" ? "" : book.reason ?? "");
  text(card.age, book.receipt_time ? ago(now() - book.receipt_time / 1e6) : "");
  text(card.middle, bids.length && asks.length ? middle(Number(bids[0][0]), Number(asks[0][0]), digits) : "–");
  const sizes = places([...bids, ...asks].map(([, size]) => size));
  const largest = Math.max(...[...bids, ...asks].map(([, size]) => Number(size)), 0) || 1;
  const side = (body, levels) =>
    rows(body, levels.map((level, index) => [index, level]), makeLevel, (row, [price, size]) => {
      text(row.children[0], padded(price, digits));
      text(row.children[1], padded(size, sizes));
      row.style.setProperty("--share", `${((100 * Number(size)) / largest).toFixed(1)}%`);
    });
  side(card.asks, asks.toReversed());
  side(card.bids, bids);
}

// Of the ladder that is shown: the published top may be another moment's.
function middle(bid, ask, digits) {
  const [mid, spread] = [(bid + ask) / 2, ask - bid];
  return `${mid.toFixed(digits + 1)}   spread ${spread.toFixed(digits)} (${percent((100 * spread) / mid)})`;
}

const makeLevel = () => h("tr", {}, h("td", {}), h("td", {}));

function makeTrade(trade) {
  const side = trade.side === "buy" ? "↑ buy" : "↓ sell";
  return h("tr", { "data-side": trade.side }, ...[clock(trade.receipt_time), trade.exchange, side, trade.price, trade.size].map((value) => h("td", {}, value)));
}

// Pages by the address behind `#`, keys, and the alarm that no one can miss.

import * as books from "./books.js";
import { attribute, h, text } from "./dom.js";
import * as feeds from "./feeds.js";
import { ago } from "./format.js";
import * as latency from "./latency.js";
import { follow, live, onChange, silentFor } from "./live.js";
import * as orders from "./orders.js";
import * as positions from "./positions.js";
import * as strategies from "./strategies.js";
import * as symbol from "./symbol.js";

const pages = { "": books, orders, positions, strategies, feeds, latency, symbol };
const byKey = ["#/", "#/orders", "#/positions", "#/strategies", "#/feeds", "#/latency"];

const main = document.getElementById("main");
const alarm = document.getElementById("alarm");
const connection = document.getElementById("connection");
const keys = document.getElementById("keys");

let render = () => {};
let waiting = false;

function route() {
  const [, name, argument] = location.hash.split("/");
  const page = pages[name ?? ""] ?? books;
  const wanted = page === symbol ? decodeURIComponent(argument ?? "") : null;
  main.replaceChildren();
  follow(wanted);
  render = page.mount(main, wanted);
  for (const link of document.querySelectorAll("nav a")) {
    const current = link.getAttribute("href") === (byKey.includes(location.hash) ? location.hash : "#/");
    attribute(link, "aria-current", current ? "page" : null);
  }
  draw();
}

function draw() {
  waiting = false;
  const states = books.summary();
  const bad = ["stale", "broken"].filter((state) => states[state]);
  const lost = live.status === "lost";
  document.body.dataset.status = live.status;
  if (lost) {
    text(alarm.firstChild, "✖ CONNECTION LOST: what you see is old. Trying again …");
    text(alarm.lastChild, `Nothing has come from the worker for ${ago(silentFor())}.`);
  } else if (bad.length) {
    const books_ = bad.map((state) => `${states[state]} ${state}`).join(", ");
    text(alarm.firstChild, `▲ ${books_} of ${live.books.size} books: don’t believe their prices.`);
    text(alarm.lastChild, "");
  }
  alarm.hidden = !lost && !bad.length;
  alarm.dataset.kind = lost ? "lost" : "books";
  text(connection, { open: "● connected", lost: "✖ lost", connecting: "◌ connecting" }[live.status]);
  attribute(connection, "data-status", live.status);
  const what = lost ? "✖ LOST · " : bad.length ? "▲ " : "";
  const title = `${what}tradeflow`;
  if (document.title !== title) document.title = title;
  render();
}

function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(draw);
}

function step(by) {
  const links = [...main.querySelectorAll(".row")];
  if (!links.length) return;
  const at = links.indexOf(document.activeElement);
  const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  if (event.key === "?") keys.showModal();
  else if (byKey[event.key - 1]) location.hash = byKey[event.key - 1];
  else if (event.key === "b") location.hash = "#/";
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else return;
  event.preventDefault();
});

document.getElementById("help").addEventListener("click", () => keys.showModal());
window.addEventListener("hashchange", route);
onChange(soon);
setInterval(soon, 500); // ages go on
route();

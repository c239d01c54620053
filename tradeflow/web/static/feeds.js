// Connections to exchanges: rate, reconnects, lag, and what went wrong last.

import { badge, setBadge } from "./books.js";
import { attribute, h, rows, text } from "./dom.js";
import { ago, count, duration } from "./format.js";
import { live, now, stateOf } from "./live.js";

const FACTS = ["Rate", "Lag", "Last record", "Records", "Reconnects", "Gaps", "Resyncs", "Since", "Worker"];

export function mount(main) {
  const silent = h("p", { class: "reason" });
  const list = h("div", { class: "feeds" });
  main.append(h("h1", {}, "Feeds"), silent, list, h("p", { class: "note" }, "Lag: from the exchange’s own time of a record to its arrival here, the difference of the clocks included; the median of the books that this worker owns."));
  return () => {
    const workers = live.feeds?.silent_workers ?? [];
    text(silent, workers.length ? `✖ These workers don’t answer, so their feeds are missing here: ${workers.join(", ")}` : "");
    rows(list, (live.feeds?.feeds ?? []).map((feed) => [feed.feed, feed]), makeFeed, updateFeed);
  };
}

function makeFeed(feed) {
  const state = badge();
  const values = FACTS.map(() => h("dd"));
  const symbols = h("p", { class: "symbols" });
  const error = h("p", { class: "reason" });
  const facts = FACTS.flatMap((name, index) => [h("div", {}, h("dt", {}, name), values[index])]);
  const card = h("section", { class: "card feed", tabindex: "0" }, h("h2", {}, feed.exchange, state), symbols, error, h("dl", {}, ...facts));
  card.classList.add("row");
  return Object.assign(card, { state, values, symbols, error });
}

function updateFeed(card, feed) {
  const state = stateOf(feed);
  attribute(card, "data-state", state);
  setBadge(card.state, state, feed.last_error);
  text(card.symbols, feed.symbols.join("  "));
  const resyncing = Object.entries(feed.resyncing).map(([symbol, reason]) => `${symbol} is taken anew: ${reason}`);
  const missing = Object.entries(feed.unavailable).map(([symbol, reason]) => `${symbol}: ${reason}`);
  const last = feed.last_error ? [`${feed.state === "live" ? "Last error" : "Error"}: ${feed.last_error}`] : [];
  text(card.error, [...resyncing, ...missing, ...last].join(" · "));
  const rate = live.rates.get(feed.feed);
  const values = [
    rate === undefined ? "–" : `${rate.toFixed(rate < 10 ? 1 : 0)} /s`,
    duration(live.stats?.feed_lag_ms?.[feed.exchange]),
    feed.last_message_time ? ago(now() - feed.last_message_time / 1e6) : "never",
    count(feed.messages),
    count(feed.reconnects),
    count(feed.gaps),
    count(feed.resyncs),
    ago(now() - feed.since / 1e6),
    feed.worker,
  ];
  values.forEach((value, index) => text(card.values[index], value));
}

// Where a record's time goes, from the exchange to the broker's acknowledgement of the order that it caused.

import { Chart } from "./charts.js";
import { h, rows, text } from "./dom.js";
import { count, duration } from "./format.js";
import { live } from "./live.js";

const STAGES = [
  ["normalized", "normalized"],
  ["applied", "applied to its book"],
  ["acknowledged", "its order acknowledged"],
];

export function mount(main) {
  const waterfall = h("div", { class: "waterfall" });
  const chart = h("div", { class: "chart", role: "img", "aria-label": "Latency of orders over time" });
  const facts = h("dl", { class: "facts" });
  const curve = new Chart(chart, { time: true, y: "ms", every: 2000 });
  main.append(
    h("h1", {}, "Latency"),
    h("section", { class: "card" }, h("h2", {}, "From the socket, last minute (at most 1,000 of each), this worker"), waterfall, h("p", { class: "note" }, "Of each run of records the oldest one counts; orders count one by one. Each stage has its own median, and begins where that of the one before it ends.")),
    h("section", { class: "card" }, h("h2", {}, "Raw → order, since this page was opened"), chart),
    h("section", { class: "card" }, h("h2", {}, "This worker"), facts),
  );
  return () => {
    const stats = live.stats;
    if (!stats) return;
    const bars = stages(stats);
    const longest = Math.max(...bars.map((bar) => bar.p99 ?? 0), 0.001);
    rows(waterfall, bars.map((bar) => [bar.name, bar]), makeBar, (row, bar) => updateBar(row, bar, longest));
    curve.draw(() => [trace(1, "p50", "solid", "--series-1"), trace(2, "p99", "dot", "--series-2")]);
    rows(facts, Object.entries(worker(stats)).map(([name, value]) => [name, [name, value]]), ([name]) => h("div", {}, h("dt", {}, name), h("dd")), (row, [, value]) => text(row.lastChild, value));
  };
}

function trace(index, name, dash, color) {
  const line = { dash, width: 2, color: getComputedStyle(document.documentElement).getPropertyValue(color).trim() };
  return { name, mode: "lines", line, x: live.latencies.map(([time]) => new Date(time)), y: live.latencies.map((point) => point[index]) };
}

function stages(stats) {
  const lags = Object.entries(stats.feed_lag_ms).map(([exchange, lag]) => ({ name: `${exchange} → socket`, from: 0, p50: lag, p99: null, before: true }));
  let from = 0;
  const own = STAGES.map(([key, words]) => {
    const { p50, p99, count: number } = stats.stages_ms[key];
    const bar = { name: `→ ${words}`, from, p50, p99, number };
    from = Math.max(from, p50 ?? 0);
    return bar;
  });
  return [...lags, ...own];
}

function makeBar(bar) {
  const values = h("span", { class: "values" });
  return Object.assign(h("div", { class: bar.before ? "stage before" : "stage" }, h("span", { class: "name" }, bar.name), h("span", { class: "track" }, h("span", { class: "bar" }), h("span", { class: "tail" })), values), { values });
}

function updateBar(row, bar, longest) {
  const share = (value) => `${((100 * Math.max(0, value ?? 0)) / longest).toFixed(2)}%`;
  row.style.setProperty("--from", share(Math.min(bar.from, bar.p50 ?? bar.from)));
  row.style.setProperty("--to", share(bar.p50));
  row.style.setProperty("--tail", share(bar.p99));
  text(row.values, bar.p50 === null ? "none yet" : bar.p99 === null ? duration(bar.p50) : `p50 ${duration(bar.p50)} · p99 ${duration(bar.p99)} · ${count(bar.number)}`);
}

function worker(stats) {
  const orders = Object.entries(stats.orders).map(([name, number]) => `${name} ${count(number)}`);
  const deltas = Object.values(stats.markets).flatMap((market) => Object.values(market.deltas)).reduce((sum, number) => sum + number, 0);
  return {
    "Worker": stats.worker,
    "Up": `${Math.round(stats.uptime_s)} s`,
    "Partitions": Object.keys(stats.markets).sort().join(", ") || "none",
    "Deltas applied": count(deltas),
    "Orders, all workers": orders.join(", ") || "none",
    "Checkpoints": `${count(stats.checkpoints.count)}, the last in ${duration(stats.checkpoints.last_seconds * 1000)}`,
    "Unacknowledged": `${count(stats.unacknowledged_bytes)} bytes`,
    "Dead letters": count(stats.dead_letters),
    "Conflicting orders": count(stats.conflicting_orders),
  };
}

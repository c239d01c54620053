// What the worker says, as it says it: one stream, and how old what we have is.

export const SILENCE = 2500; // ms without a beat (one comes each second) after which nothing here is believed
const RETRY = 1000;
const HISTORY = 900; // points of each book's mid that are kept

export const live = {
  status: "connecting",
  books: new Map(),
  orders: new Map(),
  positions: new Map(),
  strategies: null,
  feeds: null,
  stats: null,
  levels: new Map(),
  trades: [],
  mids: new Map(), // place -> [[ms, mid], …]
  rates: new Map(), // feed -> messages a second
  latencies: [], // [[ms, p50, p99], …]
};

let source = null;
let symbol = null;
let heard = performance.now();
let ahead = null; // ms by which the worker's clock is ahead of this page's: as the beat that was delayed least says
let retry = 0;
const listeners = new Set();

export const onChange = (listener) => listeners.add(listener);
const changed = () => listeners.forEach((listener) => listener());

export const now = () => (ahead === null ? Date.now() : performance.now() + ahead);
export const silentFor = () => performance.now() - heard;
export const place = (book) => `${book.exchange}/${book.symbol}`;

// While the connection is lost no book may be called live: nobody knows.
export function stateOf(record) {
  return live.status === "open" ? record.state : "unknown";
}

const handlers = {
  books(rows) {
    for (const book of rows) {
      live.books.set(place(book), book);
      if (book.state === "live" && book.mid) point(place(book), now(), Number(book.mid));
    }
  },
  orders(rows) {
    for (const order of rows) {
      live.orders.delete(order.order_id);
      live.orders.set(order.order_id, order);
    }
    while (live.orders.size > 500) live.orders.delete(live.orders.keys().next().value);
  },
  positions(rows) {
    for (const position of rows) live.positions.set(place(position), position);
  },
  strategies([answer]) {
    live.strategies = answer;
  },
  feeds([answer]) {
    const before = new Map((live.feeds?.feeds ?? []).map((feed) => [feed.feed, feed]));
    const seconds = (performance.now() - (live.feedsAt ?? 0)) / 1000;
    for (const feed of answer.feeds) {
      const last = before.get(feed.feed);
      if (last && last.worker === feed.worker && seconds > 0.5 && seconds < 10) {
        live.rates.set(feed.feed, Math.max(0, feed.messages - last.messages) / seconds);
      }
    }
    live.feeds = answer;
    live.feedsAt = performance.now();
  },
  stats([stats]) {
    live.stats = stats;
    if (stats.latency_ms.count) live.latencies.push([now(), stats.latency_ms.p50, stats.latency_ms.p99]);
    if (live.latencies.length > HISTORY) live.latencies.shift();
  },
  levels(rows) {
    for (const book of rows) live.levels.set(place(book), book);
  },
  trades(rows) {
    const known = new Set(live.trades.map(numbered));
    live.trades.push(...rows.filter((trade) => !known.has(numbered(trade))));
    live.trades.splice(0, live.trades.length - 100);
  },
  beat(time) {
    ahead = Math.max(ahead ?? -Infinity, time - performance.now());
    live.status = "open";
  },
};

const numbered = (trade) => `${trade.exchange}/${trade.epoch}/${trade.sequence}`;

function point(key, time, mid) {
  const points = live.mids.get(key) ?? [];
  if (!live.mids.has(key)) live.mids.set(key, points);
  const last = points.at(-1);
  if (last && time - last[0] < 900) last[1] = mid;
  else points.push([time, mid]);
  if (points.length > HISTORY) points.shift();
}

// Follow the stream; with a symbol also its levels and trades.
export function follow(wanted) {
  if (source && wanted === symbol) return;
  symbol = wanted;
  live.levels.clear();
  live.trades.length = 0;
  open();
}

function open() {
  clearTimeout(retry);
  source?.close();
  ahead = null;
  heard = performance.now();
  const opened = new EventSource(symbol ? `/stream?symbol=${encodeURIComponent(symbol)}` : "/stream");
  source = opened;
  const fresh = new Set();
  opened.addEventListener("open", () => ["books", "orders", "positions", "levels"].forEach((name) => fresh.add(name)));
  for (const [name, handle] of Object.entries(handlers)) {
    opened.addEventListener(name, (event) => {
      if (opened !== source) return;
      heard = performance.now();
      if (fresh.delete(name)) live[name].clear(); // all of them come anew, and what is gone does not
      handle(JSON.parse(event.data));
      changed();
    });
  }
  opened.addEventListener("error", () => {
    if (opened !== source) return;
    lost();
    if (opened.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY);
  });
}

function lost() {
  live.status = "lost";
  changed();
}

// A worker that was frozen closes nothing: its silence must do.
setInterval(() => {
  if (source && live.status !== "lost" && silentFor() > SILENCE) lost();
  if (source && silentFor() > 4 * SILENCE) open();
}, 250);

// A page that nobody sees costs the worker nothing.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(retry);
    source?.close();
    source = null;
    live.status = "connecting";
  } else open();
  changed();
});

// The last orders of all strategies: what caused each, and what became of it.

import { attribute, h, rows, text } from "./dom.js";
import { clock } from "./format.js";
import { live } from "./live.js";

const SHOWN = 100;
const SHAPES = { INITIALIZED: "◌", SUBMITTED: "◌", ACCEPTED: "○", PARTIALLY_FILLED: "◐", FILLED: "●", PENDING_CANCEL: "◌", CANCELED: "–", EXPIRED: "–", DENIED: "✖", REJECTED: "✖" };

export function mount(main) {
  const list = h("div", { class: "orders" });
  const empty = h("p", { class: "empty" });
  main.append(h("h1", {}, "Orders"), empty, list);
  return () => {
    const orders = [...live.orders.values()].sort((one, other) => other.event_time - one.event_time).slice(0, SHOWN);
    text(empty, orders.length ? "" : "No strategy has sent an order since 30 s before this worker started.");
    rows(list, orders.map((order) => [order.order_id, order]), makeOrder, updateOrder);
  };
}

function makeOrder(order) {
  const side = h("span", { class: "side", "data-side": order.side }, order.side === "buy" ? "↑ buy" : "↓ sell");
  const status = h("span", { class: "status" });
  const became = h("p", { class: "why" });
  const life = h("tbody");
  const heads = ["", "Status", "Time", "Filled", "Fee", "Reason"];
  const card = h(
    "details",
    { class: "card order" },
    h(
      "summary",
      { class: "row" },
      h("time", {}, clock(order.event_time)),
      h("span", { class: "what" }, side, ` ${order.size} `, h("strong", {}, order.symbol), order.price === null ? " at market" : ` at ${order.price}`),
      h("span", { class: "where" }, order.exchange),
      h("span", { class: "who" }, order.strategy),
      status,
    ),
    h("p", { class: "why cause" }, why(order)),
    became,
    h("div", { class: "life" }, h("table", {}, h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))), life)),
    h("dl", {}, ...facts(order).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  );
  card.addEventListener("toggle", () => look(card, order.order_id));
  return Object.assign(card, { status, became, life });
}

// Its executions; the stream has only what became of it in the end.
async function look(card, identity) {
  if (!card.open) return;
  const answer = await fetch(`/orders/${identity}`).catch(() => null);
  if (!answer?.ok) return;
  const { executions } = await answer.json();
  rows(card.life, executions.map((execution) => [execution.number, execution]), makeExecution, () => {});
}

function updateOrder(card, order) {
  const status = order.shadow ? "SHADOW" : order.status;
  if (card.status.dataset.status !== status) look(card, order.order_id);
  attribute(card.status, "data-status", status);
  text(card.status, `${SHAPES[status] ?? "◌"} ${status.toLowerCase().replace("_", " ")}`);
  text(card.became, became(order));
}

function makeExecution(execution) {
  const filled = execution.last_size ? `${execution.last_size} at ${execution.last_price}${execution.liquidity ? `, ${execution.liquidity}` : ""}` : "";
  const fee = execution.fee ? `${execution.fee} ${execution.fee_currency}` : "";
  const reason = execution.reason || execution.reason_code;
  const by = execution.number < 0 ? "gate" : `venue ${execution.number}`;
  return h("tr", {}, ...[by, execution.status.toLowerCase().replace("_", " "), clock(execution.receipt_time), filled, fee, reason].map((value) => h("td", {}, value)));
}

export function why(order) {
  const { cause } = order;
  if (cause.kind === "agent") return `${order.strategy}, a plain agent, sent this. What made it do so is its own.`;
  const tag = order.tag && order.tag !== order.strategy ? ` It calls it “${order.tag}”.` : "";
  const because = {
    timer: () => `its timer ${cause.timer} fired at ${clock(cause.time)}`,
    execution: () => `of execution ${cause.execution}`,
    control: () => `of an operator’s word, record ${cause.sequence} of control`,
    trade: () => `of trade ${cause.sequence} of epoch ${cause.epoch} of ${cause.exchange}`,
    book: () => `of book record ${cause.sequence} of epoch ${cause.epoch} of ${cause.exchange}`,
  }[cause.kind]();
  return `${order.strategy} sent this because ${because}. Replay that event, and the same order comes again, under the same id.${tag}`;
}

function became(order) {
  if (order.shadow) return "A shadow’s order: recorded, never executed.";
  const filled = order.average_price ? ` ${order.filled_size} filled at ${order.average_price} on average, ${order.leaves_size} left.` : "";
  const reason = order.reason || order.reason_code;
  if (order.status === "INITIALIZED") return "The risk gate has not decided on it yet.";
  const denied = order.status === "DENIED" ? "The risk gate denied it" : `It is ${order.status.toLowerCase().replace("_", " ")}`;
  return `${denied}${reason ? `: ${reason}` : ""}.${filled}`;
}

const facts = (order) => [
  ["Order", order.order_id],
  ["Kind", [order.command, order.type, order.tif, order.post_only ? "post only" : ""].filter(Boolean).join(" ")],
  ["Parameters", order.params_hash],
  ["Event time", String(order.event_time)],
];

// What each book's purse holds, and what it has brought.

import { attribute, h, rows, text } from "./dom.js";
import { ago, short, signed } from "./format.js";
import { live, now, place } from "./live.js";

const HEADS = ["Book", "Position", "Average price", "Realized", "Unrealized", "Fees", "Balances", "Age"];

export function mount(main) {
  const body = h("tbody");
  const empty = h("p", { class: "empty" });
  const table = h("table", { class: "books positions" }, h("thead", {}, h("tr", {}, ...HEADS.map((head) => h("th", { scope: "col" }, head)))), body);
  main.append(h("h1", {}, "Positions"), empty, h("section", { class: "card scroll" }, table), h("p", { class: "note" }, "On paper. Each book trades with a purse of its own; unrealized at the mid of the live book. Rounded to four decimals; /positions has every digit."));
  return () => {
    const positions = [...live.positions.values()].sort((one, other) => place(one).localeCompare(place(other)));
    text(empty, positions.length ? "" : "No worker has published a position yet.");
    rows(body, positions.map((position) => [place(position), position]), makeRow, updateRow);
  };
}

const makeRow = (position) =>
  h("tr", {}, h("th", { scope: "row" }, place(position)), ...HEADS.slice(1).map((head) => h("td", { "data-label": head, class: "number" })));

function updateRow(row, position) {
  const amounts = (found) => Object.entries(found).map(([currency, amount]) => `${short(amount)} ${currency}`).join("\n") || "–";
  const size = Number(position.size);
  const values = [
    size === 0 ? "flat" : `${size > 0 ? "↑ long" : "↓ short"} ${position.size.replace("-", "")}`,
    position.average_price === null ? "–" : short(position.average_price),
    `${signed(position.realized)} ${position.currency}`,
    position.unrealized === null ? "–" : `${signed(position.unrealized)} ${position.currency}`,
    amounts(position.fees),
    amounts(position.balances),
    ago(now() - position.event_time / 1e6),
  ];
  values.forEach((value, index) => text(row.children[index + 1], value));
  attribute(row.children[3], "title", position.realized);
  attribute(row.children[4], "title", position.unrealized);
}

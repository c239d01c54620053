// Charts by plotly, which is fetched when the first one is wanted: it is larger than all the rest.

let loading = null;

function plotly() {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = "/static/plotly.min.js";
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => reject(new Error("plotly did not come"));
    document.head.append(script);
  });
  return loading;
}

const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// One look for each exchange, told apart by the dash as well as by the color.
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const exchanges = [];

export function look(exchange) {
  if (!exchanges.includes(exchange)) exchanges.push(exchange);
  const index = exchanges.indexOf(exchange);
  return { color: style(`--series-${(index % 6) + 1}`), dash: DASHES[index % 6], width: 2 };
}

export class Chart {
  constructor(element, { every = 1000, y = "", x = "", time = false, price = "" }) {
    this.element = element;
    this.every = every;
    this.options = { x, y, time, price };
    this.drawn = 0;
    this.busy = false;
  }

  // `traces()` is asked for them when it is time to draw.
  async draw(traces) {
    const now = performance.now();
    if (this.busy || now - this.drawn < this.every) return;
    this.busy = true;
    try {
      const Plotly = await plotly();
      this.drawn = performance.now();
      if (this.element.isConnected) await Plotly.react(this.element, traces(), this.layout(), { displayModeBar: false, responsive: true });
    } finally {
      this.busy = false;
    }
  }

  layout() {
    const axis = {
      gridcolor: style("--line"), linecolor: style("--line"), zeroline: false, fixedrange: true, automargin: true,
      tickfont: { size: 11 },
    };
    const format = (name) => (this.options.price === name ? { tickformat: ",.8~g" } : {}); // as it is, without k
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: style("--soft") },
      margin: { l: 8, r: 8, t: 8, b: 8, pad: 4 },
      xaxis: { ...axis, ...format("x"), title: { text: this.options.x }, type: this.options.time ? "date" : "linear", nticks: 6 },
      yaxis: { ...axis, ...format("y"), title: { text: this.options.y }, nticks: 6, rangemode: this.options.time ? "normal" : "tozero" },
      legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
      hovermode: "x unified",
      dragmode: false,
      uirevision: "same",
    };
  }
}

// A line of a book's last mids, as small as a word.

const SPACE = "http://www.w3.org/2000/svg";
const WIDTH = 100;
const HEIGHT = 24;
const POINTS = 180;

export function spark() {
  const svg = document.createElementNS(SPACE, "svg");
  const line = document.createElementNS(SPACE, "polyline");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "spark");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  svg.draw = (points) => {
    const shown = points.slice(-POINTS);
    if (shown.length < 2) return;
    const mids = shown.map(([, mid]) => mid);
    const low = Math.min(...mids);
    const range = Math.max(...mids) - low || 1;
    const start = shown[0][0];
    const span = shown.at(-1)[0] - start || 1;
    const path = shown.map(
      ([time, mid]) => `${(((time - start) / span) * WIDTH).toFixed(1)},${(HEIGHT - 2 - ((mid - low) / range) * (HEIGHT - 4)).toFixed(1)}`,
    );
    line.setAttribute("points", path.join(" "));
  };
  return svg;
}

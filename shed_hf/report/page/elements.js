// What the page is drawn from, and ways to make elements. Text reaches the page as text nodes alone.

document.documentElement.classList.add("with-scripts");

const content = JSON.parse(document.getElementById("content").textContent);
const clusters = content.clusters;
const rows = content.rows;
const nRows = rows.row.length;
const played = clusters.some((cluster) => cluster.value !== null);

const byId = (id) => document.getElementById(id);

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

function fill(parent, ...children) {
  parent.replaceChildren(...children);
  return parent;
}

function svg(width, height, label) {
  const made = d3.create("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("width", width).attr("height", height);
  return label ? made.attr("role", "img").attr("aria-label", label) : made.attr("aria-hidden", "true");
}

const whole = (number) => number.toLocaleString("en");
const plural = (count, thing) => `${whole(count)} ${thing}${count === 1 ? "" : "s"}`;
const minus = (text) => text.replace(/(^|[\s(])-(?=\d)/g, "$1−");
const percent = (share) => (share > 0 && share < 0.01 ? "< 1 %" : `${Math.round(100 * share)} %`);
const unbroken = (text) => text.replaceAll(" ", "\u00a0");
const short = (text, length) => (text.length <= length ? text : `${text.slice(0, length - 1)}…`);

/** A number with its sign, with as many digits as the larger one beside it has. */
function signed(number, beside = 0) {
  if (number === null) return "none";
  const size = Math.max(Math.abs(number), Math.abs(beside));
  const digits = size >= 100 ? 0 : size >= 1 ? 2 : 4;
  const shown = number !== 0 && size < 0.0005 ? number.toExponential(1) : number.toFixed(digits);
  return minus(`${number >= 0 ? "+" : ""}${shown.replace("e-", "e−")}`);
}

function worthOf(cluster) {
  if (cluster.value === null) return "no worth known";
  const { value, stderr } = cluster;
  return signed(value, stderr ?? 0) + (stderr === null ? "" : ` ± ${signed(stderr, value).slice(1)}`);
}

const side = (value) => (value === null ? "other" : value >= 0 ? "better" : "worse");

/** The clusters' indices from the most worth to the least; those without worth come last. */
const ranked = d3.range(clusters.length).sort((a, b) => d3.descending(clusters[a].value ?? -Infinity, clusters[b].value ?? -Infinity));
const nValued = clusters.filter((cluster) => cluster.value !== null).length;
const rankOf = new Map(ranked.slice(0, nValued).map((cluster, place) => [cluster, place + 1]));

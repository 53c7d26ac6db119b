// The table of clusters: what each is worth with two standard errors, how many rows it has, and the share kept.

const MOST_LINES = 400;
const COLUMNS = [
  { key: "value", title: "Worth", first: "descending" },
  { key: "name", title: "Cluster", first: "ascending" },
  { key: "size", title: "Rows", first: "descending" },
  { key: "share", title: "Kept", first: "descending" },
];
const sorting = { key: played ? "value" : "size", order: "descending" };

const worthWidth = () => (window.innerWidth < 640 ? 96 : 170);

function worthScale() {
  const known = clusters.filter((cluster) => cluster.value !== null);
  const ends = known.flatMap(({ value, stderr }) => [value - 2 * (stderr ?? 0), value + 2 * (stderr ?? 0)]);
  return d3.scaleLinear(d3.extent([0, ...ends]), [6, worthWidth() - 6]);
}

function worthPicture(cluster, x) {
  const plot = svg(worthWidth(), 18);
  plot.append("line").attr("class", "zero").attr("x1", x(0)).attr("x2", x(0)).attr("y1", 0).attr("y2", 18);
  if (cluster.value === null) return plot.node();
  const look = side(cluster.value);
  const spread = 2 * (cluster.stderr ?? 0);
  plot.append("line").attr("class", look).attr("y1", 9).attr("y2", 9).attr("x1", x(cluster.value - spread)).attr("x2", x(cluster.value + spread));
  plot.append("circle").attr("class", look).attr("cx", x(cluster.value)).attr("cy", 9).attr("r", 4.5);
  return plot.node();
}

function keptPicture(share) {
  const plot = svg(60, 8);
  plot.append("rect").attr("class", "track").attr("width", 60).attr("height", 8).attr("rx", 4);
  plot.append("rect").attr("class", "share").attr("width", 60 * share).attr("height", 8).attr("rx", 4);
  return plot.node();
}

function sortedClusters(counts) {
  const key = {
    value: (place) => clusters[place].value ?? -Infinity,
    name: (place) => clusters[place].name.toLowerCase(),
    size: (place) => clusters[place].size,
    share: (place) => counts[place] / clusters[place].size,
  }[sorting.key];
  return d3.sort(d3.range(clusters.length), (a, b) => d3[sorting.order](key(a), key(b)) || a - b).slice(0, MOST_LINES);
}

function sortBy(column) {
  const turned = sorting.order === "ascending" ? "descending" : "ascending";
  Object.assign(sorting, { key: column.key, order: sorting.key === column.key ? turned : column.first });
  drawForest();
  byId(`sort-${column.key}`).focus();
}

function header(column) {
  const sorted = sorting.key === column.key;
  const button = element("button", { type: "button", id: `sort-${column.key}` }, `${column.title}${sorted ? (sorting.order === "ascending" ? " ▲" : " ▼") : ""}`);
  button.addEventListener("click", () => sortBy(column));
  return element("th", { scope: "col", "aria-sort": sorted ? sorting.order : "none" }, button);
}

function line(place, counts, x) {
  const cluster = clusters[place];
  const share = counts[place] / cluster.size;
  const name = element("button", { type: "button", class: "name", dir: "auto", "aria-pressed": String(place === state.cluster), "data-cluster": place }, cluster.name);
  name.addEventListener("click", () => chooseCluster(place));
  const worth = played ? [element("td", {}, worthPicture(cluster, x), element("span", { class: "worth" }, worthOf(cluster).replace("± ", "±\u00a0")))] : [];
  return element("tr", { class: place === state.cluster ? "chosen" : null }, ...worth,
    element("td", {}, name),
    element("td", { class: "count" }, whole(cluster.size)),
    element("td", { class: "count" }, keptPicture(share), `${whole(counts[place])} (${unbroken(percent(share))})`));
}

function drawForest() {
  const counts = countsNow();
  const x = worthScale();
  const focused = document.activeElement?.dataset?.cluster;
  fill(byId("forest"),
    element("thead", {}, element("tr", {}, ...COLUMNS.filter((column) => played || column.key !== "value").map(header))),
    element("tbody", {}, ...sortedClusters(counts).map((place) => line(place, counts, x))));
  if (focused !== undefined) byId("forest").querySelector(`[data-cluster="${focused}"]`)?.focus();
}

function chooseCluster(place) {
  update({ cluster: place });
}

function setUpForest() {
  drawers.push(drawForest);
}

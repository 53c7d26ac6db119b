// Kept rows and others of the chosen cluster, side by side, each with the reason.

const STEP = 6;
const limits = { kept: STEP, left: STEP };

function clusterInWords(place) {
  const rank = rankOf.get(place);
  return rank ? `its cluster is number ${rank} of ${nValued} by worth` : "its cluster has no worth";
}

function orderInWords(i) {
  const merit = rows.merit?.[i];
  return merit === undefined || merit === null ? "by chance" : `by merit, ${signed(merit)}`;
}

function reasonByClusters(i, way, kept) {
  const place = rows.cluster[i];
  const count = countsNow()[place];
  const { size } = clusters[place];
  const cap = state.kept ? way.caps[nearestOwnStop(way)] : way.caps[state.stop];
  const nth = `number ${whole(way.places[i] + 1)} in its order (${orderInWords(i)})`;
  const held = count > 0 && count < size && count === cap;
  if (kept) return `${clusterInWords(place)} and gives ${count === size ? `all its ${plural(size, "row")}` : `${whole(count)} of its ${plural(size, "row")}`}; this is ${nth}.`;
  if (count === 0) return `the subset was full before ${clusterInWords(place).replace("its cluster is", "its cluster,")}, had its turn.`;
  if (held) return `its cluster gave ${plural(count, "row")}, the most that one may give (the cap); this is ${nth}.`;
  return `the subset was full after ${plural(count, "row")} of its cluster; this is ${nth}.`;
}

/** The stop of the size that was kept, or the nearest. */
function nearestOwnStop(way) {
  return d3.leastIndex(way.sizes, (a, b) => Math.abs(a - content.kept) - Math.abs(b - content.kept));
}

function reason(i) {
  const way = wayNow();
  const kept = state.mask[i] === 1;
  if (way === null) return `${kept ? "taken" : "not taken"} by ${content.chosen.name}; ${clusterInWords(rows.cluster[i])}.`;
  if (way.way === "best clusters") return reasonByClusters(i, way, kept);
  if (way.way === "weighted draw") return `${kept ? "drawn" : "not drawn"}; rows of clusters of more worth are likelier, and ${clusterInWords(rows.cluster[i])}.`;
  if (way.way === "chance") return `${kept ? "drawn" : "not drawn"} by chance, whatever clusters are worth.`;
  const place = way.places[i];
  const last = way.sizes[way.sizes.length - 1];
  return place < content.pool && place < last ? `number ${whole(place + 1)} in the order of ${way.name}, of which ${whole(sizeNow())} ${kept ? "are" : "were"} taken.` : `not among the first ${whole(last)} in the order of ${way.name}.`;
}

function rowElement(i) {
  const worth = rows.worth?.[i];
  const alone = worth === undefined || worth === null ? "" : ` ${rows.worth_is}: ${signed(worth)}.`;
  const why = reason(i);
  return element("li", {},
    element("p", { class: "text", dir: "auto" }, rows.text?.[i] ?? "Its text is not on this page."),
    element("p", { class: "why" }, `Row ${whole(rows.row[i])}: ${why}${alone}`));
}

function drawList(which, chosen, total) {
  const words = which === "kept" ? "Kept" : "Not kept";
  byId(`${which}-title`).textContent = `${words}: ${plural(total, "row")}${chosen.length < total ? `, ${whole(chosen.length)} of them on this page` : ""}`;
  fill(byId(`${which}-rows`), ...chosen.slice(0, limits[which]).map(rowElement));
  byId(`more-${which}`).hidden = chosen.length <= limits[which];
}

let listed = null;

function drawRows() {
  const cluster = clusters[state.cluster];
  if (!cluster) return;
  if (listed !== state.cluster) Object.assign(limits, { kept: STEP, left: STEP });
  listed = state.cluster;
  const way = wayNow();
  const mine = d3.sort(d3.range(nRows).filter((i) => rows.cluster[i] === state.cluster), (i) => (way ? way.places[i] : i));
  const count = countsNow()[state.cluster];
  byId("rows-title").textContent = `Rows of ${cluster.name}`;
  byId("rows-title").dir = "auto";
  byId("rows-note").textContent = `${played ? `Worth ${worthOf(cluster)}. ` : ""}Rows are in the order in which they are taken${rows.text ? `, shortened to ${content.characters} characters` : "; their texts are not on this page"}.`;
  drawList("kept", mine.filter((i) => state.mask[i]), count);
  drawList("left", mine.filter((i) => !state.mask[i]), cluster.size - count);
}

function setUpRows() {
  for (const which of ["kept", "left"]) {
    byId(`more-${which}`).addEventListener("click", () => {
      limits[which] += 4 * STEP;
      drawRows();
    });
  }
  drawers.push(drawRows);
}

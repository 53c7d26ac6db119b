// The subset that is shown: the rows that were kept, or those that another sampler or size would keep.

const asKept = new Uint8Array(nRows);
for (const row of rows.kept) asKept[row] = 1;

const own = content.alternatives.findIndex((alternative) => alternative.argument === "");
const state = { kept: true, alternative: Math.max(own, 0), stop: 0, cluster: ranked[0] ?? 0, mask: asKept };
const drawers = [];

const NAMES = {
  "best clusters": "clusters of most worth first",
  "weighted draw": "a draw, clusters of more worth likelier",
  "row by row": "row by row",
  chance: "random rows",
};

const alternative = () => content.alternatives[state.alternative];
const sizeNow = () => (state.kept ? content.kept : alternative().sizes[state.stop]);

/** How the rows that are shown are chosen; null for rows as they were kept by something that the page can't redraw. */
function wayNow() {
  if (!state.kept) return alternative();
  return content.chosen.redrawn ? content.alternatives[own] : null;
}

function countsNow() {
  return state.kept ? clusters.map((cluster) => cluster.kept) : alternative().counts[state.stop].slice(0, clusters.length);
}

const inOrderOfRows = (way) => way.way === "row by row" || way.way === "chance";

function redrawn() {
  if (state.kept) return asKept;
  const { places } = alternative();
  const counts = alternative().counts[state.stop];
  const mask = new Uint8Array(nRows);
  for (let i = 0; i < nRows; i += 1) {
    mask[i] = places[i] < (inOrderOfRows(alternative()) ? sizeNow() : counts[rows.cluster[i]]) ? 1 : 0;
  }
  return mask;
}

function update(changes) {
  Object.assign(state, changes);
  state.mask = redrawn();
  for (const draw of drawers) draw();
}

function nearestStop(size) {
  const { sizes } = alternative();
  return d3.leastIndex(sizes, (a, b) => Math.abs(a - size) - Math.abs(b - size));
}

function drawSubset() {
  const size = sizeNow();
  const touched = countsNow().filter((count) => count > 0).length;
  const slider = byId("size");
  slider.max = alternative().sizes.length - 1;
  slider.value = state.kept ? nearestStop(size) : state.stop;
  slider.setAttribute("aria-valuetext", plural(size, "row"));
  byId("sampler").value = state.alternative;
  byId("as-kept").disabled = state.kept;
  const share = `${plural(size, "row")} of ${whole(content.pool)} (${percent(size / content.pool)}), from ${touched} of ${plural(clusters.length, "cluster")}.`;
  const loose = content.chosen.constrained ? " The constraints over groups are not kept." : "";
  byId("subset-words").textContent = state.kept
    ? `Kept: ${share} Move the slider, or choose otherwise, to see other subsets; nothing is measured anew.`
    : `Another subset would keep ${share} What is said above is of the rows that were kept, not of these.${loose}`;
  const argument = alternative().argument;
  byId("subset-code").hidden = state.kept;
  byId("subset-code").firstChild.textContent = `curated.resample(size=${size}${argument ? `, sampler=${argument}` : ""})`;
}

function setUpSubset() {
  fill(byId("sampler"), ...content.alternatives.map((each, place) => element("option", { value: place }, `${NAMES[each.way]} (${each.name})`)));
  byId("sampler").addEventListener("change", (event) => {
    const size = sizeNow();
    state.alternative = Number(event.target.value);
    update({ kept: false, stop: nearestStop(size) });
  });
  byId("size").addEventListener("input", (event) => update({ kept: false, stop: Number(event.target.value) }));
  byId("as-kept").addEventListener("click", () => update({ kept: true, alternative: Math.max(own, 0) }));
  fill(byId("chosen-notes"), ...content.chosen.notes.map((note) => element("li", {}, note)));
  drawers.push(drawSubset);
}

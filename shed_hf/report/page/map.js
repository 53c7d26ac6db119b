// The map of the pool on a canvas: a dot a row, coloured by its cluster's worth, kept rows ringed and bright.

const STEPS = 15;
const dots = d3.range(nRows).filter((i) => rows.x[i] !== null);
const map = { tree: null, x: null, y: null, at: null, size: "" };

function colours() {
  const look = getComputedStyle(document.documentElement);
  const [worst, none, best, ink, panel] = ["--worst", "--none", "--best", "--ink", "--panel"].map((name) => look.getPropertyValue(name).trim());
  const most = d3.max(clusters, (cluster) => Math.abs(cluster.value ?? 0)) || 1;
  const mix = d3.piecewise(d3.interpolateRgb, [worst, none, best]);
  const step = (value) => (value === null ? (STEPS - 1) / 2 : Math.round(((value / most + 1) / 2) * (STEPS - 1)));
  return { ink, panel, step, of: d3.range(STEPS).map((place) => mix(place / (STEPS - 1))) };
}

function layOut(width, height) {
  if (map.size === `${width} ${height}`) return;
  map.size = `${width} ${height}`;
  const [[x0, x1], [y0, y1]] = [d3.extent(dots, (i) => rows.x[i]), d3.extent(dots, (i) => rows.y[i])];
  const scale = Math.min((width - 24) / (x1 - x0 || 1), (height - 24) / (y1 - y0 || 1));
  map.x = Float64Array.from(dots, (i) => width / 2 + (rows.x[i] - (x0 + x1) / 2) * scale);
  map.y = Float64Array.from(dots, (i) => height / 2 - (rows.y[i] - (y0 + y1) / 2) * scale);
  map.tree = d3.quadtree(d3.range(dots.length), (place) => map.x[place], (place) => map.y[place]);
}

/** The dots by look: others first, those of the chosen cluster above them, kept ones last. */
function groupsOfDots(step) {
  const colour = clusters.map((cluster) => step(cluster.value));
  const groups = d3.range(4 * STEPS).map(() => []);
  dots.forEach((i, place) => {
    const cluster = rows.cluster[i];
    groups[(2 * state.mask[i] + (cluster === state.cluster ? 1 : 0)) * STEPS + colour[cluster]].push(place);
  });
  return groups;
}

function drawMap() {
  if (!dots.length) return;
  const started = performance.now();
  const canvas = byId("map");
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  layOut(width, height);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const { ink, of, step } = colours();
  const radius = Math.max(2, Math.min(5, 90 / Math.sqrt(dots.length)));
  groupsOfDots(step).forEach((places, look) => {
    const kept = look >= 2 * STEPS;
    const chosen = Math.floor(look / STEPS) % 2 === 1;
    context.beginPath();
    for (const place of places) {
      context.moveTo(map.x[place] + radius, map.y[place]);
      context.arc(map.x[place], map.y[place], radius, 0, 2 * Math.PI);
    }
    context.globalAlpha = kept ? 1 : chosen ? 0.75 : 0.38;
    context.fillStyle = of[look % STEPS];
    context.fill();
    if (!kept && !chosen) return;
    context.strokeStyle = ink;
    context.lineWidth = kept && chosen ? 1.5 : kept ? 0.8 : 0.5;
    context.stroke();
  });
  if (map.at !== null) drawCursor(context, ink, radius);
  Object.assign(canvas.dataset, { dots: dots.length, milliseconds: (performance.now() - started).toFixed(1) });
}

function drawCursor(context, ink, radius) {
  context.beginPath();
  context.globalAlpha = 1;
  context.strokeStyle = ink;
  context.lineWidth = 3;
  context.arc(map.x[map.at], map.y[map.at], radius + 5, 0, 2 * Math.PI);
  context.stroke();
}

function rowInWords(i) {
  const cluster = clusters[rows.cluster[i]];
  const text = rows.text?.[i];
  return [
    element("p", {}, element("strong", { dir: "auto" }, cluster.name), ` · worth ${worthOf(cluster)}`),
    element("p", {}, `Row ${whole(rows.row[i])}, ${state.mask[i] ? "kept" : "not kept"}`),
    element("p", { class: "text", dir: "auto" }, text ? short(text, 220) : "Its text is not on this page."),
  ];
}

function show(place) {
  map.at = place;
  const tip = byId("tip");
  tip.hidden = place === null;
  if (place !== null) {
    fill(tip, ...rowInWords(dots[place]));
    const { clientWidth, clientHeight } = byId("map-frame");
    const below = map.y[place] < clientHeight / 2;
    tip.style.left = `${Math.max(0, Math.min(map.x[place] - tip.offsetWidth / 2, clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${below ? map.y[place] + 16 : Math.max(0, map.y[place] - tip.offsetHeight - 16)}px`;
  }
  drawMap();
}

function near(event, reach) {
  const [x, y] = d3.pointer(event, byId("map"));
  return map.tree?.find(x, y, reach) ?? null;
}

/** The nearest dot in the direction of an arrow key; the way aside counts twice. */
function towards(dx, dy) {
  if (map.at === null) return 0;
  const away = (place) => {
    const along = (map.x[place] - map.x[map.at]) * dx + (map.y[place] - map.y[map.at]) * dy;
    const aside = Math.abs((map.x[place] - map.x[map.at]) * dy) + Math.abs((map.y[place] - map.y[map.at]) * dx);
    return along > 0.5 ? along + 2 * aside : Infinity;
  };
  const next = d3.minIndex(d3.range(dots.length), away);
  return away(next) === Infinity ? map.at : next;
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function onKey(event) {
  if (event.key in ARROWS) show(towards(...ARROWS[event.key]));
  else if ((event.key === "Enter" || event.key === " ") && map.at !== null) chooseCluster(rows.cluster[dots[map.at]]);
  else if (event.key === "Escape") show(null);
  else return;
  event.preventDefault();
}

function setUpMap() {
  const canvas = byId("map");
  if (!dots.length) {
    byId("map-note").textContent = "The result has no map.";
    byId("map-frame").hidden = true;
    return;
  }
  byId("map-note").textContent = `${dots.length < content.pool ? `${whole(dots.length)} rows of ${whole(content.pool)}, drawn by chance` : plural(dots.length, "row")}; rows that are alike lie close. Point at a dot or tap it to see the row; with the keyboard, arrow keys go from row to row and Enter chooses the cluster.`;
  canvas.setAttribute("aria-label", `Map of ${plural(dots.length, "row")}`);
  fill(byId("legend"), ...(played ? [element("span", { class: "is-best" }, "worth above 0"), element("span", { class: "is-worst" }, "worth below 0")] : []),
    element("span", { class: "is-kept" }, "kept: bright, with a ring"), element("span", {}, "not kept: pale"));
  canvas.addEventListener("pointermove", (event) => {
    const place = near(event, 14);
    if (place !== map.at && event.pointerType === "mouse") show(place);
  });
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && map.at !== null && show(null));
  canvas.addEventListener("click", (event) => {
    const place = near(event, 24);
    show(place);
    if (place !== null) chooseCluster(rows.cluster[dots[place]]);
  });
  canvas.addEventListener("keydown", onKey);
  new ResizeObserver(() => drawMap()).observe(canvas);
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawMap());
  drawers.push(drawMap);
}

// The worth of clusters against the outcomes measured: the best, the worst and the chosen one stand out.

function lookOf(place) {
  const rank = rankOf.get(place);
  const few = Math.min(3, Math.ceil(nValued / 2));
  if (rank <= few) return "better";
  return rank > nValued - Math.min(3, Math.floor(nValued / 2)) ? "worse" : "other";
}

function drawConvergence() {
  const { measured, values } = content.convergence;
  const parent = byId("convergence-plot");
  const width = Math.max(parent.clientWidth, 260);
  const height = Math.min(340, 160 + width / 4);
  const valued = ranked.slice(0, nValued);
  const x = d3.scaleLinear(d3.extent(measured), [58, width - 14]);
  const y = d3.scaleLinear(d3.extent([0, ...values.flat().filter((value) => value !== null)]), [height - 40, 10]).nice();
  const plot = svg(width, height, `Worth of every cluster against the number of outcomes measured`);
  plot.append("g").attr("transform", `translate(0,${height - 34})`).call(d3.axisBottom(x).ticks(Math.round(width / 110), "d"));
  plot.append("g").attr("transform", "translate(54,0)").call(d3.axisLeft(y).ticks(5));
  plot.append("text").attr("x", width - 14).attr("y", height - 3).attr("text-anchor", "end").text("outcomes measured");
  plot.append("line").attr("class", "zero").attr("x1", 58).attr("x2", width - 14).attr("y1", y(0)).attr("y2", y(0));
  const path = d3.line().defined((_, at) => at !== null).x((_, at) => x(measured[at]));
  const drawn = d3.sort(valued, (place) => (place === state.cluster ? 2 : lookOf(place) === "other" ? 0 : 1));
  for (const place of drawn) {
    const chosen = place === state.cluster;
    const look = lookOf(place);
    plot.append("path").attr("class", `path ${look}`).attr("stroke-width", chosen ? 4 : look === "other" ? 1 : 2)
      .attr("stroke-opacity", look === "other" && !chosen ? 0.5 : 1)
      .attr("d", path.y((value) => y(value))(values.map((line) => line[place])))
      .append("title").text(clusters[place].name);
  }
  fill(parent, plot.node());
}

function setUpConvergence() {
  if (content.convergence === null) return;
  byId("convergence").hidden = false;
  drawers.push(drawConvergence);
}

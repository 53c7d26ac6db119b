// Kept rows beside the untuned model, random rows and all rows: dots with intervals on one axis.

function comparisonPlot(comparison, width) {
  const narrow = width < 480;  // names stand above their lines
  const longest = d3.max(comparison.lines, (line) => line.name.length);
  const left = narrow ? 0 : Math.min(300, 14 + 6.4 * longest);
  const step = narrow ? 40 : 26;
  const height = step * comparison.lines.length + 34;
  const ends = comparison.lines.flatMap((line) => [line.value, line.low ?? line.value, line.high ?? line.value]);
  const x = d3.scaleLinear(d3.extent(comparison.zero ? [0, ...ends] : ends), [left + 14, width - 76]).nice(5);
  const words = comparison.lines.map((line) => `${line.name}: ${signed(line.value)}`).join("; ");
  const plot = svg(width, height, `${comparison.title} ${words}`);
  const axis = d3.axisBottom(x).ticks(Math.max(2, Math.round((width - left) / 130))).tickSize(-(height - 34));
  plot.append("g").attr("transform", `translate(0,${height - 26})`).call(axis).call((g) => g.select(".domain").remove());
  if (comparison.zero) plot.append("line").attr("class", "zero").attr("x1", x(0)).attr("x2", x(0)).attr("y1", 4).attr("y2", height - 26);
  comparison.lines.forEach((line, place) => {
    const y = (narrow ? 28 : 18) + step * place;
    const look = !comparison.zero ? (line.kept ? "better" : "other") : line.low > 0 ? "better" : line.high < 0 ? "worse" : "other";
    plot.append("text").attr("x", narrow ? 2 : left).attr("y", narrow ? y - 12 : y + 4).attr("text-anchor", narrow ? "start" : "end")
      .text(short(line.name, 46)).append("title").text(line.name);
    if (line.low !== null) plot.append("line").attr("class", look).attr("x1", x(line.low)).attr("x2", x(line.high)).attr("y1", y).attr("y2", y);
    plot.append("circle").attr("class", look).attr("cx", x(line.value)).attr("cy", y).attr("r", 5);
    plot.append("text").attr("x", width - 4).attr("y", y + 4).attr("text-anchor", "end")
      .text(comparison.zero ? signed(line.value) : minus(d3.format(".4~f")(line.value)));
  });
  return plot.node();
}

function drawComparisons() {
  const width = Math.min(Math.max(document.querySelector("main").clientWidth - 40, 250), 760);
  document.querySelectorAll(".comparison .plot").forEach((plot, place) => fill(plot, comparisonPlot(content.comparisons[place], width)));
}

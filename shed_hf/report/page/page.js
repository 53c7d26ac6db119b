// Puts the page together.

function drawHeadline(prefix, headline) {
  const sentence = byId(`${prefix}sentence`);
  sentence.textContent = headline.sentence;
  sentence.classList.add(headline.tone);
  fill(byId(`${prefix}figures`), ...headline.figures.map((figure) => element("div", {},
    element("dt", {}, figure.label), element("dd", { class: "number" }, minus(figure.value)), element("dd", { class: "words" }, minus(figure.words)))));
  fill(byId(`${prefix}notes`), ...headline.notes.map((note) => element("li", {}, note)));
}

function drawPairs(id, lines, nothing) {
  fill(byId(id), ...(lines.length ? lines.flatMap(([name, what]) => [element("dt", {}, name), element("dd", {}, what)]) : [element("dd", {}, nothing)]));
}

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(from);  // where the clipboard is not to be had, the text is at least selected
    if (!document.execCommand("copy")) return false;
  }
  return true;
}

function setUpCopy(button, text, from) {
  from.textContent = text;
  const label = button.textContent;
  button.addEventListener("click", async () => {
    button.textContent = (await copy(text, from)) ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

drawHeadline("", content.headline);
if (content.ranking !== null) {
  byId("ranking").hidden = false;
  drawHeadline("ranking-", content.ranking);
}
drawPairs("cost", content.cost, "nothing is known of it");
drawPairs("left-out", content.left_out, "Every row took part.");
setUpCopy(byId("copy-code"), content.code, byId("code"));
setUpCopy(byId("copy-recipe"), content.recipe, byId("recipe"));
setUpSubset();
setUpForest();
setUpMap();
setUpRows();
setUpConvergence();
drawComparisons();
update({});
let wide = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth === wide) return;
  wide = window.innerWidth;
  drawComparisons();
  if (content.convergence !== null) drawConvergence();
});
document.documentElement.dataset.drawn = "yes";

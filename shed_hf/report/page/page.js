// Puts the page together.

async function copy(text, from) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    getSelection().selectAllChildren(from);  // where the clipboard is not to be had, the text is at least selected
    if (!document.execCommand("copy")) return false;
  }
  return true;
}

function setUpCopy(button, from) {
  const label = button.textContent;
  button.addEventListener("click", async () => {
    button.textContent = (await copy(from.textContent, from)) ? "Copied" : "Selected: press Ctrl+C";
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

setUpCopy(byId("copy-code"), byId("code"));
setUpCopy(byId("copy-recipe"), byId("recipe"));
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

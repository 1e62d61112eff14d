"use strict";
// Comfort only: without scripts the page shows the same, blurred and unzoomed.
document.documentElement.classList.add("scripted");

const strip = document.getElementById("strip");
const scroller = document.getElementById("scroller");
if (strip) {
  const shown = document.getElementById("zoom");
  let zoom = 1;
  const set = (next) => {
    const middle = (scroller.scrollLeft + scroller.clientWidth / 2) / strip.clientWidth;
    zoom = Math.min(64, Math.max(1, next));
    strip.style.width = `${zoom * 100}%`;
    shown.textContent = `${zoom}×`;
    scroller.scrollLeft = middle * strip.clientWidth - scroller.clientWidth / 2;
  };
  document.getElementById("zoom-in").addEventListener("click", () => set(zoom * 2));
  document.getElementById("zoom-out").addEventListener("click", () => set(zoom / 2));
  scroller.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") set(zoom * 2);
    else if (event.key === "-") set(zoom / 2);
    else return;
    event.preventDefault();
  });
  strip.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (link) {
      const row = document.querySelector(link.getAttribute("href"));
      if (row) row.focus({ preventScroll: true });
    }
  });
}

const grey = document.getElementById("grey");
const show = document.getElementById("show");
if (grey) {
  grey.addEventListener("change", () => {
    document.getElementById("evidence").classList.toggle("grey", grey.checked);
  });
}
if (show) {
  show.addEventListener("change", () => {
    for (const image of document.querySelectorAll("img[data-clear]")) {
      const other = image.dataset.other || image.dataset.clear;
      image.dataset.other = image.src;
      image.src = other;
    }
  });
}

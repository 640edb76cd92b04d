"use strict";
// Names that fit their bands, legends that hide lines, and one button back to the whole run.
(function () {
  const LOOKS_MAX = 200, LOOK_EVERY_MS = 50;

  function figures() {
    const found = new Map();
    for (const doc of window.Bokeh.documents) for (const root of doc.roots()) if (root.name) found.set(root.name, root);
    return found;
  }

  // Each name where its band comes into view, if there is room for it until the next name.
  function fitNames(source, range, width) {
    const data = source.data, x = [], shown = [];
    for (let i = 0; i < data.text.length; i++) {
      const left = Math.max(data.begin[i], range.start), right = Math.min(data.until[i], range.end);
      const inView = data.end[i] >= range.start && data.begin[i] <= range.end;
      const fits = (right - left) / (range.end - range.start) * width > data.pixels[i];
      x.push(left);
      shown.push(inView && fits ? data.text[i] : "");
    }
    source.data = { ...data, x, shown };
  }

  function nameSources(figure) {
    return figure.renderers.map((renderer) => renderer.data_source).filter((source) => source && source.data.shown);
  }

  function wire(all) {
    const shared = [...all.values()].filter((figure) => figure.name !== "capacity");
    if (shared.length > 0) followRange(shared);
    for (const button of document.querySelectorAll("button[data-line]")) {
      button.addEventListener("click", () => {
        const on = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(on));
        for (const renderer of all.get(button.dataset.chart).renderers)
          if (renderer.name === button.dataset.line) renderer.visible = on;
      });
    }
  }

  function followRange(shared) {
    const range = shared[0].x_range, whole = [range.start, range.end];
    const sources = new Set(shared.flatMap(nameSources));
    let asked = false;
    const refit = () => {
      if (asked) return;
      asked = true;
      setTimeout(() => {
        asked = false;
        const width = shared[0].inner_width;
        if (width > 0) for (const source of sources) fitNames(source, range, width);
      }, 30);
    };
    range.properties.start.change.connect(refit);
    range.properties.end.change.connect(refit);
    shared[0].properties.inner_width.change.connect(refit);
    refit();
    const reset = document.getElementById("reset");
    if (reset) reset.addEventListener("click", () => range.setv({ start: whole[0], end: whole[1] }));
  }

  let looks = 0;
  const timer = setInterval(() => {
    looks += 1;
    const ready = window.Bokeh && window.Bokeh.documents.length > 0;
    if (ready || looks >= LOOKS_MAX) clearInterval(timer);
    if (ready) wire(figures());
  }, LOOK_EVERY_MS);
})();

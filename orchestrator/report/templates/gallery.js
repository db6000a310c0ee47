"use strict";

// Videos: a quiet poster with a play button of our own until somebody wants to see one.
for (const video of document.querySelectorAll(".screen video")) {
  const play = document.createElement("button");
  play.type = "button";
  play.className = "play";
  play.setAttribute("aria-label", "Play " + video.getAttribute("aria-label"));
  play.addEventListener("click", () => {
    play.remove();
    video.controls = true;
    video.focus();
    video.play().catch(() => {});
  });
  video.controls = false;
  video.addEventListener("click", () => play.click(), { once: true });
  video.after(play);
}

// The filter: by state, and by words that all have to occur.
(() => {
  const form = document.getElementById("filter");
  if (!form) return;
  const box = form.querySelector("input");
  const buttons = [...form.querySelectorAll("button")];
  const told = form.querySelector("output");
  const none = document.getElementById("none");
  const sections = [...document.querySelectorAll("main section")];
  const cards = [...document.querySelectorAll("article")].map((element) => ({
    element,
    state: element.dataset.state,
    text: [...element.querySelectorAll("[data-find]")]
      .map((part) => part.textContent.toLowerCase()).join("\n"),
  }));
  let state = "";

  const apply = () => {
    const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const card of cards) {
      const fits = (!state || card.state === state) && words.every((w) => card.text.includes(w));
      card.element.hidden = !fits;
      shown += fits ? 1 : 0;
    }
    for (const section of sections) {
      section.hidden = !section.querySelector("article:not([hidden])");
    }
    none.hidden = shown > 0;
    told.value = shown === cards.length ? "" : `${shown} of ${cards.length} shown`;
  };

  form.addEventListener("submit", (event) => event.preventDefault());
  box.addEventListener("input", apply);
  for (const button of buttons) {
    button.addEventListener("click", () => {
      state = button.dataset.show;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      apply();
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/" && document.activeElement !== box) {
      event.preventDefault();
      box.focus();
    } else if (event.key === "Escape" && document.activeElement === box && box.value) {
      box.value = "";
      apply();
    }
  });
  form.hidden = false;
  apply();
})();

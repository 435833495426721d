// Faces with what is said of them; one can be chosen.
function render({ model, el }) {
  const root = make("div", "affect affect-gallery", { role: "group" }, el);
  const list = make("div", "affect-gallery-faces", {}, root);
  const { want, stop } = pictures(model);
  let buttons = [], turn = 0;

  function mark() {
    buttons.forEach(([index, button]) => button.setAttribute("aria-pressed", String(index === model.get("selected"))));
  }

  async function load() {
    theme(root);
    root.setAttribute("aria-label", model.get("label"));
    const mine = ++turn, captions = model.get("captions");
    list.querySelectorAll("img").forEach((image) => image.dataset.url && URL.revokeObjectURL(image.dataset.url));
    list.replaceChildren();
    buttons = model.get("shown").map((index, k) => {
      const button = make("button", "affect-face", { type: "button", "data-index": index, "aria-label": captions[k] }, list);
      const image = make("img", "affect-face-image", { alt: "" }, button);
      image.hidden = true;
      make("span", "affect-caption", { text: captions[k] }, button);
      button.addEventListener("click", () => { model.set("selected", index); model.save_changes(); });
      return [index, button, image];
    });
    mark();
    for (const [index, button, image] of buttons) {
      const picture = await want(index);
      if (mine !== turn) { if (picture.url) URL.revokeObjectURL(picture.url); return; }
      put(image, picture, "");
      if (picture.error) make("span", "affect-help", { text: picture.error }, button);
    }
  }

  root.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const at = buttons.findIndex(([, button]) => button === document.activeElement);
    if (!step || at < 0) return;
    buttons[Math.min(Math.max(at + step, 0), buttons.length - 1)][1].focus();
    event.preventDefault();
    event.stopPropagation();
  });
  const later = () => queueMicrotask(load);
  model.on("change:version", later);
  model.on("change:selected", mark);
  load();
  const settle = requestAnimationFrame(() => theme(root));
  return () => { turn++; cancelAnimationFrame(settle); stop(); model.off("change:version", later); model.off("change:selected", mark); };
}
export default { render };

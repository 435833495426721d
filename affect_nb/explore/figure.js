// A figure of the kernel's, and what it shows in words.
function render({ model, el }) {
  const root = make("div", "affect affect-figure", {}, el);
  const image = make("img", "affect-figure-image", { alt: "" }, root);
  image.style.maxWidth = "100%";
  image.hidden = true;
  const { want, stop } = pictures(model);

  async function load() {
    const version = model.get("version");
    theme(root);
    if (!version) return;
    const picture = await want(version);
    if (version !== model.get("version")) { if (picture.url) URL.revokeObjectURL(picture.url); return; }
    put(image, picture, model.get("alt"));
    root.dataset.version = version;
  }

  const later = () => queueMicrotask(load);
  model.on("change:version", later);
  load();
  return () => { stop(); model.off("change:version", later); };
}
export default { render };

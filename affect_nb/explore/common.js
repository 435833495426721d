// Shared by the widgets: pictures on demand, colours of the page, small helpers.

// Ask the kernel for the picture of an index: {index, text, error, url}.
function pictures(model) {
  const waiting = new Map();
  const heard = (message, buffers) => {
    const asked = waiting.get(message.index);
    if (!asked) return;
    waiting.delete(message.index);
    const bytes = buffers?.[0];
    const url = bytes?.byteLength ? URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })) : "";
    asked.forEach((done) => done({ ...message, url }));
  };
  model.on("msg:custom", heard);
  const want = (index) => new Promise((done) => {
    if (waiting.has(index)) { waiting.get(index).push(done); return; }
    waiting.set(index, [done]);
    model.send({ want: index });
  });
  return { want, stop: () => model.off("msg:custom", heard) };
}

function make(kind, className, attributes = {}, parent = null) {
  const node = document.createElement(kind);
  node.className = className;
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else node.setAttribute(name, value);
  }
  if (parent) parent.append(node);
  return node;
}

// Put a picture, or the reason why there is none, into an image element.
function put(image, picture, alternative) {
  if (image.dataset.url) URL.revokeObjectURL(image.dataset.url);
  image.dataset.url = picture.url;
  image.hidden = !picture.url;
  if (picture.url) image.src = picture.url;
  image.alt = alternative;
}

// Light or dark, as the page behind the widget is.
function theme(root) {
  let behind = root.parentElement, colour = null;
  while (behind && !colour) {
    const rgb = getComputedStyle(behind).backgroundColor.match(/[\d.]+/g)?.map(Number) ?? [];
    if (rgb.length === 3 || rgb[3] > 0) colour = rgb;
    behind = behind.parentElement;
  }
  const [r, g, b] = colour ?? [255, 255, 255];
  root.classList.toggle("affect-dark", 0.299 * r + 0.587 * g + 0.114 * b < 128);
  const style = getComputedStyle(root);
  return Object.fromEntries(["ground", "ink", "faint", "line", "accent", "second"].map(
    (name) => [name, style.getPropertyValue(`--affect-${name}`).trim()]));
}

// A canvas context in CSS pixels, cleared.
function pen(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const c = canvas.getContext("2d");
  c.setTransform(scale, 0, 0, scale, 0, 0);
  c.clearRect(0, 0, width, height);
  return c;
}

// The numbers of a binary trait.
function numbers(view, Kind) {
  if (!view || !view.byteLength) return new Kind(0);
  return new Kind(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

// The valence–arousal plane: points or bins on a canvas, a face beside it.
const SIZE = 400, PAD = 44, NEAR = 12;
const toX = (v) => PAD + ((v + 1) / 2) * (SIZE - 2 * PAD);
const toY = (a) => SIZE - PAD - ((a + 1) / 2) * (SIZE - 2 * PAD);

const SHAPES = [
  (c, x, y, r) => c.arc(x, y, r, 0, 7),
  (c, x, y, r) => c.rect(x - r, y - r, 2 * r, 2 * r),
  (c, x, y, r) => polygon(c, x, y, r * 1.3, 3, -90),
  (c, x, y, r) => polygon(c, x, y, r * 1.3, 4, -90),
  (c, x, y, r) => polygon(c, x, y, r * 1.3, 3, 90),
  (c, x, y, r) => polygon(c, x, y, r * 1.2, 6, 0),
  (c, x, y, r) => { c.rect(x - r * 1.3, y - r / 2, r * 2.6, r); },
  (c, x, y, r) => { c.rect(x - r / 2, y - r * 1.3, r, r * 2.6); },
];
const HUES = {
  light: ["#0b5cad", "#b3261e", "#1a6b3c", "#7a3e9d", "#8a5300", "#3d3d3d", "#00696f", "#a0195f"],
  dark: ["#7cc0ff", "#ffb4a9", "#8fdca8", "#d9b3f2", "#f2c078", "#d0d0d0", "#7fdbe0", "#f7a8cf"],
};
function polygon(c, x, y, r, corners, turn) {
  for (let k = 0; k < corners; k++) {
    const angle = (turn + (360 * k) / corners) * Math.PI / 180;
    c[k ? "lineTo" : "moveTo"](x + r * Math.cos(angle), y + r * Math.sin(angle));
  }
  c.closePath();
}

function render({ model, el }) {
  const root = make("div", "affect affect-plane", {}, el);
  const row = make("div", "affect-row", {}, root);
  const canvas = make("canvas", "affect-plane-canvas", { tabindex: "0", role: "slider" }, row);
  const side = make("div", "affect-side", {}, row);
  const image = make("img", "affect-face-image", { alt: "" }, side);
  image.hidden = true;
  const text = make("div", "affect-text", { "aria-live": "polite" }, side);
  const legend = make("div", "affect-help affect-legend", {}, side);
  const help = make("div", "affect-help", {}, side);
  const { want, stop } = pictures(model);
  let places, amounts, rows, kinds, order, shown = -2;

  function load() {
    places = numbers(model.get("places"), Float32Array);
    amounts = numbers(model.get("amounts"), Uint32Array);
    rows = numbers(model.get("rows"), Int32Array);
    kinds = numbers(model.get("kinds"), Uint8Array);
    const steps = [...rows.keys()];
    const by = (axis) => steps.slice().sort((i, j) => places[2 * i + axis] - places[2 * j + axis] || i - j);
    order = [by(0), by(1)];
    const many = model.get("binned") ? `${rows.length} bins of ` : "";
    canvas.setAttribute("aria-label", `${model.get("label")}: ${many}${model.get("total")} points`);
    canvas.setAttribute("aria-valuemin", "0");
    canvas.setAttribute("aria-valuemax", String(Math.max(rows.length - 1, 0)));
    root.dataset.points = model.get("binned") ? 0 : rows.length;
    root.dataset.bins = model.get("binned") ? rows.length : 0;
    help.textContent = "← → step by valence, ↑ ↓ by arousal, Home and End to the ends, or click" +
      (model.get("binned") ? "; Enter: the next face of the bin" : "");
    draw();
  }

  function axes(c, colours) {
    c.strokeStyle = colours.line;
    c.lineWidth = 1;
    for (const t of [-1, -0.5, 0, 0.5, 1]) {
      c.beginPath();
      c.moveTo(toX(t), toY(-1)); c.lineTo(toX(t), toY(1));
      c.moveTo(toX(-1), toY(t)); c.lineTo(toX(1), toY(t));
      c.stroke();
    }
    c.fillStyle = colours.ink;
    c.font = "12px system-ui, sans-serif";
    c.textAlign = "center";
    for (const t of [-1, 0, 1]) { c.fillText(t, toX(t), toY(-1) + 16); c.fillText(t, toX(-1) - 14, toY(t) + 4); }
    c.fillText("valence →", toX(0), SIZE - 8);
    c.save(); c.translate(14, toY(0)); c.rotate(-Math.PI / 2); c.fillText("arousal →", 0, 0); c.restore();
  }

  function bins(c, colours) {
    const side = (toX(1) - toX(-1)) / model.get("bins");
    const most = Math.log1p(amounts.reduce((a, b) => Math.max(a, b), 1));
    c.fillStyle = colours.accent;
    rows.forEach((_, m) => {
      c.globalAlpha = 0.12 + 0.88 * Math.log1p(amounts[m]) / most;
      c.fillRect(toX(places[2 * m]) - side / 2, toY(places[2 * m + 1]) - side / 2, side, side);
    });
    c.globalAlpha = 1;
  }

  function points(c, colours) {
    const hues = HUES[root.classList.contains("affect-dark") ? "dark" : "light"];
    c.globalAlpha = rows.length > 1000 ? 0.5 : 0.8;
    rows.forEach((_, m) => {
      const kind = kinds.length ? kinds[m] : 0;
      c.fillStyle = hues[kind % hues.length];
      c.beginPath();
      SHAPES[kind % SHAPES.length](c, toX(places[2 * m]), toY(places[2 * m + 1]), rows.length > 1000 ? 2 : 3.5);
      c.fill();
    });
    c.globalAlpha = 1;
  }

  function draw() {
    const colours = theme(root), c = pen(canvas, SIZE, SIZE);
    axes(c, colours);
    (model.get("binned") ? bins : points)(c, colours);
    const m = model.get("mark");
    if (m >= 0 && m < rows.length) {
      const x = toX(places[2 * m]), y = toY(places[2 * m + 1]);
      c.strokeStyle = colours.second;
      c.lineWidth = 2.5;
      c.beginPath();
      c.arc(x, y, 9, 0, 7);
      for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) { c.moveTo(x + 9 * dx, y + 9 * dy); c.lineTo(x + 16 * dx, y + 16 * dy); }
      c.stroke();
    }
    legend.textContent = model.get("names").map((n, k) => `${"●■▲◆▼⬢▬▮"[k]} ${n}`).join("   ");
  }

  async function show(index, aloud) {
    if (index === shown) return;
    shown = index;
    if (index < 0) { put(image, { url: "" }, ""); text.textContent = ""; canvas.setAttribute("aria-valuetext", "no point chosen"); return; }
    const picture = await want(index);
    if (shown !== index) { if (picture.url) URL.revokeObjectURL(picture.url); return; }
    text.setAttribute("aria-live", aloud ? "polite" : "off");
    text.textContent = picture.error ? `${picture.text}\n(no picture: ${picture.error})` : picture.text;
    put(image, picture, picture.text);
    if (aloud) canvas.setAttribute("aria-valuetext", picture.text);
  }

  function nearest(event) {
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left) * SIZE / box.width, y = (event.clientY - box.top) * SIZE / box.height;
    let best = -1, least = NEAR ** 2;
    rows.forEach((_, m) => {
      const d = (toX(places[2 * m]) - x) ** 2 + (toY(places[2 * m + 1]) - y) ** 2;
      if (d < least) { least = d; best = m; }
    });
    return best;
  }

  const choose = (m) => { if (m >= 0) model.send({ choose: m }); };
  let idle = 0;
  canvas.addEventListener("pointermove", (event) => {
    clearTimeout(idle);
    const m = nearest(event);
    canvas.style.cursor = m < 0 ? "default" : "pointer";
    idle = setTimeout(() => (m < 0 ? show(model.get("selected"), true) : show(rows[m], false)), 60);
  });
  canvas.addEventListener("pointerleave", () => { clearTimeout(idle); show(model.get("selected"), true); });
  canvas.addEventListener("click", (event) => choose(nearest(event)));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1] }[event.key];
    const line = order[step ? step[0] : 0];
    if (!line.length) return;
    const at = line.indexOf(model.get("mark"));
    if (step) choose(line[Math.min(Math.max(at < 0 ? 0 : at + step[1], 0), line.length - 1)]);
    else if (event.key === "Home") choose(line[0]);
    else if (event.key === "End") choose(line[line.length - 1]);
    else if (event.key === "Enter") choose(model.get("mark"));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const chosen = () => { canvas.setAttribute("aria-valuenow", String(Math.max(model.get("mark"), 0))); draw(); show(model.get("selected"), true); };
  const later = () => queueMicrotask(load);
  model.on("change:version", later);
  model.on("change:mark", chosen);
  model.on("change:selected", chosen);
  load();
  chosen();
  const settle = requestAnimationFrame(draw);
  return () => { cancelAnimationFrame(settle); stop(); model.off("change:version", later); model.off("change:mark", chosen); model.off("change:selected", chosen); };
}
export default { render };

// The frames of one video, and what is known of them over time.
const LEFT = 92, HIGH = { curve: 46, mark: 15, name: 20 };

function render({ model, el }) {
  const root = make("div", "affect affect-scrub", {}, el);
  const row = make("div", "affect-row", {}, root);
  const image = make("img", "affect-face-image affect-frame", { alt: "" }, row);
  const text = make("div", "affect-side affect-text", { "aria-live": "polite" }, row);
  const controls = make("div", "affect-controls", {}, root);
  const play = make("button", "affect-play", { type: "button" }, controls);
  const range = make("input", "affect-range", { type: "range", min: "0", step: "1", "aria-label": "frame" }, controls);
  const place = make("span", "affect-place", {}, controls);
  const canvas = make("canvas", "affect-timeline", { role: "img" }, root);
  make("div", "affect-help", { text: `← → one frame, Page keys ten, Home and End, space plays; a click on the timeline jumps to its frame. ${model.get("legend")}` }, root);
  const { want, stop } = pictures(model);
  let lanes, values, predicted, times, busy = false, timer = 0, missing = "";

  const count = () => times.length;
  const at = (lane, k, from) => (from.length ? from[lane * count() + k] : NaN);
  const clamp = (k) => Math.min(Math.max(k, 0), Math.max(count() - 1, 0));

  function load() {
    lanes = model.get("lanes");
    values = numbers(model.get("values"), Float32Array);
    predicted = numbers(model.get("predicted"), Float32Array);
    times = numbers(model.get("times"), Float32Array);
    range.max = String(Math.max(count() - 1, 0));
    canvas.setAttribute("aria-label", `timelines of ${lanes.map((l) => l.name).join(", ")} over ${count()} frames`);
    root.dataset.frames = count();
    moved();
  }

  function say(lane, x) {
    if (Number.isNaN(x)) return "–";
    const l = lanes[lane];
    if (l.kind === "name") return l.names[x];
    return l.kind === "mark" ? String(x) : x.toFixed(2);
  }

  function describe(k) {
    return lanes.map((l, i) => {
      const p = at(i, k, predicted);
      return `${l.name} ${say(i, at(i, k, values))}` + (Number.isNaN(p) ? "" : ` (predicted ${say(i, p)})`);
    }).join(" · ");
  }

  function xOf(k, width) {
    const span = times[count() - 1] - times[0] || 1;
    return LEFT + ((times[k] - times[0]) / span) * (width - LEFT - 8);
  }

  function curve(c, from, i, top, width, dashed) {
    const l = lanes[i], high = HIGH.curve - 10;
    c.setLineDash(dashed ? [4, 3] : []);
    c.beginPath();
    let open = false;
    for (let k = 0; k < count(); k++) {
      const v = at(i, k, from);
      if (Number.isNaN(v)) { open = false; continue; }
      const y = top + high - ((v - l.lo) / (l.hi - l.lo)) * (high - 4) - 2;
      c[open ? "lineTo" : "moveTo"](xOf(k, width), y);
      if (!open && (k + 1 >= count() || Number.isNaN(at(i, k + 1, from)))) c.rect(xOf(k, width) - 1, y - 1, 2, 2);
      open = true;
    }
    c.stroke();
    c.setLineDash([]);
  }

  function spans(c, from, i, each) {
    for (let k = 0; k < count();) {
      const v = at(i, k, from);
      let end = k + 1;
      while (end < count() && at(i, end, from) === v) end++;
      if (!Number.isNaN(v)) each(v, k, Math.min(end, count() - 1));
      k = end;
    }
  }

  function lane(c, i, top, width, colours) {
    const l = lanes[i], high = HIGH[l.kind];
    c.fillStyle = colours.ink;
    c.textAlign = "right";
    c.fillText(l.name, LEFT - 8, top + Math.min(high, 24) / 2 + 4, LEFT - 10);
    c.textAlign = "left";
    c.strokeStyle = colours.line;
    c.strokeRect(LEFT, top, width - LEFT - 8, high - (l.kind === "curve" ? 10 : 4));
    if (l.kind === "curve" && l.lo < 0) {
      const zero = top + (high - 10) - ((0 - l.lo) / (l.hi - l.lo)) * (high - 14) - 2;
      c.beginPath(); c.moveTo(LEFT, zero); c.lineTo(width - 8, zero); c.stroke();
    }
    for (const [from, colour, dashed] of [[values, colours.accent, false], [predicted, colours.second, true]]) {
      if (!from.length) continue;
      c.strokeStyle = c.fillStyle = colour;
      c.lineWidth = 1.5;
      if (l.kind === "curve") curve(c, from, i, top, width, dashed);
      else {
        const half = predicted.length ? (high - 5) / 2 : high - 5, y = top + (dashed ? half : 0) + 0.5;
        spans(c, from, i, (v, a, b) => {
          const x = xOf(a, width), w = Math.max(xOf(b, width) - x, 2);
          if (l.kind === "name") {
            c.strokeRect(x, y, w, half);
            if (w > 24) { c.fillStyle = colours.ink; c.font = "10px system-ui, sans-serif"; c.fillText(l.names[v], x + 3, y + half - 2, w - 4); c.font = "12px system-ui, sans-serif"; }
          } else if (v > 0.5 && dashed) for (let s = 0; s < w; s += 5) c.fillRect(x + s, y, 3, half);
          else if (v > 0.5) c.fillRect(x, y, w, half);
        });
      }
      c.lineWidth = 1;
    }
  }

  function draw() {
    const colours = theme(root), width = Math.max(root.clientWidth - 16, 320);
    const height = lanes.reduce((h, l) => h + HIGH[l.kind], 26);
    const c = pen(canvas, width, height);
    c.font = "12px system-ui, sans-serif";
    let top = 4;
    lanes.forEach((l, i) => { lane(c, i, top, width, colours); top += HIGH[l.kind]; });
    if (!count()) return;
    c.fillStyle = colours.ink;
    c.textAlign = "left"; c.fillText(stamp(0), LEFT, top + 12);
    c.textAlign = "right"; c.fillText(stamp(count() - 1), width - 8, top + 12);
    const x = xOf(clamp(model.get("frame")), width);
    c.strokeStyle = colours.second;
    c.lineWidth = 2;
    c.beginPath(); c.moveTo(x, 0); c.lineTo(x, top); c.stroke();
    c.fillStyle = colours.second;
    c.beginPath(); c.moveTo(x - 6, top + 8); c.lineTo(x + 6, top + 8); c.lineTo(x, top); c.fill();
  }

  const stamp = (k) => (model.get("unit") === "s" ? `${times[k].toFixed(2)} s` : `${model.get("unit")} ${times[k]}`);

  function tell() {
    const k = clamp(model.get("frame"));
    range.value = String(k);
    place.textContent = count() ? `${k + 1} of ${count()} · ${stamp(k)}` : "no frame";
    range.setAttribute("aria-valuetext", place.textContent);
    text.setAttribute("aria-live", model.get("playing") ? "off" : "polite");
    text.textContent = (count() ? describe(k) : "") + (missing ? `\n${missing}` : "");
    play.textContent = model.get("playing") ? "❚❚ pause" : "▶ play";
    play.setAttribute("aria-label", model.get("playing") ? "pause" : "play");
    play.setAttribute("aria-pressed", String(model.get("playing")));
  }

  async function picture() {
    if (busy || !count()) return;
    busy = true;
    let k;
    do {
      k = clamp(model.get("frame"));
      const got = await want(k);
      missing = [got.text, got.error].filter(Boolean).join("\n");
      put(image, got, `frame ${k + 1}`);
      root.dataset.shown = k;
      tell();
    } while (k !== clamp(model.get("frame")));
    busy = false;
    next();
  }

  function next() {
    clearTimeout(timer);
    if (!model.get("playing") || busy) return;
    timer = setTimeout(() => {
      const k = clamp(model.get("frame"));
      if (k + 1 >= count()) { model.set("playing", false); model.save_changes(); return; }
      go(k + 1);
    }, 1000 / model.get("rate"));
  }

  function go(k) { model.set("frame", clamp(k)); model.save_changes(); }
  function moved() { tell(); draw(); picture(); }
  const toggle = () => {
    const start = !model.get("playing");
    if (start && clamp(model.get("frame")) + 1 >= count()) model.set("frame", 0);
    model.set("playing", start);
    model.save_changes();
  };

  play.addEventListener("click", toggle);
  range.addEventListener("input", () => go(Number(range.value)));
  root.addEventListener("keydown", (event) => {
    if (event.key === " " && event.target !== play) { toggle(); event.preventDefault(); }
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -Infinity, End: Infinity }[event.key];
    if (step) { go(clamp(model.get("frame") + step)); event.preventDefault(); }
    if (step || event.key === " ") event.stopPropagation();
  });
  canvas.addEventListener("click", (event) => {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left;
    let best = 0;
    for (let k = 1; k < count(); k++) if (Math.abs(xOf(k, box.width) - x) < Math.abs(xOf(best, box.width) - x)) best = k;
    if (count()) go(best);
  });
  const changed = () => { tell(); next(); };
  const later = () => { root.dataset.shown = ""; missing = ""; queueMicrotask(load); };
  model.on("change:version", later);
  model.on("change:frame", moved);
  model.on("change:playing", changed);
  const watch = new ResizeObserver(draw);
  watch.observe(root);
  load();
  return () => { clearTimeout(timer); watch.disconnect(); stop(); model.off("change:version", later); model.off("change:frame", moved); model.off("change:playing", changed); };
}
export default { render };

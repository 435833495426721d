// A file from the browser to the kernel, piece by piece.
function render({ model, el }) {
  const root = make("div", "affect affect-drop", { role: "group", tabindex: "0" }, el);
  const line = make("div", "affect-drop-line", {}, root);
  make("span", "", { text: "Drop a picture or a video here, paste a picture (Ctrl+V), or " }, line);
  const pick = make("label", "affect-pick", { text: "choose a file: " }, line);
  const input = make("input", "affect-file", { type: "file", accept: "image/*,video/*" }, pick);
  const bar = make("progress", "affect-progress", { max: "1", value: "0", "aria-label": "upload" }, root);
  const said = make("div", "affect-text", { role: "status", "aria-live": "polite" }, root);
  let turn = 0, heard = null;
  bar.hidden = true;
  root.setAttribute("aria-label", "a picture or video to look at");

  const size = (n) => (n < 1e6 ? `${Math.ceil(n / 1e3)} kB` : `${(n / 1e6).toFixed(1)} MB`);
  const say = (text) => { said.textContent = text; };
  const answer = () => new Promise((done) => { heard = done; });
  model.on("msg:custom", (message) => heard?.(message));
  say(`Up to ${size(model.get("limit"))}; a longer one by its path.`);

  async function upload(file) {
    const mine = ++turn, step = model.get("piece");
    if (file.size > model.get("limit")) {
      say(`${file.name} has ${size(file.size)}, more than ${size(model.get("limit"))}: cut it, or give its path on the machine that computes.`);
      return;
    }
    bar.hidden = false;
    let got = 0;
    do {
      const part = await file.slice(got, got + step).arrayBuffer();
      if (mine !== turn) return;
      const answered = answer();
      model.send({ name: file.name || "pasted.png", size: file.size, at: got }, undefined, [part]);
      const message = await answered;
      if (mine !== turn) return;
      if (message.error) { bar.hidden = true; say(message.error); return; }
      got = message.got;
      bar.value = file.size ? got / file.size : 1;
      say(`${file.name || "pasted picture"}: ${size(got)} of ${size(file.size)}`);
    } while (got < file.size);
    bar.hidden = true;
  }

  const first = (list) => { if (list?.length) upload(list[0]); };
  input.addEventListener("change", () => { first(input.files); input.value = ""; });
  root.addEventListener("dragover", (event) => { event.preventDefault(); root.classList.add("affect-over"); });
  root.addEventListener("dragleave", () => root.classList.remove("affect-over"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    root.classList.remove("affect-over");
    first(event.dataTransfer.files);
  });
  root.addEventListener("paste", (event) => { first(event.clipboardData?.files); event.stopPropagation(); });
  theme(root);
  const settle = requestAnimationFrame(() => theme(root));
  return () => { turn++; cancelAnimationFrame(settle); };
}
export default { render };

{
  const data = JSON.parse(document.getElementById("data").textContent);
  const compare = document.getElementById("compare");
  if (compare) {
    const slider = compare.querySelector("input");
    const move = (share) => {
      slider.value = share;
      compare.style.setProperty("--at", `${share}%`);
    };
    const point = (event) => {
      const bounds = compare.getBoundingClientRect();
      move(Math.min(100, Math.max(0, (event.clientX - bounds.left) / bounds.width * 100)));
    };
    compare.onpointerdown = (event) => {
      compare.setPointerCapture(event.pointerId);
      point(event);
      slider.focus({preventScroll: true, focusVisible: false});
      event.preventDefault();
    };
    compare.onpointermove = (event) => { if (compare.hasPointerCapture(event.pointerId)) point(event); };
    slider.oninput = () => move(slider.value);
  }
  for (const image of document.querySelectorAll(".again")) image.src = document.querySelector(".after").src;

  const frames = document.getElementById("frames");
  const [picture, button, slider, told] = ["img", "button", "input", "[role=status]"].map((s) => frames.querySelector(s));
  const delay = Math.min(250, Math.max(60, 5000 / data.frames.length));
  let timer = null;
  const show = () => {
    const {source, iteration, J} = data.frames[slider.value];
    picture.src = source;
    told.textContent = `iteration ${iteration}, J ${J.toExponential(3)}`;
    slider.setAttribute("aria-valuetext", told.textContent);
  };
  const stop = () => {
    clearTimeout(timer);
    timer = null;
    button.textContent = "Play";
  };
  const next = () => {
    slider.value = +slider.value + 1;
    show();
    if (+slider.value === +slider.max) stop();
    else timer = setTimeout(next, delay);
  };
  button.onclick = () => {
    if (timer !== null) return stop();
    if (+slider.value === +slider.max) { slider.value = 0; show(); }
    button.textContent = "Pause";
    timer = setTimeout(next, delay);
  };
  slider.oninput = () => { stop(); show(); };
  show();
  if (data.frames.length < 2) frames.querySelector(".controls").hidden = true;

  chart(document.getElementById("chart"), data.costs);

  const again = document.getElementById("again");
  again.querySelector("button").onclick = async () => {
    const code = again.querySelector("code"), told = again.querySelector("[role=status]");
    try {
      await navigator.clipboard.writeText(code.textContent);
      told.textContent = "copied";
    } catch {  // a page opened from disk may not be allowed to
      getSelection().selectAllChildren(code);
      told.textContent = "selected; press Ctrl-C";
    }
  };
}

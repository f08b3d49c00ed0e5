"use strict";
// Cost curves on a logarithmic scale. data: {iteration: [...], scale: [...], lines: [{name, values}]}.
// Returns a function that shows other data.
function chart(box, data) {
  const hidden = new Set();
  const legend = document.createElement("div");
  const make = (name, attributes, text) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const svg = make("svg", {tabindex: 0, role: "img"});
  const told = document.createElement("p");
  legend.className = "legend";
  told.className = "soft";
  told.setAttribute("role", "status");
  box.replaceChildren(svg, told, legend);
  box.classList.add("chart");
  const number = (value) => value.toExponential(3);
  let at = null, place = null, buttons = [];

  function drawLegend() {
    buttons = data.lines.map((line, index) => {
      const button = document.createElement("button");
      button.type = "button";
      button.style.color = `var(--line-${index % 10})`;
      button.append(document.createElement("i"), document.createElement("span"), document.createElement("b"));
      button.children[1].textContent = line.name;
      button.title = "show or hide " + line.name;
      button.onclick = () => { hidden.has(line.name) ? hidden.delete(line.name) : hidden.add(line.name); draw(); };
      return button;
    });
    legend.replaceChildren(...buttons);
  }

  function draw() {
    const width = Math.max(box.clientWidth, 240), height = Math.min(420, Math.max(220, width * .45));
    const left = 52, right = 12, top = 10, bottom = 28;
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    svg.setAttribute("height", height);
    svg.replaceChildren();
    const shown = data.lines.filter((line) => !hidden.has(line.name));
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", !hidden.has(data.lines[i].name)));
    let low = Infinity, high = 0;
    for (const line of shown) for (const value of line.values) if (value > 0) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    const first = data.iteration[0], last = data.iteration.at(-1);
    if (!(high > 0)) { place = null; return tell(); }
    if (high / low < 1.1) { low /= 1.1; high *= 1.1; }
    const across = (iteration) => left + (iteration - first) / Math.max(last - first, 1) * (width - left - right);
    const down = (value) => top + Math.log(high / value) / Math.log(high / low) * (height - top - bottom);
    const decades = Math.log10(high / low), steps = decades > 5 ? [1] : decades > 1.5 ? [1, 3] : [1, 2, 3, 5, 7];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) for (const step of steps) {
      const value = step * 10 ** power, y = down(value);
      if (value < low || value > high) continue;
      svg.append(make("line", {class: "grid", x1: left, x2: width - right, y1: y, y2: y}),
        make("text", {x: left - 6, y: y + 4, "text-anchor": "end"}, value.toExponential(0).replace("+", "")));
    }
    let tick = 10 ** Math.floor(Math.log10(Math.max(last - first, 1)));
    while ((last - first) / tick < 3 && tick > 1) tick /= tick % 5 ? 2 : 5;
    while ((last - first) / tick > width / 70) tick *= 2;
    tick = Math.max(1, Math.round(tick));
    for (let x = Math.ceil(first / tick) * tick; x <= last; x += tick) {
      svg.append(make("text", {x: across(x), y: height - 8, "text-anchor": "middle"}, x));
    }
    data.iteration.forEach((iteration, i) => {
      if (i && data.scale[i] !== data.scale[i - 1]) {
        const x = across((data.iteration[i - 1] + iteration) / 2);
        svg.append(make("line", {class: "scale", x1: x, x2: x, y1: top, y2: height - bottom}));
      }
    });
    data.lines.forEach((line, index) => {
      if (hidden.has(line.name)) return;
      let path = "", pen = "M";
      line.values.forEach((value, i) => {
        if (i && data.scale[i] !== data.scale[i - 1]) pen = "M";  // costs of scales are not comparable
        if (value > 0) path += `${pen}${across(data.iteration[i]).toFixed(1)} ${down(value).toFixed(1)}`;
        pen = value > 0 ? "L" : "M";
      });
      svg.append(make("path", {d: path, stroke: `var(--line-${index % 10})`}));
    });
    const cross = make("line", {class: "cross", y1: top, y2: height - bottom});
    svg.append(cross);
    place = {across, cross, left, inner: width - left - right, width};
    tell();
  }

  function tell() {
    const here = Math.min(at ?? data.iteration.length - 1, data.iteration.length - 1);
    if (place) {
      const x = place.across(data.iteration[here]);
      place.cross.setAttribute("x1", x);
      place.cross.setAttribute("x2", x);
      place.cross.style.display = at === null ? "none" : "";
    }
    const scales = data.scale.at(-1) > 1 ? `, scale ${data.scale[here]}` : "";
    told.textContent = data.iteration.length ? `iteration ${data.iteration[here]}${scales}` : "";
    svg.setAttribute("aria-label", `Cost curves, logarithmic, at ${told.textContent}`);
    data.lines.forEach((line, i) => { buttons[i].children[2].textContent = number(line.values[here] ?? 0); });
  }

  function point(event) {
    if (!place) return;
    const bounds = svg.getBoundingClientRect();
    const x = (event.clientX - bounds.left) * place.width / bounds.width;
    const share = Math.min(1, Math.max(0, (x - place.left) / place.inner));
    const wanted = data.iteration[0] + share * (data.iteration.at(-1) - data.iteration[0]);
    at = data.iteration.reduce((best, iteration, i) =>
      Math.abs(iteration - wanted) < Math.abs(data.iteration[best] - wanted) ? i : best, 0);
    tell();
  }

  svg.onpointermove = svg.onpointerdown = point;
  svg.onpointerleave = (event) => { if (event.pointerType === "mouse") { at = null; tell(); } };
  svg.onkeydown = (event) => {
    const end = data.iteration.length - 1, here = at ?? end;
    const goes = {ArrowLeft: here - 1, ArrowRight: here + 1, PageUp: here - 10, PageDown: here + 10, Home: 0, End: end};
    if (!(event.key in goes)) return;
    event.preventDefault();
    at = Math.min(end, Math.max(0, goes[event.key]));
    tell();
  };
  new ResizeObserver(draw).observe(box);
  drawLegend();
  draw();
  return (other) => {
    const same = other.lines.map((line) => line.name).join() === data.lines.map((line) => line.name).join();
    data = other;
    if (!same) drawLegend();
    draw();
  };
}

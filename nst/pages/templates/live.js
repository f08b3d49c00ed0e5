{
  const [name, stop, progress, told, picture, box] =
    ["name", "stop", "progress", "told", "picture", "chart"].map((id) => document.getElementById(id));
  const token = document.querySelector("meta[name=token]").content;
  const SLOW = 2000;  // milliseconds between two questions, at most
  const CURVES = 4;  // the curves are drawn so many times less often: that takes the browser longest
  let shown = "", curves = null, failures = 0, looks = 0, drawn = "", over = false, stopping = false;

  const duration = (seconds) => seconds < 90 ? `${seconds} s`
    : seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;

  function show(state) {
    const of = state.total > 1 ? `${state.number} of ${state.total}: ` : "";
    if (state.name) name.textContent = of + state.name;
    const parts = [];
    if (state.iteration !== undefined) {
      progress.max = state.epochs;
      progress.value = state.iteration;
      parts.push(`iteration ${state.iteration} of ${state.epochs}`);
      if (state.scales > 1) parts.push(`scale ${state.scale} of ${state.scales}`);
      if (state.left !== null && state.status === "running") parts.push(`about ${duration(state.left)} left`);
      document.title = `${Math.round(100 * state.iteration / state.epochs)} % ${state.name}`;
    }
    if (stopping && state.status === "running") parts.push("stopping after this iteration");
    else if (state.message) parts.push(state.message);
    told.textContent = parts.join(", ");
    if (state.picture && state.picture !== shown) picture.src = `picture.jpg?${state.picture}`;
    picture.hidden = !state.picture;
    shown = state.picture;
    over = state.status !== "running";
    if (over) stop.disabled = true;
  }

  function draw(costs) {
    box.hidden = !costs.iteration.length;
    if (box.hidden) return;
    if (curves) curves(costs);
    else curves = chart(box, costs);
  }

  const ask = async (what) => (await fetch(what)).json();

  async function look() {
    const began = performance.now();
    if (!document.hidden) {
      try {
        const state = await ask("state");
        show(state);
        if (over || looks++ % CURVES === 0 || state.name !== drawn) {
          draw(await ask("costs"));
          drawn = state.name;
        }
        failures = 0;
      } catch {
        if (++failures > 2) {
          told.textContent += told.textContent.endsWith("has ended") ? "" : "; the program has ended";
          stop.disabled = over = true;
        }
      }
    }
    // The slower the answers, the fewer questions.
    if (!over) setTimeout(look, Math.min(SLOW, Math.max(1000, 20 * (performance.now() - began))));
  }

  stop.onclick = async () => {
    stop.disabled = stopping = true;
    try {
      const answer = await fetch("stop", {method: "POST", headers: {"X-Token": token}});
      if (!answer.ok) throw answer.status;
    } catch {
      stop.disabled = stopping = false;
    }
  };
  look();
}

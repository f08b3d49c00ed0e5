"use strict";
// data: {seed, folders: [first, second], pairs: [{name, content, style, images: [left, right], left}]}
// left: which of the folders is on the left, 0 or 1. A vote is 0 or 1, a folder, or null for a tie.
const data = JSON.parse(document.getElementById("data").textContent);
const find = (id) => document.getElementById(id);
const votes = [];

function show() {
  const done = votes.length === data.pairs.length;
  find("ask").hidden = done;
  find("end").hidden = !done;
  find("progress").textContent = done ? "Thank you." : `${votes.length + 1} of ${data.pairs.length}`;
  find("back").disabled = !votes.length;
  if (done) return tell();
  const pair = data.pairs[votes.length];
  for (const role of ["content", "style"]) {
    find(role + "-figure").hidden = !pair[role];
    if (pair[role]) find(role).src = pair[role];
  }
  find("left").querySelector("img").src = pair.images[0];
  find("right").querySelector("img").src = pair.images[1];
}

function vote(side) {
  if (votes.length === data.pairs.length) return;
  const left = data.pairs[votes.length].left;
  votes.push(side === null ? null : side === 0 ? left : 1 - left);
  show();
}

function back() {
  votes.pop();
  show();
}

// How often a fair coin thrown that often is as far from even, or farther.
function chance(first, second) {
  const total = first + second, far = Math.max(first, second);
  let term = 0.5 ** total, sum = 0;
  for (let heads = 0; heads <= total; heads++) {
    if (heads >= far || heads <= total - far) sum += term;
    term *= (total - heads) / (heads + 1);
  }
  return Math.min(1, sum);
}

function tell() {
  const count = (vote) => votes.filter((one) => one === vote).length;
  const [first, second, ties] = [count(0), count(1), count(null)];
  find("counts").textContent = `${data.folders[0]}: ${first}, ${data.folders[1]}: ${second}, neither: ${ties}`;
  const often = 100 * chance(first, second);
  find("chance").textContent = first + second
    ? `A coin would decide as clearly, or more so, in ${often.toFixed(often < 10 ? 1 : 0)} of 100 tries.` : "";
  const word = (vote) => vote === null ? "tie" : data.folders[vote];
  find("json").value = JSON.stringify({
    seed: data.seed,
    folders: data.folders,
    counts: {[data.folders[0]]: first, [data.folders[1]]: second, tie: ties},
    votes: votes.map((one, i) => ({name: data.pairs[i].name, vote: word(one), left: data.folders[data.pairs[i].left]})),
  }, null, 1);
}

find("left").onclick = () => vote(0);
find("right").onclick = () => vote(1);
find("tie").onclick = () => vote(null);
find("back").onclick = back;
document.onkeydown = (event) => {
  const keys = {ArrowLeft: () => vote(0), ArrowRight: () => vote(1), "=": () => vote(null), Backspace: back};
  if (event.ctrlKey || event.altKey || event.metaKey || !(event.key in keys)) return;
  if (event.target === find("json") && event.key !== "Backspace") return;
  event.preventDefault();
  keys[event.key]();
};
show();

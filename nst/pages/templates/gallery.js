"use strict";
{
  const list = document.querySelector("ul"), items = [...list.children];
  const order = document.querySelector("select"), search = document.querySelector("input");
  const told = document.querySelector("[role=status]");
  const number = (item, key) => item.dataset[key] === "" ? Infinity : +item.dataset[key];
  const text = (key) => (one, other) => one.dataset[key].localeCompare(other.dataset[key], undefined, {numeric: true});
  const date = (one, other) => number(other, "date") - number(one, "date");
  const by = {
    date,
    content: (one, other) => text("content")(one, other) || text("style")(one, other) || date(one, other),
    style: (one, other) => text("style")(one, other) || text("content")(one, other) || date(one, other),
    cost: (one, other) => number(one, "cost") - number(other, "cost") || date(one, other),
  };
  const show = () => {
    const wanted = search.value.trim().toLowerCase();
    const found = items.filter((item) => item.textContent.toLowerCase().includes(wanted)).sort(by[order.value]);
    list.replaceChildren(...found);
    told.textContent = found.length === items.length ? "" : `${found.length} of ${items.length}`;
  };
  order.onchange = search.oninput = show;
  document.querySelector("form").onsubmit = (event) => event.preventDefault();
  show();
}

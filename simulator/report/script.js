"use strict";
// Read-outs: a hair line at the same virtual time on every chart, and the numbers beside the pointer.
(() => {
  const tip = document.getElementById("tip");
  const charts = [...document.querySelectorAll(".chart")].map((node) => {
    const svg = node.querySelector("svg");
    return {
      svg,
      cross: svg.querySelector(".cross"),
      data: JSON.parse(node.querySelector("script").textContent),
      left: Number(svg.dataset.left),
      right: Number(svg.dataset.right),
    };
  });

  // The sample at a coordinate: the nearest, or where values hold until the next one, the last before.
  function sample(data, x) {
    let low = 0;
    let high = data.at.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (data.at[middle] <= x) low = middle;
      else high = middle - 1;
    }
    const next = low + 1;
    if (!data.steps && next < data.at.length && data.at[next] - x < x - data.at[low]) return next;
    return low;
  }

  function cross(share) {
    for (const chart of charts) {
      const x = chart.left + share * (chart.right - chart.left);
      const shown = chart.data.steps ? x : chart.data.at[sample(chart.data, x)];
      chart.cross.setAttribute("x1", shown);
      chart.cross.setAttribute("x2", shown);
      chart.cross.setAttribute("visibility", "visible");
    }
  }

  function row(series, value) {
    const line = document.createElement("div");
    const name = document.createElement("span");
    const swatch = document.createElement("i");
    swatch.className = `swatch ${series.colour}`;
    name.append(swatch, series.name);
    const number = document.createElement("b");
    number.textContent = value;
    line.append(name, number);
    return line;
  }

  function show(chart, index, clientX, clientY) {
    const { data } = chart;
    const title = document.createElement("div");
    title.textContent = data.labels[index];
    const rows = data.series
      .filter((series) => series.values[index] !== "")
      .map((series) => row(series, series.values[index]));
    if (!rows.length) rows.push("nothing on");
    tip.replaceChildren(title, ...rows);
    tip.hidden = false;
    const right = clientX + 16 + tip.offsetWidth > window.innerWidth;
    const low = clientY + 16 + tip.offsetHeight > window.innerHeight;
    tip.style.left = `${Math.max(4, right ? clientX - 16 - tip.offsetWidth : clientX + 16)}px`;
    tip.style.top = `${Math.max(4, low ? clientY - 16 - tip.offsetHeight : clientY + 16)}px`;
  }

  function hide() {
    tip.hidden = true;
    for (const chart of charts) chart.cross.setAttribute("visibility", "hidden");
  }

  function at(chart, x, clientX, clientY) {
    const inside = Math.min(Math.max(x, chart.left), chart.right);
    chart.x = inside;
    cross((inside - chart.left) / (chart.right - chart.left));
    show(chart, sample(chart.data, inside), clientX, clientY);
  }

  // A timeline is scrolled to the line at which the promise broke.
  for (const line of document.querySelectorAll("pre mark")) {
    const box = line.parentElement;
    const look = () => { box.scrollTop = line.offsetTop - box.clientHeight + 60; };
    box.closest("details").addEventListener("toggle", look);
    look();
  }

  for (const chart of charts) {
    const { svg } = chart;
    const width = svg.viewBox.baseVal.width;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      at(chart, ((event.clientX - box.left) / box.width) * width, event.clientX, event.clientY);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (event) => {
      const end = chart.data.at.length;
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -end, End: end }[event.key];
      if (event.key === "Escape") hide();
      if (!step) return;
      event.preventDefault();
      const here = chart.x === undefined ? -1 : sample(chart.data, chart.x);
      const index = Math.min(Math.max(here + step, 0), end - 1);
      const box = svg.getBoundingClientRect();
      const x = chart.data.at[index];
      at(chart, x, box.left + (x / width) * box.width, box.top + box.height / 2);
    });
  }
})();

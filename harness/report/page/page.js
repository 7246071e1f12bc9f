// Looks answers up that stand in the page, draws curves that stand in the page, and keeps what was chosen in the address.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const question = document.getElementById("question");
  const tail = document.getElementById("tail");
  const chosen = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");

  function keep(name, value) {
    chosen.set(name, value);
    history.replaceState(null, "", "#" + chosen);
  }

  function element(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    made.className = className;
    return made;
  }

  function restore(form) {
    for (const field of form.elements) {
      if (!field.name || !chosen.has(field.name)) continue;
      if (field.type === "checkbox") field.checked = chosen.get(field.name).split(",").includes(field.value);
      else if ([...field.options].some((option) => option.value === chosen.get(field.name))) field.value = chosen.get(field.name);
    }
    form.hidden = false;
  }

  // Who is ahead stands in a copy that was just made, which nobody would read out.
  const aloud = element("p", "", "aloud");
  aloud.setAttribute("aria-live", "polite");

  // The answer on top: found by the places of what was chosen.
  function answer() {
    const at = (name) => question.elements[name].selectedIndex;
    question.elements.pool.disabled = at("wait") === 0;
    const number = data.answers.of[at("work")][at("place")][at("pool")][at("wait")][at("clients")];
    const found = data.answers.answers[number];
    const shown = document.getElementById("answer");
    const says = shown.firstElementChild; // which stays, so that its change is read out
    says.textContent = found.says;
    says.className = found.exact ? "exact" : "near";
    shown.replaceChildren(says, element("p", asked(), "asked"));
    shown.insertAdjacentHTML("beforeend", found.expected);
    shown.append(...found.points.map(copyOfPoint));
    aloud.textContent = shown.querySelector(".says:not([hidden])")?.textContent ?? "";
  }

  // For who prints it: what was chosen is gone from the paper.
  function asked() {
    const chosenIn = (select) => `${select.parentElement.firstChild.textContent}: ${select.selectedOptions[0].text}`;
    return [...question.elements].filter((select) => !select.disabled).map(chosenIn).join("; ");
  }

  function copyOfPoint(id) {
    const by = question.elements.by.value;
    const point = document.getElementById(id).cloneNode(true);
    point.id = "";
    for (const says of point.querySelectorAll(".says")) says.hidden = says.dataset.by !== by;
    const body = point.querySelector("tbody");
    body.append(...[...body.rows].sort((a, b) => a.dataset[by] - b.dataset[by]));
    return point;
  }

  // Quantiles: what is checked has its colour, all else is grey.
  let plot = null;
  const PERCENTILES = { 1: "0", 2: "50", 10: "90", 100: "99", 1000: "99.9", 10000: "99.99" };

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name);
  }

  function draw() {
    const load = tail.elements.load.value;
    for (const table of document.querySelectorAll("[data-load]")) table.hidden = table.dataset.load !== load;
    const curves = data.tails.curves[load];
    const checked = new Set(new FormData(tail).getAll("show"));
    const inColour = (place) => checked.has(data.tails.servers[place].name);
    const places = Object.keys(curves).sort((a, b) => inColour(a) - inColour(b) || a - b);
    const place = document.getElementById("curves");
    plot?.destroy();
    const grid = { stroke: colour("--edge"), width: 0.6 };
    const axis = { stroke: colour("--fg"), grid, ticks: grid, labelFont: "12px system-ui", font: "12px system-ui" };
    plot = new uPlot(
      {
        width: place.clientWidth,
        height: 360,
        scales: { x: { time: false, distr: 3, range: [1, 10000] }, y: { distr: 3 } },
        axes: [
          { ...axis, label: "percentile of the requests", splits: () => Object.keys(PERCENTILES).map(Number), values: (_, at) => at.map((each) => PERCENTILES[each]), filter: (_, at) => at },
          { ...axis, label: "response time, ms", size: 64 },
        ],
        series: [{ label: "1 in" }, ...places.map(series)],
        legend: { markers: { dash: (_, at) => (at === 0 ? "solid" : border(data.tails.servers[places[at - 1]].dash)) } },
        hooks: { draw: [nameLines] },
      },
      [data.tails.beyond, ...places.map((each) => curves[each])],
      place,
    );
    place.dataset.curves = places.length;

    // At its end, so that it takes no colours to tell one from another.
    function nameLines({ ctx, valToPos }) {
      ctx.save();
      ctx.font = `${12 * devicePixelRatio}px system-ui`;
      ctx.textAlign = "right";
      for (const each of places.filter(inColour)) {
        const last = curves[each].findLastIndex((value) => value !== null);
        if (last < 0) continue;
        ctx.fillStyle = series(each).stroke;
        ctx.fillText(data.tails.servers[each].name, valToPos(data.tails.beyond[last], "x", true), valToPos(curves[each][last], "y", true) - 5 * devicePixelRatio);
      }
      ctx.restore();
    }

    function border([stroke]) {
      return stroke === undefined ? "solid" : stroke < 4 ? "dotted" : "dashed";
    }

    function series(each) {
      const { name, dash } = data.tails.servers[each];
      const swatch = tail.querySelector(`.s${each}`);
      const stroke = inColour(each) ? getComputedStyle(swatch).getPropertyValue("--c") : colour("--grey");
      return { label: name, class: inColour(each) ? "coloured" : "grey", stroke, width: inColour(each) ? 2 : 1, dash, points: { show: false } };
    }
  }

  // The matrix: one cell at a time can be reached by Tab, the others by arrows.
  const cells = [...document.querySelectorAll(".matrix td[data-at]")];
  const dialog = document.getElementById("cell");

  function nameOf(cell) {
    return `${cell.closest("tr").dataset.case} ${data.matrix.servers[cell.dataset.at]}`;
  }

  function open(cell) {
    const name = nameOf(cell);
    const [id] = name.split(" ");
    const { title, clause, level, mistakes } = data.matrix.cases[id];
    const verdict = cell.dataset.is;
    const words = data.matrix.words;
    const list = element("dl", "");
    const tell = (what, said) => {
      if (said) list.append(element("dt", words[what]), element("dd", said, words.typed.includes(what) ? "typed" : ""));
    };
    const tellAll = (parts) => Object.entries(parts).forEach(([what, said]) => tell(what, said));
    tellAll({ promise: title, clause, level, verdict: `${verdict}: ${data.matrix.meanings[verdict]}` });
    tellAll(data.matrix.remarks[name] ?? {});
    tell("again", `${data.matrix.again[cell.dataset.at]} --case ${id}`);
    for (const mistake of mistakes) tellAll(mistake);
    document.getElementById("told").replaceChildren(element("h3", name), list);
    keep("cell", name);
    dialog.showModal();
  }

  function move(cell, across, down) {
    const table = cell.closest("table");
    const rows = [...table.tBodies[0].rows];
    const row = rows[rows.indexOf(cell.parentElement) + down];
    const next = row?.cells[cell.cellIndex + across];
    if (!next?.dataset.at) return;
    reach(next);
    next.focus();
  }

  function reach(cell) {
    for (const each of cell.closest("table").querySelectorAll('[tabindex="0"]')) each.tabIndex = -1;
    cell.tabIndex = 0;
  }

  const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  function makeCellsReachable() {
    for (const table of document.querySelectorAll(".matrix")) {
      table.setAttribute("role", "grid");
      const [first] = table.querySelectorAll("td[data-at]");
      if (first) first.tabIndex = 0;
    }
    for (const cell of cells) {
      if (cell.tabIndex !== 0) cell.tabIndex = -1;
      cell.setAttribute("aria-label", `${nameOf(cell)}: ${cell.dataset.is}`);
      cell.addEventListener("click", () => {
        reach(cell);
        open(cell);
      });
      cell.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") open(cell);
        else if (event.key in MOVES) move(cell, ...MOVES[event.key]);
        else return;
        event.preventDefault();
      });
    }
    dialog?.addEventListener("close", () => keep("cell", ""));
  }

  function goTo(id) {
    const section = document.getElementById(id);
    if (!section) return;
    section.tabIndex = -1; // so that Tab goes on from there
    section.focus();
    section.scrollIntoView();
  }

  function start() {
    restore(question);
    question.after(aloud);
    question.addEventListener("change", (event) => {
      keep(event.target.name, event.target.value);
      answer();
    });
    answer();
    if (tail.elements.load.options.length) {
      restore(tail);
      tail.addEventListener("change", (event) => {
        const all = new FormData(tail);
        keep(event.target.name, event.target.name === "show" ? all.getAll("show").join(",") : event.target.value);
        draw();
      });
      draw();
      addEventListener("resize", draw);
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    }
    addEventListener("hashchange", () => location.reload()); // another address was opened in this very tab
    makeCellsReachable();
    const opened = cells.find((cell) => nameOf(cell) === chosen.get("cell"));
    if (opened) {
      opened.closest("details").open = true;
      open(opened);
    }
    for (const link of document.querySelectorAll("nav a")) {
      link.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) return;
        event.preventDefault();
        keep("at", link.hash.slice(1));
        goTo(chosen.get("at"));
      });
    }
    if (!opened && chosen.get("at")) goTo(chosen.get("at"));
    addEventListener("beforeprint", () => {
      for (const each of document.querySelectorAll("details:not(#points)")) each.open = true;
    });
  }

  start();
})();

"use strict";
// The timelines, drawn for the rows and iterations that are in view.  Whatever is quoted goes into
// the page as text, never as HTML.
(() => {
  // Where a line is too long for its box, what is marked in it comes into view.
  const seen = new IntersectionObserver((boxes) => boxes.filter((box) => box.isIntersecting).forEach(({ target }) => {
    seen.unobserve(target);
    const mark = target.querySelector("mark").getBoundingClientRect(), box = target.getBoundingClientRect();
    if (mark.right > box.right) target.scrollLeft += mark.left - box.left - box.width / 4;
  }));
  document.querySelectorAll(".source").forEach((source) => seen.observe(source));

  const data = JSON.parse(document.getElementById("data").textContent);
  const chart = document.getElementById("chart");
  if (!chart) return;
  const at = (id) => document.getElementById(id);
  const [stage, labels, canvas, sizer, tip, details] = ["stage", "labels", "canvas", "sizer", "tip", "details"].map(at);
  const ROW = 22, STRIP = 14, AXIS = 26;
  const UNSEEN = data.states.length;
  const total = Math.max(data.iterations, 1);
  const number = (value) => value.toLocaleString("en-US");
  const prepared = new Map();

  // A timeline as typed arrays: where its runs end, their states, and what else is told of them.
  function timeline(index) {
    if (!prepared.has(index)) {
      const flat = data.timelines[index], runs = flat.length / 2;
      const ends = new Float64Array(runs), states = new Uint8Array(runs), kinds = new Uint32Array(runs);
      for (let run = 0, end = 0; run < runs; run++) {
        ends[run] = end += flat[2 * run];
        kinds[run] = flat[2 * run + 1];
        states[run] = data.kinds[kinds[run]][0];
      }
      prepared.set(index, { ends, states, kinds });
    }
    return prepared.get(index);
  }

  // The first run that ends behind an iteration.
  function runAt({ ends }, iteration) {
    let low = 0, high = ends.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (ends[middle] > iteration) high = middle; else low = middle + 1;
    }
    return low;
  }

  // -- the tree of modules ----------------------------------------------------------------------

  const accused = new Map();
  data.findings.forEach(({ title, of }) => of.forEach((index) => {
    if (!accused.has(index)) accused.set(index, []);
    accused.get(index).push(title);
  }));

  function grown() {
    const root = { label: "", children: new Map(), members: [], open: true };
    data.parameters.forEach(({ name }, index) => {
      const path = name.split(/\.(?![^[]*'\])/);  // at no dot in the key of a dict
      let node = root;
      node.members.push(index);
      path.forEach((part, depth) => {
        const last = depth === path.length - 1;
        const key = (last ? "=" : ".") + part + (last && node.children.has("=" + part) ? index : "");
        if (!node.children.has(key)) node.children.set(key, { label: part, path: path.slice(0, depth + 1).join("."), children: new Map(), members: [], open: false, parameter: null });
        node = node.children.get(key);
        node.members.push(index);
        if (last) node.parameter = index;
      });
    });
    const joined = (node) => {  // a module that holds one module only is told with it
      let children = [...node.children.values()];
      while (node !== root && children.length === 1 && children[0].parameter === null) {
        node.label += "." + children[0].label;
        node.path = children[0].path;
        children = [...children[0].children.values()];
      }
      node.children = children;
      children.forEach(joined);
      return node;
    };
    return joined(root);
  }

  const root = grown();
  const modules = [root];  // level by level
  for (const module of modules) modules.push(...module.children.filter((child) => child.parameter === null));
  let shown = root.children.length;
  for (const module of modules.slice(1)) {  // open as many as one sees at once, and always a few
    if (shown >= 10 && shown + module.children.length > 40) continue;
    shown += module.children.length;
    module.open = true;
  }

  let rows = [], wanted = "", only = null, selected = null;  // only: those of one finding
  const narrowed = () => wanted !== "" || only !== null;
  function list() {
    rows = [];
    const named = (index) => data.parameters[index].name.toLowerCase().includes(wanted)
      || (data.parameters[index].aliases || []).some((alias) => alias.toLowerCase().includes(wanted));
    const found = (index) => (only === null || only.has(index)) && named(index);
    (function walk(node, depth) {
      for (const child of node.children) {
        const members = narrowed() ? child.members.filter(found) : child.members;
        if (!members.length) continue;
        rows.push({ node: child, depth, members, distinct: null });
        if (child.parameter === null && (child.open || narrowed())) walk(child, depth + 1);
      }
    })(root, 0);
    at("none").hidden = rows.length > 0;
    chart.hidden = rows.length === 0;
  }

  // The timelines of a folded module, those with the gravest states first.
  function distinct(row) {
    if (row.distinct === null) {
      const shared = [...new Set(row.members.map((index) => data.parameters[index].timeline))];
      const gravest = (index) => timeline(index).states.reduce((worst, state) => Math.min(worst, state), UNSEEN);
      row.distinct = shared.map((index) => [gravest(index), index]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
    }
    return row.distinct;
  }

  // -- what is in view --------------------------------------------------------------------------

  let first = 0, last = total;
  const hasNorms = data.parameters.some(({ norm }) => norm);
  const layout = {};
  const indented = ({ node, depth }) => (depth + (node.parameter === null ? 0 : 1)) * layout.indent;
  function widestName() {
    return rows.reduce((widest, row) => Math.max(widest, 60 + indented(row) + 7.5 * row.node.label.length), 0);
  }
  function measure() {
    const width = chart.clientWidth;
    const slim = width < 620;
    layout.indent = slim ? 8 : 14;
    layout.tree = Math.round(Math.min(320, Math.max(110, width * (slim ? 0.42 : 0.34)), Math.max(110, widestName())));
    layout.norms = hasNorms && width > 620 ? 120 : 0;
    layout.strip = width - layout.tree - layout.norms - (layout.norms ? 12 : 8);
    layout.height = Math.min(AXIS + rows.length * ROW + 4, Math.max(240, Math.round(innerHeight * 0.7)));
    layout.width = width;
    chart.style.height = layout.height + 2 + "px";
    stage.style.height = layout.height + "px";
    stage.style.width = width + "px";
    sizer.style.height = Math.max(0, rows.length * ROW + AXIS + 4 - layout.height) + "px";
    labels.style.width = layout.tree + "px";
    const scale = devicePixelRatio || 1, wide = width - layout.tree;
    canvas.style.width = wide + "px";
    canvas.style.height = layout.height + "px";
    canvas.width = Math.round(wide * scale);
    canvas.height = Math.round(layout.height * scale);
    layout.scale = scale;
  }

  function look(from, to) {
    const span = Math.min(Math.max(to - from, Math.min(8, total)), total);
    first = Math.min(Math.max(from, 0), total - span);
    last = first + span;
    later();
  }
  function zoom(factor, around = (first + last) / 2) {
    look(around - (around - first) * factor, around + (last - around) * factor);
  }
  const shift = (share) => look(first + (last - first) * share, last + (last - first) * share);

  // -- drawing ----------------------------------------------------------------------------------

  let colours = {};
  function ask() {
    const style = getComputedStyle(document.documentElement);
    const named = (name) => style.getPropertyValue("--" + name).trim();
    colours = { states: [...data.states.map(([state]) => named(state)), "transparent"] };
    for (const name of ["text", "faint", "line", "note", "ground", "error"]) colours[name] = named(name);
  }

  // Where several runs share a pixel the gravest shows, and none is too short to show.
  function drawTimeline(pen, index, top, height) {
    const { ends, states } = timeline(index), perIteration = layout.strip / (last - first);
    let filled = 0, shown = UNSEEN;
    for (let run = runAt({ ends }, first); run < ends.length; run++) {
      const start = run ? ends[run - 1] : 0;
      if (start >= last) break;
      const left = Math.max(0, Math.floor((start - first) * perIteration));
      const right = Math.min(layout.strip, Math.max(left + 1, Math.floor((ends[run] - first) * perIteration)));
      const state = states[run];
      if (left < filled && state < shown) {
        pen.fillStyle = colours.states[state];
        pen.fillRect(filled - 1, top, 1, height);
        shown = state;
      }
      if (right > filled) {
        const from = Math.max(left, filled);
        if (state !== UNSEEN) {
          pen.fillStyle = colours.states[state];
          pen.fillRect(from, top, right - from, height);
        }
        shown = right - from > 1 || from > filled ? state : Math.min(state, left < filled ? shown : state);
        filled = right;
      }
    }
  }

  function norms(index) {
    const { sampled, norm } = data.parameters[index];
    if (!norm) return null;
    const finite = norm.filter((value) => value !== null && value > 0).map(Math.log10);
    const low = Math.min(...finite), high = Math.max(...finite);
    return { iterations: data.sampled[sampled], norm, low, high, drawn: finite.length > 0 };
  }

  // A norm over the iterations, on a logarithmic scale; what has no place on it stands at the edge.
  function drawNorms(pen, index, x, y, width, height, dot = 3) {
    const told = norms(index);
    if (!told) return;
    const { iterations, norm, low, high } = told, span = high - low || 1;
    pen.strokeStyle = colours.note;
    pen.lineWidth = 1.2;
    pen.beginPath();
    let pressed = false;
    norm.forEach((value, sample) => {
      const across = x + (iterations[sample] + 0.5) / total * width;
      if (value === null || value <= 0) {
        pen.fillStyle = colours.error;
        pen.fillRect(across - dot / 2, value === null ? y : y + height - dot, dot, dot);
        pressed = false;
        return;
      }
      const down = y + height - (high === low ? 0.5 : (Math.log10(value) - low) / span) * height;
      if (pressed) pen.lineTo(across, down); else pen.moveTo(across, down);
      pen.fillStyle = colours.note;
      if (norm.length < 3 || dot > 3 && norm.length < 60) pen.fillRect(across - dot / 2, down - dot / 2, dot, dot);
      pressed = true;
    });
    pen.stroke();
  }

  function drawAxis(pen) {
    const rough = (last - first) / Math.max(2, layout.strip / 90), power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(1, [1, 2, 5, 10].map((times) => times * power).find((nice) => nice >= rough));
    pen.font = "12px system-ui, sans-serif";
    pen.textBaseline = "middle";
    pen.textAlign = "center";
    for (let tick = Math.ceil(first / step) * step; tick < last; tick += step) {
      const x = Math.round((tick - first) / (last - first) * layout.strip);
      pen.fillStyle = colours.line;
      pen.fillRect(x, AXIS - 6, 1, 6);
      pen.fillStyle = colours.faint;
      pen.fillText(number(tick), Math.min(Math.max(x, 4 + number(tick).length * 3), layout.strip - 4), 10);
    }
    if (layout.norms) pen.fillText("norm (log)", layout.strip + 12 + layout.norms / 2 - 6, 10);
  }

  let cursor = null;  // {row, iteration}
  function draw() {
    const pen = canvas.getContext("2d"), top = chart.scrollTop;
    pen.setTransform(layout.scale, 0, 0, layout.scale, 0, 0);
    pen.clearRect(0, 0, layout.width, layout.height);
    const from = Math.floor(top / ROW), to = Math.min(rows.length, Math.ceil((top + layout.height - AXIS) / ROW));
    pen.save();
    pen.beginPath();
    pen.rect(0, AXIS, layout.width, layout.height - AXIS);
    pen.clip();
    for (let index = from; index < to; index++) {
      const row = rows[index], y = AXIS + index * ROW - top + (ROW - STRIP) / 2;
      if (row.node.parameter !== null) {
        drawTimeline(pen, data.parameters[row.node.parameter].timeline, y, STRIP);
        if (layout.norms) drawNorms(pen, row.node.parameter, layout.strip + 12, y - 2, layout.norms - 12, STRIP + 4);
      } else {
        const bands = distinct(row).slice(0, STRIP / 2), height = STRIP / bands.length;
        bands.forEach((timelineIndex, band) => drawTimeline(pen, timelineIndex, y + band * height, Math.max(1, height - (bands.length > 1 ? 0.5 : 0))));
      }
    }
    if (cursor) {
      pen.fillStyle = colours.text;
      const x = Math.floor((cursor.iteration + 0.5 - first) / (last - first) * layout.strip);
      if (x >= 0 && x <= layout.strip) pen.fillRect(x, AXIS, 1, layout.height);
    }
    pen.restore();
    drawAxis(pen);
    label(from, to, top);
    at("range").textContent = `iterations ${number(Math.floor(first))} to ${number(Math.max(0, Math.ceil(last) - 1))} of ${number(data.iterations)}`
      + (data.coarse ? "; neighbours are joined, the gravest shows" : "");
  }

  // The names in view; the buttons are used again, so that the focus stays where it is.
  const pool = [];
  function label(from, to, top) {
    while (pool.length < to - from) {
      const button = document.createElement("button");
      button.type = "button";
      button.addEventListener("click", () => press(rows[button.row]));
      pool.push(labels.appendChild(button));
    }
    pool.forEach((button) => { button.hidden = true; });
    for (let index = from; index < to; index++) {
      const row = rows[index], button = pool[index % pool.length], module = row.node.parameter === null;
      const open = row.node.open || narrowed();
      button.hidden = false;
      button.row = index;
      button.style.top = index * ROW - top + "px";
      button.style.paddingLeft = 6 + indented(row) + "px";
      button.className = (module ? "module" : "") + (row.members.some((member) => accused.has(member)) ? " accused" : "");
      button.textContent = (module ? (open ? "▾ " : "▸ ") : "") + (row.node.label || "(no name)");
      if (module) {
        const many = document.createElement("span");
        many.className = "many";
        many.textContent = ` ${number(row.members.length)}`;
        button.append(many);
        button.setAttribute("aria-expanded", String(open));
        button.removeAttribute("aria-pressed");
        button.title = row.node.path;
      } else {
        button.removeAttribute("aria-expanded");
        button.setAttribute("aria-pressed", String(selected === row.node.parameter));
        button.title = data.parameters[row.node.parameter].name;
      }
    }
  }

  let due = 0;
  function later() {
    if (!due) due = requestAnimationFrame(() => { due = 0; draw(); });
  }
  function again() {
    list();
    measure();
    later();
  }

  // -- asking -----------------------------------------------------------------------------------

  function nearest(iterations, iteration) {
    let best = 0;
    iterations.forEach((sample, index) => {
      if (Math.abs(sample - iteration) < Math.abs(iterations[best] - iteration)) best = index;
    });
    return best;
  }

  // What a run tells: of the values, of the life, and of where it came from.
  function lived(line, run) {
    const [state, life, many, mixed, backwards] = data.kinds[line.kinds[run]];
    const lines = [state, life].filter((each) => each !== null).map((each) => data.states[each].join(": "));
    const from = run ? line.ends[run - 1] : 0, to = line.ends[run] - 1;
    if (mixed) lines.push(`the gravest between ${number(from)} and ${number(to)}`);
    else lines.push(from === to ? "only there" : `so from ${number(from)} to ${number(to)}`);
    const counted = `${number(many)} ${many === 1 ? "contribution" : "contributions"}`;
    if (many || !backwards.length) lines.push(backwards.length ? `${counted}, from` : counted);
    else lines.push("what is there came from");
    return [...lines, ...backwards.map((index) => data.backwards[index])];
  }

  function told(row, iteration) {
    const lines = [`iteration ${number(iteration)}`];
    if (row.node.parameter === null) {
      const counts = new Map();
      for (const member of row.members) {
        const line = timeline(data.parameters[member].timeline), run = runAt(line, iteration);
        const state = run < line.ends.length ? line.states[run] : UNSEEN;
        counts.set(state, (counts.get(state) || 0) + 1);
      }
      lines.unshift(`${row.node.path}: ${number(row.members.length)} parameters`);
      for (const [state, many] of [...counts].sort((a, b) => a[0] - b[0])) lines.push(`${number(many)} ${state === UNSEEN ? "not seen" : data.states[state][0]}`);
      return lines.join("\n");
    }
    const parameter = data.parameters[row.node.parameter], line = timeline(parameter.timeline), run = runAt(line, iteration);
    lines.unshift(parameter.name);
    if (run === line.ends.length || line.states[run] === UNSEEN) return [...lines, "not seen"].join("\n");
    lines.push(...lived(line, run));
    if (parameter.norm) {
      const iterations = data.sampled[parameter.sampled], sample = nearest(iterations, iteration);
      const value = parameter.norm[sample];
      lines.push(`norm ${value === null ? "not finite" : value.toPrecision(3)} at iteration ${number(iterations[sample])}`);
    }
    return [...lines, ...(accused.get(row.node.parameter) || [])].join("\n");
  }

  function hint(x, y) {
    const text = cursor && rows[cursor.row] ? told(rows[cursor.row], cursor.iteration) : "";
    tip.hidden = !text;
    if (tip.textContent !== text) tip.textContent = text;
    if (!text) return;
    const box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(x + 14, innerWidth - box.width - 8)) + "px";
    tip.style.top = (y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18) + "px";
  }

  const iterationAt = (x) => Math.min(total - 1, Math.max(0, Math.floor(first + x / layout.strip * (last - first))));
  function point(event) {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    const row = Math.floor((y - AXIS + chart.scrollTop) / ROW);
    cursor = y > AXIS && x <= layout.strip && row < rows.length ? { row, iteration: iterationAt(x) } : null;
    hint(event.clientX, event.clientY);
    later();
  }

  let dragged = null;
  canvas.addEventListener("pointerdown", (event) => {
    dragged = { x: event.clientX, first, last };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (dragged && event.buttons) {
      const moved = (dragged.x - event.clientX) / layout.strip * (dragged.last - dragged.first);
      look(dragged.first + moved, dragged.last + moved);
    }
    point(event);
  });
  canvas.addEventListener("pointerup", () => { dragged = null; });
  canvas.addEventListener("pointerleave", () => { cursor = null; hint(0, 0); later(); });
  canvas.addEventListener("dblclick", (event) => zoom(0.4, iterationAt(event.clientX - canvas.getBoundingClientRect().left)));
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
    event.preventDefault();
    const by = event.deltaY || event.deltaX;
    if (event.shiftKey) shift(Math.sign(by) * 0.1);
    else zoom(1.15 ** Math.sign(by), iterationAt(event.clientX - canvas.getBoundingClientRect().left));
  }, { passive: false });

  chart.addEventListener("keydown", (event) => {
    if (event.target !== chart) return;
    const step = Math.max(1, Math.round((last - first) / layout.strip * 4));
    const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-1, 0], ArrowDown: [1, 0] };
    if (event.key === "+" || event.key === "=") zoom(0.5, cursor ? cursor.iteration : undefined);
    else if (event.key === "-") zoom(2, cursor ? cursor.iteration : undefined);
    else if (event.key === "0") look(0, total);
    else if (event.key === "Escape") cursor = null;
    else if (moves[event.key]) {
      const [down, right] = moves[event.key];
      const here = cursor || { row: Math.floor(chart.scrollTop / ROW), iteration: Math.floor(first) };
      cursor = {
        row: Math.min(rows.length - 1, Math.max(0, here.row + (cursor ? down : 0))),
        iteration: Math.min(total - 1, Math.max(0, here.iteration + (cursor ? right : 0))),
      };
      const y = cursor.row * ROW;
      if (y < chart.scrollTop) chart.scrollTop = y;
      if (y + ROW + AXIS > chart.scrollTop + layout.height) chart.scrollTop = y + ROW + AXIS - layout.height;
      if (cursor.iteration < first || cursor.iteration >= last) look(cursor.iteration - (last - first) / 2, cursor.iteration + (last - first) / 2);
    } else return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    if (cursor) hint(box.left + (cursor.iteration - first) / (last - first) * layout.strip, box.top + AXIS + cursor.row * ROW - chart.scrollTop);
    else hint(0, 0);
    later();
  });

  function press(row) {
    if (row.node.parameter === null) {
      row.node.open = !row.node.open;
      again();
      return;
    }
    selected = selected === row.node.parameter ? null : row.node.parameter;
    show();
    later();
  }

  function show() {
    details.hidden = selected === null;
    details.replaceChildren();
    if (selected === null) return;
    const parameter = data.parameters[selected];
    const say = (text, tag = "p") => { details.appendChild(document.createElement(tag)).textContent = text; };
    say(parameter.name, "h3");
    say([parameter.kind, parameter.optimizers ? `in ${parameter.optimizers.join(", ")}` : "in no optimizer",
      parameter.aliases ? `also called ${parameter.aliases.join(", ")}` : ""].filter(Boolean).join("; "));
    (accused.get(selected) || []).forEach((title) => say(title));
    const line = timeline(parameter.timeline), runs = [];
    for (let run = 0; run < Math.min(line.ends.length, 12); run++) {
      const start = run ? line.ends[run - 1] : 0;
      runs.push(`${number(start)} to ${number(line.ends[run] - 1)} ${line.states[run] === UNSEEN ? "not seen" : data.states[line.states[run]][0]}`);
    }
    say(`Iterations ${runs.join(", ")}${line.ends.length > 12 ? " …" : ""}`);
    const backwards = [...new Set([...new Set(line.kinds)].flatMap((kind) => data.kinds[kind][4]))];
    if (backwards.length) say(`Contributions from ${backwards.map((index) => data.backwards[index]).join("; ")}`);
    const sampled = norms(selected);
    if (!sampled) {
      say("No norm of its gradient was sampled.");
      return;
    }
    const counted = `${number(sampled.norm.length)} ${sampled.norm.length === 1 ? "sample" : "samples"}`;
    if (!sampled.drawn) {
      say(`Norm of its gradient, ${counted}: all ${sampled.norm.some((value) => value === null) ? "zero or not finite" : "zero"}.`);
      return;
    }
    const ends = [sampled.low, sampled.high].map((power) => (10 ** power).toPrecision(3));
    const beyond = sampled.norm.some((value) => value === null || value <= 0) ? "; marks at the lower edge are zero, at the upper one not finite" : "";
    say(`Norm of its gradient, ${counted}, ${ends[0] === ends[1] ? ends[0] : `${ends[0]} to ${ends[1]} (logarithmic)`}${beyond}:`);
    const plot = details.appendChild(document.createElement("canvas"));
    const scale = devicePixelRatio || 1, width = plot.clientWidth, height = plot.clientHeight;
    plot.width = width * scale;
    plot.height = height * scale;
    const pen = plot.getContext("2d");
    pen.scale(scale, scale);
    pen.strokeStyle = colours.line;
    pen.strokeRect(0.5, 0.5, width - 1, height - 1);
    pen.font = "12px system-ui, sans-serif";
    pen.fillStyle = colours.faint;
    pen.fillText("0", 4, height - 4);
    pen.textAlign = "right";
    pen.fillText(`iteration ${number(total - 1)}`, width - 4, height - 4);
    drawNorms(pen, selected, 6, 8, width - 12, height - 30, 5);
  }

  at("find").addEventListener("input", (event) => {
    wanted = event.target.value.trim().toLowerCase();
    chart.scrollTop = 0;
    again();
  });
  function showOnly(finding) {
    only = finding === null ? null : new Set(finding.of);
    at("only").hidden = only === null;
    at("only").textContent = finding === null ? "" : `only those of ${finding.title} ✕`;
    chart.scrollTop = 0;
    again();
  }
  document.querySelectorAll("button.show").forEach((button) => {
    const finding = data.findings[Number(button.dataset.finding)];
    button.hidden = !finding.of.length;
    button.addEventListener("click", () => {
      at("find").value = wanted = "";
      showOnly(finding);
      at("timeline").scrollIntoView();
      chart.focus({ preventScroll: true });
    });
  });
  at("only").addEventListener("click", () => showOnly(null));
  const foldAll = (open) => { modules.forEach((node) => { node.open = open; }); again(); };
  at("fold").addEventListener("click", () => foldAll(false));
  at("unfold").addEventListener("click", () => foldAll(true));
  at("in").addEventListener("click", () => zoom(0.5));
  at("out").addEventListener("click", () => zoom(2));
  at("whole").addEventListener("click", () => look(0, total));
  chart.addEventListener("scroll", () => { cursor = null; hint(0, 0); later(); });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
  addEventListener("resize", () => { measure(); later(); show(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { ask(); later(); show(); });
  ask();
  again();
})();

"use strict";
// The clouds of the shown frames in space.
quinr.cloud = (() => {
  const { colour, layout, draw } = quinr.plots;
  const HALF = 50; // metres to every side
  const LOW = -4;
  const HIGH = 6;
  const BEHIND = { x: -0.62, y: 0, z: 0.3 };
  const ABOVE = { x: -0.01, y: 0, z: 1.1 };

  function bytes(text) {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  }

  // Coordinates in metres, the distances' levels as distances in the legend's unit.
  function points(cloud, view) {
    if (cloud.read) return cloud.read;
    const raw = bytes(cloud.xyz);
    const steps = new DataView(raw.buffer);
    const count = raw.length / 6;
    const read = { x: [], y: [], z: [], distances: null };
    ["x", "y", "z"].forEach((name, place) => {
      for (let index = 0; index < count; index++) {
        read[name].push(steps.getInt16(2 * (place * count + index), true) * cloud.step);
      }
    });
    if (cloud.errors) {
      const scale = (view.limit * view.factor) / 255;
      read.distances = Array.from(bytes(cloud.errors), (level) => level * scale);
    }
    cloud.read = read;
    return read;
  }

  const stops = (colours) => colours.map((one, index) => [index / (colours.length - 1), one]);

  function trace(cloud, view, by) {
    const read = points(cloud, view);
    const height = by === "height" || !read.distances;
    const marker = height
      ? { color: read.z, colorscale: stops(view.heights), cmin: -2.5, cmax: 2 }
      : { color: read.distances, colorscale: stops(view.errors), cmin: 0, cmax: view.limit * view.factor };
    return {
      type: "scatter3d",
      mode: "markers",
      x: read.x,
      y: read.y,
      z: read.z,
      marker: {
        ...marker,
        size: 1.2,
        opacity: 1,
        colorbar: {
          title: { text: height ? "height [m]" : `distance [${view.unit}]`, side: "right", font: { size: 11 } },
          thickness: 8,
          len: 0.6,
          tickfont: { size: 11 },
          outlinewidth: 0,
        },
      },
      hovertemplate: "%{x:.2f}, %{y:.2f}, %{z:.2f} m<extra></extra>",
    };
  }

  function build(cloud, view, by) {
    const axis = (range, title) => ({
      range,
      title: { text: title },
      color: colour("picture-ink"),
      gridcolor: colour("picture-line"),
      zeroline: false,
      showbackground: false,
      showspikes: false,
      tickfont: { size: 10 },
    });
    const look = layout({
      paper_bgcolor: colour("picture"),
      margin: { l: 0, r: 0, t: 0, b: 0 },
      uirevision: "kept",
      scene: {
        aspectmode: "manual",
        aspectratio: { x: 1, y: 1, z: (HIGH - LOW) / (2 * HALF) },
        xaxis: axis([-HALF, HALF], "forward [m]"),
        yaxis: axis([-HALF, HALF], "left [m]"),
        zaxis: { ...axis([LOW, HIGH], ""), nticks: 3 },
        camera: { eye: BEHIND, center: { x: 0, y: 0, z: -0.02 } },
        dragmode: "orbit",
        uirevision: "kept",
      },
    });
    look.font.color = colour("picture-ink");
    return { traces: [trace(cloud, view, by)], layout: look };
  }

  function webgl() {
    const canvas = document.createElement("canvas");
    return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
  }

  function choices(place, name, options) {
    const chosen = place.querySelector("input:checked")?.value;
    place.querySelectorAll("label").forEach((one) => one.remove());
    options.forEach(([value, text], index) => {
      const label = document.createElement("label");
      const input = Object.assign(document.createElement("input"), { type: "radio", name, value });
      input.checked = options.some(([other]) => other === chosen) ? value === chosen : index === 0;
      label.append(input, ` ${text}`);
      place.append(label);
    });
  }

  function moved(eye, { turn = 0, zoom = 1 }) {
    const angle = (turn * Math.PI) / 180;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    return { x: zoom * (eye.x * cos - eye.y * sin), y: zoom * (eye.x * sin + eye.y * cos), z: zoom * eye.z };
  }

  return async () => {
    const element = document.getElementById("cloud");
    const view = quinr.plots.data("cloud-data");
    if (!element || !view) return;
    const note = document.getElementById("cloud-note");
    const controls = document.getElementById("cloud-controls");
    if (!view.frames.length || !webgl()) {
      controls.hidden = true;
      element.dataset.drawn = "no";
      element.classList.add("plot-missing");
      element.textContent = view.frames.length
        ? "This browser has no WebGL (or it is switched off), so clouds cannot be drawn in space. The views from above show the same frames."
        : "There are no points to draw.";
      return;
    }

    const frame = document.getElementById("cloud-frame");
    const kinds = document.getElementById("cloud-kinds");
    const colours = document.getElementById("cloud-colours");
    frame.append(...view.frames.map((one, index) => new Option(`${one.frame} (${one.role})`, index)));
    choices(colours, "colour", [["height", "Height"], ["error", "Distance to the other cloud"]]);

    const shown = () => {
      const clouds = view.frames[frame.value].clouds;
      return clouds.find((one) => one.key === kinds.querySelector("input:checked").value) || clouds[0];
    };
    const by = () => colours.querySelector("input:checked").value;

    function tell() {
      const cloud = shown();
      const number = (value) => value.toLocaleString("en");
      const thin = cloud.shown < cloud.points ? `, of which ${number(cloud.shown)} are drawn` : "";
      const what = cloud.key === "decoded" ? "nearest original point" : "nearest decoded point";
      const coloured = cloud.errors && by() === "error" ? `distance to the ${what}` : "height";
      const name = view.frames[frame.value].frame;
      note.textContent = `${cloud.label}, frame ${name}: ${number(cloud.points)} points${thin}; coloured by ${coloured}.`;
      element.setAttribute("aria-label", note.textContent);
    }

    function offer() {
      choices(kinds, "kind", view.frames[frame.value].clouds.map((one) => [one.key, one.label]));
      colours.hidden = !view.frames[frame.value].clouds.some((one) => one.errors);
    }

    offer();
    await draw(element, () => build(shown(), view, by()));
    tell();
    controls.addEventListener("change", async (event) => {
      if (event.target === frame) offer();
      const { traces, layout: look } = build(shown(), view, by());
      await window.Plotly.react(element, traces, look);
      tell();
    });
    controls.addEventListener("submit", (event) => event.preventDefault());
    controls.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      const eye = element.layout.scene.camera?.eye || BEHIND;
      const { view: place, turn, zoom } = button.dataset;
      const fixed = { behind: BEHIND, above: ABOVE }[place];
      const next = fixed || moved(eye, { turn: Number(turn || 0), zoom: Number(zoom || 1) });
      window.Plotly.relayout(element, { "scene.camera.eye": next });
    });
  };
})();

"use strict";
// What all charts share: Plotly, unpacked; colours of the theme; data out of the page.
quinr.plots = (() => {
  const config = {
    displaylogo: false,
    responsive: true,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
  };
  const touch = matchMedia("(pointer: coarse)").matches;

  async function unpack() {
    if (!("DecompressionStream" in window)) {
      throw new Error("this browser cannot unpack them (no DecompressionStream; any of 2023 or later has it)");
    }
    const packed = document.getElementById("plotly").textContent.trim();
    const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    if (!window.Plotly) throw new Error("Plotly did not start");
  }

  let loading;
  const load = () => (loading ??= unpack());

  function data(id) {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  // Plotly reads some HTML in texts; what comes from files must stay text.
  function plain(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function axis(extra) {
    return {
      gridcolor: colour("line"),
      zerolinecolor: colour("line"),
      linecolor: colour("line"),
      tickfont: { size: 11 },
      automargin: true,
      ...extra,
    };
  }

  function layout(extra) {
    return {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: colour("muted") },
      margin: { l: 48, r: 8, t: 8, b: 36 },
      // A finger that moves over a chart scrolls the page.
      dragmode: touch ? false : "zoom",
      hoverlabel: { bgcolor: colour("surface"), bordercolor: colour("line"), font: { color: colour("ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("muted"), activecolor: colour("ink") },
      legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0, font: { size: 11 } },
      uirevision: "kept",
      ...extra,
    };
  }

  // Draws a chart now, and again when the theme changes.
  async function draw(element, build) {
    element.replaceChildren();
    const again = () => {
      const { traces, layout: look } = build();
      return window.Plotly.react(element, traces, look, config);
    };
    await again();
    quinr.redraw.push(again);
    element.dataset.drawn = "yes";
  }

  function trouble(error) {
    const place = document.getElementById("trouble");
    place.hidden = false;
    place.textContent = `Charts are missing: ${error.message || error}.`;
    document.querySelectorAll(".waiting").forEach((one) => (one.textContent = "Not drawn."));
    document.documentElement.dataset.charts = "none";
  }

  return { load, data, colour, plain, axis, layout, draw, trouble };
})();

"use strict";
// Fidelity over rate, a point an archive.
quinr.compare = (() => {
  const { colour, plain, axis, layout, draw } = quinr.plots;

  const SYMBOLS = ["circle", "square", "diamond", "triangle-up", "cross", "x", "star"];

  const logarithmic = (values) => Math.min(...values) > 0 && Math.max(...values) > 10 * Math.min(...values);

  function build(plot) {
    const x = plot.points.map((point) => point.x);
    const y = plot.points.map((point) => point.y);
    const type = (values) => (logarithmic(values) ? "log" : "linear");
    const unit = plot.unit ? ` ${plot.unit}` : "";
    return {
      traces: [
        { type: "scatter", mode: "lines", x, y, line: { color: colour("line"), width: 2 }, hoverinfo: "skip", showlegend: false },
        ...plot.points.map((point, index) => ({
          type: "scatter",
          mode: "markers",
          name: plain(point.label),
          x: [point.x],
          y: [point.y],
          marker: { color: colour(`line-${(index % 4) + 1}`), symbol: SYMBOLS[index % SYMBOLS.length], size: 9 },
          hovertemplate: `%{x:.4g} bpp<br>%{y:.4g}${unit}`,
          showlegend: true,
        })),
      ],
      layout: layout({
        margin: { l: 48, r: 16, t: 28, b: 36 },
        xaxis: axis({ type: type(x), title: { text: "bits a pixel", font: { size: 11 }, standoff: 4 } }),
        yaxis: axis({ type: type(y), nticks: 6 }),
      }),
    };
  }

  return async () => {
    for (const plot of quinr.plots.data("compare-data") || []) {
      await draw(document.getElementById(plot.key), () => build(plot));
    }
  };
})();

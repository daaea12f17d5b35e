"use strict";
// Figures along the drive, each with its histogram, and paths from above.
quinr.charts = (() => {
  const { colour, plain, axis, layout, draw } = quinr.plots;
  const SHARE = 0.8; // of the width; the rest is the histogram's

  // So that lines that coincide, or have no colour on paper, are still told apart.
  const DASHES = ["solid", "dash", "dot", "dashdot"];

  const lineColour = (index) => colour(`line-${(index % 4) + 1}`);

  function lineTrace(data, chart, line, index) {
    const known = line.y.filter((value) => value !== null).length;
    // Of an evaluation of some frames only, points are what there is.
    const sparse = known < 0.7 * line.y.length;
    return {
      type: "scatter",
      mode: sparse || known < 60 ? "lines+markers" : "lines",
      name: plain(line.name),
      x: data.numbers,
      y: line.y,
      customdata: data.frames.map(plain),
      connectgaps: sparse,
      line: { color: lineColour(index), width: 1.5, dash: DASHES[index % 4] },
      marker: { size: 4, color: lineColour(index) },
      hovertemplate: `%{y:.${chart.digits}f} ${chart.unit}<br>frame %{customdata}`,
      showlegend: chart.lines.length > 1,
    };
  }

  function histogramTrace(chart, line, index) {
    const { edges, counts } = line.histogram;
    const unit = chart.unit ? ` ${chart.unit}` : "";
    const one = edges.length === 2 && edges[1] - edges[0];
    return {
      type: "bar",
      orientation: "h",
      xaxis: "x2",
      x: counts,
      y: counts.map((_, bin) => (edges[bin] + edges[bin + 1]) / 2),
      width: one ? undefined : counts.map((_, bin) => edges[bin + 1] - edges[bin]),
      customdata: counts.map((_, bin) => `${edges[bin]} to ${edges[bin + 1]}${unit}`),
      marker: { color: lineColour(index), opacity: 0.55, line: { width: 0 } },
      hovertemplate: "%{x} frames<br>%{customdata}<extra></extra>",
      showlegend: false,
    };
  }

  function build(data, chart) {
    const traces = chart.lines.flatMap((line, index) => [
      lineTrace(data, chart, line, index),
      ...(line.histogram.counts.length ? [histogramTrace(chart, line, index)] : []),
    ]);
    if (chart.limit) {
      traces.push({
        ...lineTrace(data, chart, chart.limit, 0),
        mode: "lines",
        line: { color: colour("bad"), width: 1.5, dash: "dash", shape: "hv" },
        showlegend: true,
      });
      traces[0].showlegend = true;
    }
    const legend = traces.some((trace) => trace.showlegend);
    return {
      traces,
      layout: layout({
        barmode: "overlay",
        margin: { l: 48, r: 8, t: legend ? 28 : 8, b: 34 },
        xaxis: axis({ domain: [0, SHARE], title: { text: "frame", font: { size: 11 }, standoff: 4 } }),
        xaxis2: axis({ domain: [SHARE + 0.03, 1], showgrid: false, nticks: 2, rangemode: "tozero" }),
        yaxis: axis({ nticks: 6, exponentformat: "none" }),
      }),
    };
  }

  function buildPath(paths) {
    return {
      traces: paths.map((path, index) => ({
        type: "scatter",
        mode: "lines",
        name: plain(path.name),
        x: path.x,
        y: path.y,
        line: { color: lineColour(index), width: index ? 1.5 : 3, dash: DASHES[index % 4] },
        hovertemplate: "%{x:.2f} m, %{y:.2f} m",
        showlegend: true,
      })),
      layout: layout({
        margin: { l: 48, r: 8, t: 28, b: 34 },
        xaxis: axis({}),
        yaxis: axis({ scaleanchor: "x", nticks: 6 }),
      }),
    };
  }

  // What is zoomed in one chart is zoomed in all.
  function link(elements) {
    let busy = false;
    for (const element of elements) {
      element.on("plotly_relayout", async (change) => {
        const range = change["xaxis.range[0]"] !== undefined;
        if (busy || !(range || change["xaxis.autorange"])) return;
        busy = true;
        const wanted = range
          ? { "xaxis.range": [change["xaxis.range[0]"], change["xaxis.range[1]"]] }
          : { "xaxis.autorange": true };
        const others = elements.filter((other) => other !== element);
        await Promise.all(others.map((other) => window.Plotly.relayout(other, wanted)));
        busy = false;
      });
    }
  }

  return async () => {
    const data = quinr.plots.data("chart-data");
    if (!data || !data.charts) return;
    const drawn = [];
    for (const chart of data.charts) {
      const element = document.getElementById(chart.key);
      await draw(element, () => build(data, chart));
      drawn.push(element);
    }
    link(drawn);
    const path = document.getElementById("chart-path");
    if (path) await draw(path, () => buildPath(data.path));
  };
})();

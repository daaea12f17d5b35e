"use strict";
(async () => {
  if (!document.getElementById("plotly")) return;
  try {
    await quinr.plots.load();
    for (const part of [quinr.charts, quinr.cloud, quinr.compare]) await part?.();
    document.documentElement.dataset.charts = "drawn";
  } catch (error) {
    quinr.plots.trouble(error);
  }
})();

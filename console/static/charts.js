// Draws the tables of a page as charts. A table says all that its chart shows, so without scripts
// nothing is lost; a chart has patterns beside its colours, and is described for those who do not
// see it. Colours can be told apart by the colour-blind (after Okabe and Ito).
"use strict";
(() => {
  const COLOURS = ["#0072b2", "#d55e00", "#007a5a", "#a3457f", "#5b3a8c", "#8a5a00", "#3f4b57"];
  const LIGHTS = {
    red: "#b3261e", yellow: "#e0a800", green: "#2c7a41", suspended: "#6b7a88", none: "#c3ccd4",
  };
  const SYMBOLS = ["circle", "rect", "triangle", "diamond", "roundRect", "pin", "arrow"];
  const DASHES = ["solid", "dashed", "dotted", [8, 3, 2, 3], [12, 4], [3, 3], [1, 4]];
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const font = getComputedStyle(document.documentElement).fontFamily;

  function read(table) {
    const heads = [...table.tHead.rows[0].cells];
    const rows = [...table.tBodies[0].rows];
    const series = heads.flatMap((head, place) => head.dataset.series ? [{
      id: head.dataset.series,
      name: head.dataset.name || head.textContent.trim(),
      limit: head.dataset.limit ? Number(head.dataset.limit) : null,
      light: head.dataset.light || null,
      values: rows.map((row) => {
        const value = row.cells[place].dataset.value;
        return value === undefined ? null : Number(value);
      }),
    }] : []);
    return { names: rows.map((row) => row.cells[0].textContent.trim()), series };
  }

  function basics(place, names) {
    return {
      animation: false,
      textStyle: { fontFamily: font, fontSize: 12, color: "#1a2530" },
      grid: { left: 8, right: 16, top: 28, bottom: 4, containLabel: true },
      tooltip: { trigger: "axis", renderMode: "richText", confine: true, axisPointer: { animation: !isStill } },
      aria: { enabled: true, label: { description: place.dataset.label }, decal: { show: true } },
      xAxis: { type: "category", data: names, axisLabel: { color: "#4c5a67", hideOverlap: true } },
      yAxis: {
        type: "value", name: place.dataset.unit, nameLocation: "end",
        nameTextStyle: { align: "left", color: "#4c5a67" }, axisLabel: { color: "#4c5a67" },
      },
    };
  }

  function legendRows(series, width) {
    const pen = document.createElement("canvas").getContext("2d");
    pen.font = `12px ${font}`;
    let rows = 1, used = 0;
    for (const each of series) {
      const wide = 28 + 5 + pen.measureText(each.name).width + 12;
      if (used > 0 && used + wide > width - 10) { rows += 1; used = 0; }
      used += wide;
    }
    return rows;
  }

  function line(place, { names, series }) {
    const one = series.find((each) => each.id === place.dataset.only);
    const most = Math.max(one.limit || 0, ...one.values.filter((value) => value !== null));
    const option = basics(place, names);
    option.yAxis.max = Math.ceil(most * 1.15);
    option.series = [{
      type: "line", name: one.name, data: one.values, symbol: "circle", symbolSize: 7, connectNulls: false,
      lineStyle: { width: 2, color: COLOURS[0] }, itemStyle: { color: COLOURS[0] },
      markLine: one.limit === null ? undefined : {
        silent: true, symbol: "none", animation: false, data: [{ yAxis: one.limit }],
        lineStyle: { color: "#1a2530", type: "dashed", width: 1.5 },
        label: { formatter: `${place.dataset.limitWords} ${one.limit}`, position: "insideEndTop", color: "#1a2530" },
      },
    }];
    return option;
  }

  function lines(place, { names, series }) {
    const option = basics(place, names);
    const least = Math.min(100, ...series.flatMap((each) => each.values.filter((value) => value !== null)));
    Object.assign(option.yAxis, { min: Math.max(0, Math.floor((least - 5) / 5) * 5), max: 100 });
    option.grid.top = 8 + 22 * legendRows(series, place.clientWidth);
    option.legend = { top: 0, left: 0, itemWidth: 28, textStyle: { color: "#1a2530" } };
    option.yAxis.name = "";
    option.series = series.map((each, place_) => ({
      type: "line", name: each.name, data: each.values, symbolSize: 8,
      symbol: SYMBOLS[place_ % SYMBOLS.length], itemStyle: { color: COLOURS[place_ % COLOURS.length] },
      lineStyle: { width: 2, type: DASHES[place_ % DASHES.length] },
    }));
    return option;
  }

  function stack(place, { names, series }) {
    const option = basics(place, names);
    option.grid.top = 12 + 22 * legendRows(series, place.clientWidth);
    option.legend = { top: 0, left: 0, itemWidth: 28, textStyle: { color: "#1a2530" } };
    option.tooltip.axisPointer = { type: "shadow" };
    option.yAxis.minInterval = 1;
    option.series = series.map((each) => ({
      type: "bar", stack: "all", name: each.name, data: each.values, barMaxWidth: 48,
      itemStyle: { color: LIGHTS[each.light] || COLOURS[0] },
    }));
    return option;
  }

  const KINDS = { line, lines, stack };

  function draw(place) {
    const table = document.getElementById(place.dataset.table);
    if (!table) return;
    const chart = echarts.init(place, null, { renderer: "canvas" });
    chart.setOption(KINDS[place.dataset.chart](place, read(table)));
    place.setAttribute("role", "img");
    new ResizeObserver(() => chart.resize()).observe(place);
    addEventListener("beforeprint", () => chart.resize());
  }

  document.querySelectorAll(".chart").forEach((place) => {
    place.classList.add("is-drawn");
    draw(place);
  });
})();

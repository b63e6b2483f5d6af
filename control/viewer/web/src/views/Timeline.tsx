// What came in each second of the last five minutes.

import { effect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { bytes, count, time } from "../format";
import { samples, SECONDS, state } from "../model";
import { themeTurn } from "./Theme";

const HEIGHT = 92;

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function data(): uPlot.AlignedData {
  const now = samples.value;
  const end = now.at(-1)?.at ?? Math.floor(Date.now() / 1000);
  const at: number[] = [];
  const lines: [number[], number[], number[]] = [[], [], []];
  const known = new Map(now.map(({ at, sample }) => [at, sample]));
  for (let second = end - SECONDS + 1; second <= end; second += 1) {
    const sample = known.get(second);
    at.push(second);
    lines[0].push(sample?.exchanges ?? 0);
    lines[1].push(sample?.errors ?? 0);
    lines[2].push(sample?.bytes ?? 0);
  }
  return [at, ...lines];
}

/** Steps of the axis of bytes: powers of two. */
const STEPS = Array.from({ length: 34 }, (_, n) => 2 ** (n + 8));

function brief(number: number): string {
  return bytes(number).replace(/\.0+ /, " ");
}

/** Whether a label there would run into the axis to the right. */
function atEdge(plot: uPlot, second: number): boolean {
  const { min, max } = plot.scales.x ?? {};
  return min != null && max != null && (max - second) / (max - min) < 0.03;
}

function clock(second: number): string {
  return time(second * 1000).slice(0, 8);
}

function options(width: number): uPlot.Options {
  const axis = { stroke: colour("dim"), font: "11px system-ui", ticks: { show: false } };
  const grid = { stroke: colour("line"), width: 1 };
  const bars = uPlot.paths.bars?.({ size: [0.9, 6], align: 1 });
  const spline = uPlot.paths.stepped?.({ align: 1 });
  return {
    width,
    height: HEIGHT,
    padding: [8, 0, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    scales: {
      x: { time: true },
      rate: { range: (_, __, most) => [0, Math.max(5, most * 1.15)] },
      bytes: { range: (_, __, most) => [0, Math.max(1024, most * 1.15)] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 18, gap: 2, space: 110, values: (plot, all) => all.map((one) => (atEdge(plot, one) ? "" : clock(one))) },
      { ...axis, grid, scale: "rate", size: 48, gap: 6, space: 20, values: (_, all) => all.map((one) => (Number.isInteger(one) ? count(one) : "")) },
      { ...axis, grid: { show: false }, scale: "bytes", side: 1, size: 66, gap: 6, space: 20, incrs: STEPS, values: (_, all) => all.map(brief) },
    ],
    series: [
      {},
      { scale: "rate", stroke: colour("accent"), fill: colour("accent-soft"), width: 0, ...(bars && { paths: bars }), points: { show: false } },
      { scale: "rate", stroke: colour("bad"), fill: colour("bad"), width: 0, ...(bars && { paths: bars }), points: { show: false } },
      { scale: "bytes", stroke: colour("second"), width: 1.25, ...(spline && { paths: spline }), points: { show: false } },
    ],
  };
}

export function Timeline() {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const place = box.current;
    if (!place) return;
    let plot: uPlot | undefined;
    const draw = effect(() => {
      void themeTurn.value;
      plot?.destroy();
      plot = new uPlot(options(place.clientWidth), data(), place);
    });
    const feed = effect(() => {
      const now = data();
      plot?.setData(now);
    });
    const resized = new ResizeObserver(() => plot?.setSize({ width: place.clientWidth, height: HEIGHT }));
    resized.observe(place);
    return () => {
      draw();
      feed();
      resized.disconnect();
      plot?.destroy();
    };
  }, []);
  const last = state.value?.last_second;
  return (
    <section class="timeline" aria-label="Rates of the last five minutes">
      <div class="plot" ref={box} />
      <dl>
        <div class="k1">
          <dt>exchanges/s</dt>
          <dd>{count(last?.exchanges ?? 0)}</dd>
        </div>
        <div class="k2">
          <dt>errors/s</dt>
          <dd>{count(last?.errors ?? 0)}</dd>
        </div>
        <div class="k3">
          <dt>payload/s</dt>
          <dd>{bytes(last?.bytes ?? 0)}</dd>
        </div>
      </dl>
    </section>
  );
}

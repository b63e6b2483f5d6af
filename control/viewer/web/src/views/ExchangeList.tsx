// The list of exchanges, newest first.

import { useEffect, useLayoutEffect } from "preact/hooks";
import type { Row } from "../api";
import { bytes, duration, statusClass, text, time } from "../format";
import { older } from "../live";
import * as model from "../model";
import { useVirtual } from "../virtual";

const HEIGHT = 28;
const COLUMNS = [
  ["time", "Time"],
  ["flow", "Flow"],
  ["method", "Method"],
  ["host", "Host"],
  ["path", "Path"],
  ["status-cell", "Status"],
  ["sent", "Request"],
  ["got", "Response"],
  ["took", "Duration"],
] as const;

function Status({ row }: { row: Row }) {
  if (row.status === null) return <span class="pending">{row.waiting ? "…" : ""}</span>;
  return <span class={`status ${statusClass(row.status)}`}>{row.status}</span>;
}

function Line({ row, index, start, selected }: { row: Row; index: number; start: number; selected: boolean }) {
  const flaw = row.incomplete ? "broke off" : row.missing > 0 ? `${bytes(row.missing)} missing` : "";
  return (
    <div
      role="row"
      id={`row-${row.id}`}
      aria-rowindex={index + 2}
      aria-selected={selected}
      class={`line ${selected ? "selected" : ""}`}
      style={{ transform: `translateY(${start}px)` }}
      onClick={() => model.select("exchange", row.id)}
    >
      <div role="gridcell" class="time">{time(row.begin_ms)}</div>
      <div role="gridcell" class="flow">{row.flow}</div>
      <div role="gridcell" class="method">{row.method}</div>
      <div role="gridcell" class="host" title={row.host}>{text(row.host)}</div>
      <div role="gridcell" class="path" title={row.path}>
        <span>{text(row.path)}</span>
        {flaw && <em title={flaw}>{flaw}</em>}
      </div>
      <div role="gridcell" class="status-cell"><Status row={row} /></div>
      <div role="gridcell" class="sent">{bytes(row.request_size)}</div>
      <div role="gridcell" class="got">{bytes(row.response_size)}</div>
      <div role="gridcell" class="took">{duration(row.duration_ms)}</div>
    </div>
  );
}

function Empty() {
  const why = model.filter.value
    ? "No exchange matches the filter."
    : "No exchanges so far. They appear here as Millrace sees them.";
  return (
    <div class="empty">
      <p>{why}</p>
      {!model.filter.value && (
        <p class="hint">
          Events come from <code>{model.state.value?.endpoints.join(", ")}</code>: see <code>export</code> and <code>observe</code> in
          the configuration of Millrace.
        </p>
      )}
    </div>
  );
}

export function ExchangeList() {
  void model.version.value;
  const list = model.rows.list;
  const total = list.length;
  const { scroller, items, height, list: virtual } = useVirtual(total, HEIGHT);
  const selected = model.selection.value?.kind === "exchange" ? model.selection.value.id : null;

  // Who looks at older ones goes on looking at them when newer ones come.
  useLayoutEffect(() => {
    const added = model.rows.added;
    model.rows.added = 0;
    const box = scroller.current;
    if (box && added > 0 && box.scrollTop > HEIGHT / 2) box.scrollTop += added * HEIGHT;
  }, [model.version.value]);
  useEffect(() => {
    const at = list.findIndex((row) => row.id === selected);
    if (selected !== null && at >= 0) virtual.scrollToIndex(total - 1 - at, { align: "auto" });
  }, [selected]);
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (last >= total - 50) void older();
  }, [last, total]);

  return (
    <section
      class="list exchanges"
      role="grid"
      aria-label="Exchanges"
      aria-rowcount={total + 1}
      aria-activedescendant={selected === null ? undefined : `row-${selected}`}
      tabIndex={0}
    >
      {total === 0 && <Empty />}
      <div class="scroller" ref={scroller} role="rowgroup">
        <div class="head" role="row" aria-rowindex={1}>
          {COLUMNS.map(([name, label]) => (
            <div role="columnheader" class={name} key={name}>{label}</div>
          ))}
        </div>
        <div class="all" style={{ height: `${height}px` }}>
          {items.map((item) => {
            const row = list[total - 1 - item.index];
            return row && <Line key={row.id} row={row} index={item.index} start={item.start} selected={row.id === selected} />;
          })}
        </div>
      </div>
    </section>
  );
}

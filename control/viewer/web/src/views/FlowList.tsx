// The list of connections, newest first. It is asked for anew every second, as far as it is shown.

import { useEffect, useState } from "preact/hooks";
import { type Flow, type FlowPage, get } from "../api";
import { bytes, duration, time } from "../format";
import { flowSearch, paused, select, selection, state } from "../model";
import { useVirtual } from "../virtual";

const HEIGHT = 28;
const PAGE = 500;
const MOST = 2000;
const COLUMNS = [
  ["time", "Opened"],
  ["flow", "Flow"],
  ["service", "Service"],
  ["client", "Client"],
  ["server", "Server"],
  ["state", "State"],
  ["count", "Exchanges"],
  ["sent", "Client sent"],
  ["got", "Server sent"],
  ["missing", "Missing"],
  ["took", "Duration"],
] as const;

/** Bytes of one direction: those that came as data, or those the daemon counted. */
export function sent(flow: Flow, side: 0 | 1): number {
  const counted = flow.close?.sent[side === 0 ? "client" : "server"].bytes ?? 0;
  return Math.max(flow.bytes[side], counted);
}

function Line({ flow, index, start }: { flow: Flow; index: number; start: number }) {
  const selected = selection.value?.kind === "flow" && selection.value.id === flow.id;
  const missing = flow.missing[0] + flow.missing[1];
  const reason = flow.close?.reason ?? "open";
  return (
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={selected}
      class={`line ${selected ? "selected" : ""}`}
      style={{ transform: `translateY(${start}px)` }}
      onClick={() => select("flow", flow.id)}
    >
      <div role="gridcell" class="time">{time(flow.first_ms)}</div>
      <div role="gridcell" class="flow">{flow.id}</div>
      <div role="gridcell" class="service">{flow.service}</div>
      <div role="gridcell" class="client">{flow.client}</div>
      <div role="gridcell" class="server">{flow.server}</div>
      <div role="gridcell" class={`state ${reason}`}>{reason}</div>
      <div role="gridcell" class="count">{flow.exchanges}</div>
      <div role="gridcell" class="sent">{bytes(sent(flow, 0))}</div>
      <div role="gridcell" class="got">{bytes(sent(flow, 1))}</div>
      <div role="gridcell" class="missing">{missing > 0 ? bytes(missing) : ""}</div>
      <div role="gridcell" class="took">{duration(flow.close ? flow.close.duration / 1e6 : flow.last_ms - flow.first_ms)}</div>
    </div>
  );
}

export function FlowList() {
  const [flows, setFlows] = useState<Flow[]>([]);
  const [limit, setLimit] = useState(PAGE);
  const second = state.value?.second;
  const find = flowSearch.value;
  useEffect(() => {
    if (paused.value && flows.length > 0) return;
    const ended = new AbortController();
    get<FlowPage>("/api/flows", { find, limit }, ended.signal).then((page) => setFlows(page.rows), () => {});
    return () => ended.abort();
  }, [second, find, limit, paused.value]);
  const { scroller, items, height } = useVirtual(flows.length, HEIGHT);
  const last = items.at(-1)?.index ?? -1;
  useEffect(() => {
    if (last >= limit - 50) setLimit(Math.min(limit + PAGE, MOST));
  }, [last]);
  return (
    <section class="list flows" role="grid" aria-label="Flows" aria-rowcount={flows.length + 1} tabIndex={0}>
      {flows.length === 0 && (
        <div class="empty">
          <p>{find ? "No flow has that in it." : "No flows so far."}</p>
        </div>
      )}
      <div class="scroller" ref={scroller} role="rowgroup">
        <div class="head" role="row" aria-rowindex={1}>
          {COLUMNS.map(([name, label]) => (
            <div role="columnheader" class={name} key={name}>{label}</div>
          ))}
        </div>
        <div class="all" style={{ height: `${height}px` }}>
          {items.map((item) => {
            const flow = flows[item.index];
            return flow && <Line key={flow.id} flow={flow} index={item.index} start={item.start} />;
          })}
        </div>
      </div>
    </section>
  );
}

// One connection: what is known of it, and its streams.

import { useEffect, useState } from "preact/hooks";
import { type Flow, get, type Sent } from "../api";
import { bytes, count, duration, instant } from "../format";
import { follow } from "../live";
import { selection, state, view } from "../model";
import { Close, Reveal } from "./Detail";
import { StreamView } from "./Stream";
import { Tabs } from "./Tabs";

function milliseconds(nanoseconds: number | null): string {
  return nanoseconds === null ? "–" : duration(nanoseconds / 1e6);
}

const COUNTED: [string, (sent: Sent) => string][] = [
  ["packets", (sent) => count(sent.packets)],
  ["bytes delivered", (sent) => bytes(sent.bytes)],
  ["retransmitted", (sent) => bytes(sent.retransmitted)],
  ["out of order", (sent) => count(sent.out_of_order)],
  ["gaps", (sent) => `${count(sent.gaps)} (${bytes(sent.missing)})`],
  ["zero windows", (sent) => count(sent.zero_windows)],
  ["round trip: least", (sent) => milliseconds(sent.rtt_min)],
  ["round trip: mean", (sent) => milliseconds(sent.rtt_mean)],
  ["round trip: most", (sent) => milliseconds(sent.rtt_max)],
];

function Facts({ flow }: { flow: Flow }) {
  const close = flow.close;
  const begin = flow.midstream === null ? "not seen" : flow.midstream ? "in the middle" : "with its handshake";
  const facts: [string, string][] = [
    ["first seen", instant(flow.first_ms)],
    ["latest event", instant(flow.last_ms)],
    ["seen from the beginning", begin],
    ["service", `${flow.service} (${flow.action})`],
    ["port", flow.ingress + (flow.vlan ? `, VLAN ${flow.vlan}` : "")],
    ["worker", String(flow.worker)],
    ["id", `${flow.name} of run ${flow.run}`],
    ["exchanges", count(flow.exchanges)],
    ["gaps seen", `client ${count(flow.gaps[0])}, server ${count(flow.gaps[1])}`],
    ["end", close ? `${close.reason}; client ${close.state.client}, server ${close.state.server}` : "open"],
  ];
  if (close) facts.push(["duration", milliseconds(close.duration)], ["handshake", milliseconds(close.handshake_rtt)]);
  return (
    <>
      <dl class="facts">
        {facts.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
      </dl>
      {close && (
        <table class="counted">
          <thead><tr><th /><th>client</th><th>server</th></tr></thead>
          <tbody>
            {COUNTED.map(([name, show]) => (
              <tr key={name}><th scope="row">{name}</th><td>{show(close.sent.client)}</td><td>{show(close.sent.server)}</td></tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

export function FlowDetail({ id }: { id: number }) {
  const [flow, setFlow] = useState<Flow | null>(null);
  const [problem, setProblem] = useState("");
  const [tab, setTab] = useState<"stream" | "facts">("stream");
  const second = state.value?.second;
  useEffect(() => {
    if (flow?.close) return;
    const ended = new AbortController();
    get<Flow>(`/api/flows/${id}`, {}, ended.signal).then(setFlow, (error: Error) => !ended.signal.aborted && setProblem(error.message));
    return () => ended.abort();
  }, [id, second]);
  const exchanges = () => {
    view.value = "exchanges";
    selection.value = null;
    void follow(`~f ${id}`);
  };
  return (
    <aside class="detail" aria-label="Flow">
      <div class="title">
        <h2>
          <span class="method">flow {id}</span>
          {flow && <span class="url">{flow.client} → {flow.server}</span>}
        </h2>
        {flow && flow.exchanges > 0 && <button type="button" onClick={exchanges}>Show its exchanges</button>}
        <Reveal />
        <Close />
      </div>
      {problem && <p class="problem" role="alert">{problem}</p>}
      <Tabs label="Parts of the flow" chosen={tab} choose={setTab} tabs={[{ name: "stream", label: "Stream" }, { name: "facts", label: "Facts" }]} />
      <div class="panel" role="tabpanel" key={tab}>
        {tab === "stream" ? <StreamView id={id} /> : flow && <Facts flow={flow} />}
      </div>
    </aside>
  );
}

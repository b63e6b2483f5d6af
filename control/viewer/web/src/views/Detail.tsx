// One exchange: its two messages, its time, and the connection it was in.

import { useEffect, useState } from "preact/hooks";
import { type Detail as Data, get, Problem } from "../api";
import { duration, instant, statusClass, text } from "../format";
import { reveal, selection, touched } from "../model";
import { MessageView } from "./Message";
import { StreamView } from "./Stream";
import { Tabs } from "./Tabs";
import { Timing } from "./Timing";

type Tab = "request" | "response" | "stream" | "timing";
/** The tab stays when another exchange is chosen. */
let lastTab: Tab = "response";

export function Close() {
  return (
    <button class="icon close" type="button" aria-label="Close" title="Close (Esc)" onClick={() => (selection.value = null)}>
      ×
    </button>
  );
}

export function Reveal() {
  const on = reveal.value;
  return (
    <button type="button" class={`reveal ${on ? "on" : ""}`} aria-pressed={on} title="Cookies, tokens and passwords are masked by the server" onClick={() => (reveal.value = !on)}>
      {on ? "Hide credentials" : "Reveal credentials"}
    </button>
  );
}

export function Detail({ id }: { id: number }) {
  const [data, setData] = useState<Data | null>(null);
  const [problem, setProblem] = useState("");
  const [tab, setTab] = useState<Tab>(lastTab);
  const shown = reveal.value;
  useEffect(() => {
    const ended = new AbortController();
    get<Data>(`/api/exchanges/${id}`, { reveal: shown }, ended.signal).then(
      (found) => {
        setData(found);
        setProblem("");
      },
      (error) => !ended.signal.aborted && setProblem(error instanceof Problem ? error.message : "The viewer does not answer."),
    );
    return () => ended.abort();
  }, [id, shown, touched.value]);
  const choose = (name: Tab) => {
    lastTab = name;
    setTab(name);
  };
  return (
    <aside class="detail" aria-label="Exchange">
      <div class="title">
        {data ? (
          <h2>
            <span class="method">{data.method}</span>
            {data.status !== null && <span class={`status ${statusClass(data.status)}`}>{data.status}</span>}
            <span class="url" title={data.url}>{text(data.url)}</span>
          </h2>
        ) : (
          <h2>{problem ? "Not there" : "…"}</h2>
        )}
        <Reveal />
        <Close />
      </div>
      {problem && <p class="problem" role="alert">{problem}</p>}
      {data && (
        <>
          <p class="about">
            {data.client} → {data.server} · {data.service} ({data.action}) · {instant(data.begin_ms)}
            {data.duration_ms !== null && ` · ${duration(data.duration_ms)}`}
          </p>
          <Tabs
            label="Parts of the exchange"
            chosen={tab}
            choose={choose}
            tabs={[
              { name: "request", label: "Request" },
              { name: "response", label: "Response" },
              { name: "stream", label: `Stream of flow ${data.flow}` },
              { name: "timing", label: "Timing" },
            ]}
          />
          <div class="panel" role="tabpanel" key={tab}>
            {tab === "request" && <MessageView id={id} side="request" message={data.request} />}
            {tab === "response" && <MessageView id={id} side="response" message={data.response} interim={data.interim} />}
            {tab === "stream" && <StreamView id={data.flow} />}
            {tab === "timing" && <Timing data={data} />}
          </div>
        </>
      )}
    </aside>
  );
}

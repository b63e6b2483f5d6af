// The line below: the connection, what is kept and how much of the room it takes.

import { bytes, count } from "../format";
import { connection, rows, state, version, view } from "../model";

const WORDS = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again", login: "" };

function Meter({ label, value, most, text }: { label: string; value: number; most: number; text: string }) {
  const share = Math.min(1, value / most);
  return (
    <div class="meter" title={`${label} kept: ${text}`}>
      <div
        class={`bar ${share > 0.95 ? "full" : ""}`}
        role="meter"
        aria-label={`${label} kept`}
        aria-valuemin={0}
        aria-valuemax={most}
        aria-valuenow={value}
        aria-valuetext={text}
      >
        <span style={{ width: `${share * 100}%` }} />
      </div>
      {text}
    </div>
  );
}

export function Status() {
  void version.value;
  const now = state.value;
  const store = now?.store;
  return (
    <footer>
      <span class={`connection ${connection.value}`}>{WORDS[connection.value]}</span>
      {now && <span class="endpoints">{now.endpoints.join("  ")}</span>}
      <span class="grow" />
      {view.value === "exchanges" && <span>{count(rows.list.length)} listed</span>}
      {now && now.gaps > 0 && (
        <span class="gaps">
          {count(now.gaps)} {now.gaps === 1 ? "gap" : "gaps"}, {bytes(now.missing_bytes)} missing
        </span>
      )}
      {store && (
        <>
          <Meter label="Events" value={store.events} most={store.most_events} text={`${count(store.events)} / ${count(store.most_events)} events`} />
          <Meter label="Bytes" value={store.bytes} most={store.most_bytes} text={`${bytes(store.bytes)} / ${bytes(store.most_bytes)}`} />
          <span title="The oldest events make room for new ones">{count(store.evicted)} evicted</span>
        </>
      )}
    </footer>
  );
}
